"""What `stillroom look RUN --mask` shows: some rows as training gets them, token by token, and which of them count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from stillroom.base.records import Trace
from stillroom.generate.load import load_tokenizer
from stillroom.report.rows import RowFilter
from stillroom.report.words import count, visible
from stillroom.store.tables import read_traces
from stillroom.text.counted import counted
from stillroom.text.naming import first_words
from stillroom.train.gate import Gate
from stillroom.train.render import Rendered, Renderer, Row
from stillroom.train.settings import TrainSettings

SHOWN = 200
"""Tokens that are shown of a longer part: half of them from its beginning, half from its end."""
WINDOW = 4
"""Tokens that a token is decoded behind: some tokenizers drop a blank at the start of a text."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

UNTRAINED, END = "dim", "bold white on red"
TRAINED = ("black on green", "black on bright_green")
"""Neighbours have the one and the other."""
LESS = ("black on cyan", "black on bright_cyan")
"""What counts less than the rest."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A token as text; or several, where one alone is no whole character."""

    ids: tuple[int, ...]
    text: str
    weight: float
    """What it counts in the loss; 0: it is not trained."""
    is_end: bool
    """The end token of a reply."""


@dataclass(frozen=True, slots=True)
class PreviewedRow:
    pieces: tuple[Piece, ...]
    tokens: int
    trained: int
    is_too_long: bool
    """It is left out."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A trace as training sees it."""

    number: int
    """Its row in the table, counted from 1."""
    question_id: str
    question: str
    rows: tuple[PreviewedRow, ...]
    problem: str | None
    """Why training would refuse it."""


def preview(traces: Path, student: Path, settings: TrainSettings, wanted: RowFilter, most: int) -> list[Preview]:
    """The first `most` traces of the table that are wanted, rendered as training renders them.

    Raises ModelError for a student that cannot be read, StoreError for a table that cannot be.
    """
    tokenizer, end_ids, context = load_tokenizer(student)
    renderer = Renderer(tokenizer, settings.method, end_ids, settings.weights)
    gate = Gate(tokenizer, settings.method, renderer.end_ids, settings.weights)
    decode = tokenizer.backend_tokenizer.decode
    limit = min(settings.max_tokens, context)
    found = ((number, trace) for number, trace in enumerate(read_traces(traces), 1) if matches(trace, wanted))
    chosen = list(islice(found, most))
    rendered = renderer.render_all(trace for _, trace in chosen)
    return [
        Preview(
            number,
            each.trace.question_id,
            first_words(each.trace.messages),
            tuple(_row(row, limit, decode) for row in each.rows),
            _problem(gate, each),
        )
        for (number, _), each in zip(chosen, rendered, strict=True)
    ]


def matches(trace: Trace, wanted: RowFilter) -> bool:
    """Whether a trace is among those that `stillroom look` would show with this filter."""
    said = trace.messages[-1]
    length = len(said.reasoning or "") + len(said.content)
    texts = (text for message in trace.messages for text in (message.content, message.reasoning or ""))
    question = wanted.question
    return (
        wanted.kept is not False
        and wanted.reason is None
        and wanted.verdict in (None, trace.verdict)
        and wanted.source in (None, trace.source)
        and (question is None or trace.question_id.startswith((question, f"sha256:{question}")))
        and (wanted.search is None or any(wanted.search.casefold() in text.casefold() for text in texts))
        and (wanted.shortest or 0) <= length
        and (wanted.longest is None or length <= wanted.longest)
    )


def as_json(shown: Preview) -> dict[str, Any]:
    return asdict(shown)


def _problem(gate: Gate, rendered: Rendered) -> str | None:
    problem = gate.problem(rendered)
    if problem is not None and rendered.problem is not None and rendered.problem.remedy:
        return f"{problem} {rendered.problem.remedy}"
    return problem


def _row(row: Row, limit: int, decode: Callable[..., str]) -> PreviewedRow:
    ends = {reply.stop - 1 for reply in row.replies}
    pieces = tuple(_pieces(row, ends, decode))
    return PreviewedRow(pieces, len(row.ids), int(row.trained.sum()), len(row.ids) > limit)


