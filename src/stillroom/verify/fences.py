"""The fenced blocks of a Markdown text, as CommonMark has them: read line by line, in time that grows with the text."""

from __future__ import annotations

from typing import NamedTuple


class Fenced(NamedTuple):
    """A block between fences. A block that is never closed ends with the text."""

    language: str
    """The first word after the opening fence, in lower case; "" where there is none."""
    text: str
    """Without the indentation that its fence has."""


def fenced_blocks(text: str) -> list[Fenced]:
    """Every block, in the order in which they stand."""
    blocks: list[Fenced] = []
    lines: list[str] = []
    opened = fence = language = ""
    for line in text.splitlines():
        bare = line.strip()
        if not fence:
            character = bare[:1]
            fence = bare[: len(bare) - len(bare.lstrip(character))] if character in ("`", "~") else ""
            if len(fence) < 3 or "`" in bare.lstrip(character):  # three backticks on both sides are a piece of a line
                fence = ""
            opened = line[: len(line) - len(line.lstrip())]
            language = (bare[len(fence) :].split(maxsplit=1) or [""])[0].strip("{}.").lower()
        elif len(bare) >= len(fence) and not bare.strip(fence[0]):
            blocks.append(Fenced(language, "\n".join(lines)))
            lines, fence = [], ""
        else:
            lines.append(line.removeprefix(opened))
    if fence and lines:
        blocks.append(Fenced(language, "\n".join(lines)))
    return blocks
