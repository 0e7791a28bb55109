"""A run's data set in the form of another tool: a folder that is whole or not there, and says what it left out.

    train.jsonl, validation.jsonl   the rows; some forms have those with tools in files of their own
    left_out.jsonl                  the traces that it has not, with the reason of each, where there are any
    README.md                       how to load it, what is trained, what was left out
    export.json                     the same figures, for machines
    ...                             what else the tool wants: a config, a list of data sets

Rows go from table to file one by one: memory does not grow with their number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from stillroom import __version__
from stillroom.base.errors import DataError
from stillroom.base.progress import Progress
from stillroom.base.records import Trace
from stillroom.export import axolotl, llama_factory, openai, trl
from stillroom.export.conversation import REASONS, LeftOut, turns_of
from stillroom.export.folder import replacing_export, write_facts
from stillroom.export.form import SPLITS, About, Counts, Form, Line, Written
from stillroom.export.readme import write_readme
from stillroom.export.settings import DatasetTarget, Reasoning
from stillroom.export.terms import conditions_in_json
from stillroom.store.tables import count_rows, read_traces

FORMS: dict[DatasetTarget, Form] = {
    "trl": trl.FORM,
    "axolotl": axolotl.FORM,
    "llama-factory": llama_factory.FORM,
    "openai": openai.FORM,
}
LEFT_OUT = "left_out.jsonl"
_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
"""What some readers of lines take for the end of one, as JSON writes it otherwise."""


def export_dataset(
    run: Path, to: DatasetTarget, out: Path, about: About, reasoning: Reasoning, progress: Progress
) -> dict[str, Any]:
    """Write the data set of the run in folder `run` to the folder `out`. Returns what export.json holds.

    Raises UsageError where `out` is something else than an earlier export, StoreError for a table that is missing or
    cannot be read, DataError where no row is left.
    """
    form = FORMS[to]
    tables = {split: run / name for split, name in SPLITS.items() if split == "train" or (run / name).exists()}
    total = sum(map(count_rows, tables.values()))
    written = Written(about, to, reasoning)
    with replacing_export(run, out) as folder:
        with ExitStack() as stack:
            writer = _Writer(folder, form, written, stack)
            for split, table in tables.items():
                for number, trace in enumerate(read_traces(table), 1):
                    writer.add(split, trace, f"{table.name}, row {number}")
                    progress.update(f"export {to}", writer.traces, total)
        _refuse_nothing(written, run)
        for name, text in form.more_files(written).items():
            (folder / name).write_text(text, encoding="utf-8")
        write_readme(folder / "README.md", form, written)
        return write_facts(folder, _facts(written))


class _Writer:
    """Puts the lines of traces into their files, which are opened when their first line comes."""

    def __init__(self, folder: Path, form: Form, written: Written, stack: ExitStack) -> None:
        self._folder, self._form, self._written, self._stack = folder, form, written, stack
        self._files: dict[str, BinaryIO] = {}
        self.traces = 0

    def add(self, split: str, trace: Trace, place: str) -> None:
        written = self._written
        counts = written.splits.setdefault(split, Counts())
        counts.traces += 1
        self.traces += 1
        try:
            lines, plain = self._lines(trace)
            name = f"{split}{self._form.part(trace)}.jsonl"
            self._write(name, lines)
        except LeftOut as left_out:
            counts.left_out[left_out.reason] += 1
            self._name(trace, place, left_out)
            return
        counts.written += 1
        counts.lines += len(lines)
        counts.without_reasoning += plain
        files = written.files.setdefault(split, {})
        files[name] = files.get(name, 0) + len(lines)
        written.longest = max(written.longest, *map(len, lines))
        if trace.tokens is not None:
            written.most_tokens = max(trace.tokens, written.most_tokens or 0)

    def _lines(self, trace: Trace) -> tuple[list[str], int]:
        """As text, and how many of them have no reasoning. Raises LeftOut."""
        turns = turns_of(trace, self._written.reasoning)
        plain = sum(turn.trained and turn.reasoning is None for turn in turns)
        try:
            lines = list(map(_as_text, self._form.lines(turns, trace)))
        except (ValueError, RecursionError):
            raise LeftOut("not_json") from None
        return lines, min(plain, len(lines))

    def _write(self, name: str, lines: list[str]) -> None:
        data = b"".join(line.encode("utf-8") for line in lines)
        file = self._files.get(name)
        most = self._form.file_bytes
        if most is not None and (file.tell() if file else 0) + len(data) > most:
            raise LeftOut("beyond_file_limit", name)
        if file is None:
            file = self._files[name] = self._stack.enter_context((self._folder / name).open("wb"))
        file.write(data)

    def _name(self, trace: Trace, place: str, left_out: LeftOut) -> None:
        row = {"question_id": trace.question_id, "place": place, "reason": left_out.reason, "detail": left_out.detail}
        file = self._files.get(LEFT_OUT)
        if file is None:
            file = self._files[LEFT_OUT] = self._stack.enter_context((self._folder / LEFT_OUT).open("wb"))
        file.write(json.dumps(row).encode("ascii") + b"\n")


def _as_text(line: Line) -> str:
    """Raises ValueError for half a character, and for a number that JSON has not."""
    text = json.dumps(line, ensure_ascii=False, allow_nan=False).translate(_LINE_ENDS) + "\n"
    text.encode("utf-8")
    return text


def _refuse_nothing(written: Written, run: Path) -> None:
    counts = written.splits.get("train", Counts())
    if counts.lines:
        return
    if not counts.traces:
        raise DataError(
            f"{run / SPLITS['train']} has no trace: check kept none of the replies.",
            "See why with stillroom look, or in check.json and rejected.parquet of the run.",
        )
    why = ", ".join(f"{REASONS[reason]} ({number:,})" for reason, number in counts.left_out.most_common())
    what = f"None of the {counts.traces:,} traces can be exported: {why}."
    raise DataError(what, "Mend them, or export to another tool.")


def _facts(written: Written) -> dict[str, Any]:
    about = written.about
    return {
        "to": written.to,
        "run": about.name,
        "stillroom": __version__,
        "reasoning": written.reasoning,
        "teacher": about.teacher,
        "terms": about.terms,
        **conditions_in_json(about.binding),
        "splits": {split: _counted(counts, written.files.get(split, {})) for split, counts in written.splits.items()},
        "longest_line_characters": written.longest,
    }


def _counted(counts: Counts, files: Mapping[str, int]) -> dict[str, Any]:
    return {
        "traces": counts.traces,
        "written": counts.written,
        "lines": counts.lines,
        "lines_by_file": dict(files),
        "lines_without_reasoning": counts.without_reasoning,
        "left_out": dict(counts.left_out.most_common()),
    }