def _pieces(row: Row, ends: set[int], decode: Callable[..., str]) -> Iterator[Piece]:
    ids, first = row.ids.tolist(), 0
    for place in range(len(ids)):
        window = max(0, first - WINDOW)
        text = decode(ids[window : place + 1], skip_special_tokens=False)
        last_of_part = place + 1 == len(ids) or row.weights[place + 1] != row.weights[place] or place in ends
        if text.endswith(REPLACEMENT) and not last_of_part:
            continue  # half of a character
        before = decode(ids[window:first], skip_special_tokens=False)
        yield Piece(tuple(ids[first : place + 1]), text[len(before) :], float(row.weights[place]), place in ends)
        first = place + 1


# --- on a terminal ---------------------------------------------------------------------------------------------------


def print_previews(shown: list[Preview], console: Console, *, in_full: bool) -> None:
    """Colours where there are some; elsewhere marks. Texts that nobody vouches for cannot write on the terminal."""
    if not shown:
        console.print("No reply that is trained on is like that.")
        return
    has_colours = console.color_system is not None and not console.no_color
    console.print(_legend(shown, has_colours), soft_wrap=True)
    for each in shown:
        console.rule(Text(visible(f"row {each.number:,}  {each.question}")), align="left")
        if each.problem is not None:
            console.print(Text(visible(f"Refused: {each.problem}"), style="red"), soft_wrap=True)
        for row in each.rows:
            console.print(_in_colours(row, in_full) if has_colours else _with_marks(row, in_full), soft_wrap=True)
            console.print(Text(_counts(row), style="bold"), soft_wrap=True)


def _counts(row: PreviewedRow) -> str:
    words = f"{counted(row.tokens, 'token')}, {count(row.trained)} trained"
    return f"{words}; left out, since it is too long" if row.is_too_long else words


def _legend(shown: list[Preview], has_colours: bool) -> Text:
    weights = sorted({piece.weight for each in shown for row in each.rows for piece in row.pieces if piece.weight})
    if not has_colours:
        return Text("[+ +] is trained, [end token] ends a reply, all else is not trained.")
    parts: list[Any] = []
    for weight in weights or [1.0]:
        times = f" {weight:g} times" if len(weights) > 1 else ""
        parts += [(f"trained{times}", _styles(weight, weights)[0]), " "]
    return Text.assemble(*parts, ("end token", END), " ", ("not trained", UNTRAINED))


def _styles(weight: float, weights: list[float]) -> tuple[str, str]:
    return LESS if len(weights) > 1 and weight == weights[0] else TRAINED


def _in_colours(row: PreviewedRow, in_full: bool) -> Text:
    """Each token apart from its neighbours; a line break that is trained can be seen."""
    text = Text()
    weights = sorted({piece.weight for piece in row.pieces if piece.weight})
    for pieces, gap in _parts(row, in_full):
        for place, piece in enumerate(pieces):
            style = _styles(piece.weight, weights)[place % 2] if piece.weight else UNTRAINED
            said = visible(piece.text)
            text.append(said.replace("\n", "↵\n") if piece.weight else said, END if piece.is_end else style)
        if gap:
            text.append(gap, "italic")
    return text


def _with_marks(row: PreviewedRow, in_full: bool) -> Text:
    text = ""
    for pieces, gap in _parts(row, in_full):
        body = "".join(visible(piece.text) for piece in pieces if not piece.is_end)
        text += f"[+{body}+]" if body and pieces[0].weight else body
        text += "".join(f"[{visible(piece.text)}]" for piece in pieces if piece.is_end) + gap
    return Text(text)


def _parts(row: PreviewedRow, in_full: bool) -> Iterator[tuple[list[Piece], str]]:
    """Runs of pieces with one weight, a long one as two with the words for what is between them behind the first."""
    for _, group in groupby(row.pieces, key=lambda piece: (piece.weight, piece.is_end)):
        pieces = list(group)
        if in_full or len(pieces) <= SHOWN:
            yield pieces, ""
        else:
            left_out = len(pieces) - SHOWN
            yield pieces[: SHOWN // 2], f" [… {count(left_out)} tokens not shown: --full …] "
            yield pieces[-(SHOWN // 2) :], ""
