"""Text with holes, `Solve {problem}`: each hole is filled from a column. Nothing in it is ever executed."""

from __future__ import annotations

from string import Formatter

from stillroom.base.errors import DataError
from stillroom.text.columns import Row, text_in


class Template:
    """`{NAME}` stands for the text of the column NAME, `{{` and `}}` for braces. A name may hold spaces and dots.

    Python's own format fields would look into attributes and obey widths, which a recipe has no business with: here a
    name is a column's name and nothing else. Raises ValueError for a template that cannot be read.
    """

    def __init__(self, text: str) -> None:
        self._parts: list[tuple[str, str | None]] = []
        try:
            parsed = list(Formatter().parse(text))
        except ValueError as error:
            raise ValueError(
                f"the braces do not match ({error}); write {{{{ and }}}} for braces of the text"
            ) from error
        for before, name, width, conversion in parsed:
            if name == "" or width or conversion is not None:
                raise ValueError("between braces stands a column's name and nothing else; {{ and }} are braces")
            self._parts.append((before, name))
        self.columns = tuple(dict.fromkeys(name for _, name in self._parts if name is not None))

    def fill(self, row: Row, place: object) -> str:
        """Raises DataError for a column that is not there (with the nearest name), is empty, or holds no text."""
        pieces = []
        for before, name in self._parts:
            pieces.append(before)
            if name is not None:
                text = text_in(row, name, place)
                if text is None:
                    raise DataError(
                        f"{place}: {name} is empty, and the template needs it.", "Fill it, or leave the row out."
                    )
                pieces.append(text)
        return "".join(pieces)
