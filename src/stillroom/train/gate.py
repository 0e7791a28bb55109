"""What stands between rendering and the first step: rows that would train on something else stop the run.

The gate does not trust the renderer. It decodes what is trained in each row, takes it apart again, and compares it with
the trace's reply.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator

import numpy as np
from transformers import PreTrainedTokenizerBase

from stillroom.base.errors import DataError
from stillroom.base.records import Message, Trace
from stillroom.generate.turns import call_names
from stillroom.text.naming import first_words
from stillroom.text.one_line import one_line
from stillroom.text.think import CLOSE, OPEN, split_think
from stillroom.train.render import Rendered, Reply, Row, reply_parts, trained_messages
from stillroom.train.settings import Method, PartWeights

NAMED = 5
"""Rows that are named when a data set is refused."""
TOKENS_BEFORE = 16
"""As many tokens as a think tag and a line break can take, and more: what a reply is decoded behind."""


class Gate:
    """Finds what is wrong with a rendered trace, for one student."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, method: Method, end_ids: Collection[int], weights: PartWeights
    ) -> None:
        """`end_ids` is looked into at each row: it may still grow."""
        self._decode = tokenizer.backend_tokenizer.decode
        special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._control_ids = special - {tokenizer.convert_tokens_to_ids(tag) for tag in (OPEN, CLOSE)}
        self._method = method
        self._end_ids = end_ids
        self._weights = weights

    def problem(self, rendered: Rendered) -> str | None:
        """A sentence on the first thing that is wrong; None where the rows train the replies and nothing else."""
        if rendered.problem is not None:
            return rendered.problem.what
        replies = [reply.message for row in rendered.rows for reply in row.replies]
        if replies != trained_messages(rendered.trace):
            return "A reply is not in its rows, or is in them twice."
        return next(filter(None, (self._of_row(rendered.trace, row) for row in rendered.rows)), None)

    def _of_row(self, trace: Trace, row: Row) -> str | None:
        outside = row.trained.copy()
        for reply in row.replies:
            outside[reply.start : reply.stop] = False
        if outside.any():
            return "Tokens of the prompt are trained."
        problems = (self._of_reply(trace.messages[reply.message], row, reply) for reply in row.replies)
        return next(filter(None, problems), None)

    def _of_reply(self, message: Message, row: Row, reply: Reply) -> str | None:
        trained = row.trained[reply.start : reply.stop]
        if not trained.any():
            return "Nothing is trained."
        *ids, end = row.ids[reply.start : reply.stop].tolist()
        if end not in self._end_ids or not trained[-1]:
            return "The end token is missing."
        # A call is written with control tokens by some templates; in a text they are somebody else's turn marks.
        unwanted = self._end_ids if message.tool_calls else self._control_ids.union(self._end_ids)
        within = next((number for number in ids if number in unwanted), None)
        if within is not None:
            kind = "end" if within in self._end_ids else "control"
            return f"It has the {kind} token {self._decode([within], skip_special_tokens=False)} before its end."
        # Where thoughts have no weight, they are what comes before the first trained token.
        if (self._weights.reasoning and not trained[0]) or (np.diff(trained.astype(np.int8)) < 0).any():
            return "Tokens of the reply are not trained."
        before = row.ids[max(0, reply.start - TOKENS_BEFORE) : reply.start].tolist()
        return self._of_text(message, before, ids)

    def _of_text(self, message: Message, before_ids: list[int], ids: list[int]) -> str | None:
        before = self._decode(before_ids, skip_special_tokens=False)
        text = self._decode(before_ids + ids, skip_special_tokens=False)
        if not text.startswith(before):
            return "Its prompt and its reply share a character."
        opened = before.rstrip().endswith(OPEN)
        split = split_think(text[len(before) :], opened_by_prompt=opened)
        if split.block == "unclosed":
            return "Its think block is not closed."
        if split.block == "not_well_formed":
            return "It has think tags besides those of one block."
        reasoning, answer = reply_parts(message, self._method)
        if not answer and not message.tool_calls:
            return "It has no answer."
        if not _same(split.reasoning or "", reasoning or ""):
            return (
                f"Its reasoning is not what would be trained on: {_difference(reasoning or '', split.reasoning or '')}."
            )
        written = split.answer.strip()
        if message.tool_calls:
            missing = [part for part in (answer, *call_names(message.tool_calls)) if part not in written]
            return f"Its tool call {missing[0]!r} would not be trained on." if missing else None
        return (
            None
            if _same(written, answer)
            else f"Its answer is not what would be trained on: {_difference(answer, written)}."
        )


def admitted(rendered: Iterable[Rendered], gate: Gate, source: str) -> Iterator[Rendered]:
    """The same traces, if all of them pass. `source` is the name of the file that they come from.

    Raises DataError after the last one, with the first few of those that do not pass and the number of all.
    """
    named: list[str] = []
    count = refused = 0
    for count, each in enumerate(rendered, 1):
        problem = gate.problem(each)
        if problem is None:
            yield each
            continue
        refused += 1
        if len(named) < NAMED:
            named.append(f"{one_line(first_words(each.trace.messages), 64)} ({source}, row {count}): {problem}")
    if refused:
        more = [f"And {refused - len(named):,} more."] if refused > len(named) else []
        raise DataError(
            f"{refused:,} of {count:,} traces cannot be trained on as they are:\n" + "\n".join([*named, *more]),
            "stillroom look RUN --mask shows them. Leave them out, mend them, or take a student with another template.",
        )


def _same(text: str, other: str) -> bool:
    """Some tokenizers compose accents: that is the same text."""
    return text == other or unicodedata.normalize("NFC", text) == unicodedata.normalize("NFC", other)


def _difference(wanted: str, found: str) -> str:
    """Where two texts begin to differ."""
    at = next(
        (place for place, (a, b) in enumerate(zip(wanted, found, strict=False)) if a != b), min(len(wanted), len(found))
    )
    start = max(0, at - 10)
    return f"{found[start : at + 20]!r} for {wanted[start : at + 20]!r}"
