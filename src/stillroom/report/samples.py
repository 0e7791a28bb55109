"""A few questions of the examination with the replies of two takers side by side, chosen by a rule and not by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.base.canonical import digest
from stillroom.report.words import TAKERS, in_order, short, taker_name
from stillroom.store.tables import read_rows

SAMPLES = 10
WANTED = {"both": 4, "first": 4, "second": 1, "neither": 1}
"""How many samples of each outcome are looked for: mistakes teach more than successes, so they are over-represented."""

TEXT_SHOWN = 6_000
"""Characters of one text on the page. A longer one keeps its beginning and its end."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    head: str
    left_out: int
    """Characters between head and tail that are not shown."""
    tail: str


@dataclass(frozen=True, slots=True)
class Answered:
    taker: str
    verdict: str
    """right, wrong, unsure or unverifiable; or the status of a reply that could not be judged."""
    remark: str | None
    """Why it is not right, where that is known."""
    truncated: bool
    tokens: int | None
    reasoning: Excerpt | None
    answer: Excerpt | None


@dataclass(frozen=True, slots=True)
class Sample:
    question_id: str
    family: str | None
    outcome: str
    question: Excerpt
    expected: Excerpt | None
    replies: tuple[Answered, ...]


def read_samples(path: Path) -> list[Sample]:
    """At most ten questions of `exam/answers.parquet`, each with the replies of two takers (or of the only one).

    Teacher and student where both sat it; of several samples, the first. Within an outcome, families take turns, and in
    a family the order is that of the digests of the question ids: any run of the same files shows the same questions.
    The file is read twice, and only the chosen rows' texts are held.
    """
    pair, right = _who_was_right(path)
    chosen = choose(right, pair)
    texts: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in read_rows(path):
        if row["question_id"] in chosen and row["taker"] in pair:
            texts[row["question_id"]].setdefault(row["taker"], row)
    return [_sample(question_id, [texts[question_id][taker] for taker in pair]) for question_id in chosen]


Rights = dict[str, tuple[str, dict[str, bool]]]
"""question id -> (family, {taker: whether right})"""


def _who_was_right(path: Path) -> tuple[list[str], Rights]:
    rights: Rights = {}
    takers: dict[str, None] = {}
    for row in read_rows(path, columns=["taker", "question_id", "family", "verdict"]):
        takers[row["taker"]] = None
        family_and_rights = rights.setdefault(row["question_id"], (row["family"] or "", {}))
        family_and_rights[1].setdefault(row["taker"], row["verdict"] == "right")
    return in_order(list(takers))[:2], rights


def choose(rights: Rights, pair: list[str]) -> list[str]:
    """The ids of the questions to show, the wanted outcomes first, made up to ten with whatever there is."""
    by_outcome: dict[str, list[tuple[str, str]]] = {outcome: [] for outcome in WANTED}
    for question_id, (family, right) in rights.items():
        if all(taker in right for taker in pair):
            by_outcome[_outcome([right[taker] for taker in pair])].append((family, question_id))
    in_turn = {outcome: _families_in_turn(questions) for outcome, questions in by_outcome.items()}
    chosen = {outcome: ids[: WANTED[outcome]] for outcome, ids in in_turn.items()}
    spare = [(outcome, question_id) for outcome, ids in in_turn.items() for question_id in ids[WANTED[outcome] :]]
    for outcome, question_id in spare[: SAMPLES - sum(map(len, chosen.values()))]:
        chosen[outcome].append(question_id)
    return [question_id for ids in chosen.values() for question_id in ids]


def _outcome(right: list[bool]) -> str:
    if all(right):
        return "both"
    if not any(right):
        return "neither"
    return "first" if right[0] else "second"


def _families_in_turn(questions: Iterable[tuple[str, str]]) -> list[str]:
    """Question ids, one of each family, then the next of each, and so on."""
    by_family: dict[str, list[str]] = defaultdict(list)
    for family, question_id in sorted(questions, key=lambda pair: (pair[0], digest(pair[1]))):
        by_family[family].append(question_id)
    turns = [(turn, family, question_id) for family, ids in by_family.items() for turn, question_id in enumerate(ids)]
    return [question_id for _, _, question_id in sorted(turns, key=lambda turn: turn[:2])]


def _sample(question_id: str, rows: list[dict[str, Any]]) -> Sample:
    return Sample(
        question_id=question_id,
        family=rows[0]["family"],
        outcome=_outcome_said(rows),
        question=excerpt(rows[0]["question"] or ""),
        expected=excerpt(rows[0]["expected"]) if rows[0]["expected"] is not None else None,
        replies=tuple(answered(row) for row in rows),
    )


def _outcome_said(rows: list[dict[str, Any]]) -> str:
    right = [row["verdict"] == "right" for row in rows]
    if len(rows) == 1:
        return "right" if right[0] else "not right"
    said = {"both": "both right", "neither": "neither right"}
    outcome = _outcome(right)
    taker = rows[0 if outcome == "first" else 1]["taker"]
    return said.get(outcome) or f"only {'the ' if taker in TAKERS else ''}{short(taker_name(taker))} right"


def answered(row: dict[str, Any], limit: int = TEXT_SHOWN) -> Answered:
    """A row of answers.parquet as a page shows it, each text in `limit` characters."""
    verdict = row["verdict"] or row["status"] or "unsure"
    extracted = row["extracted"]
    read_as = f"read as {extracted}" if extracted and extracted.strip() != (row["answer"] or "").strip() else None
    remark = "; ".join(part for part in (row["reason"], read_as) if part) if verdict != "right" else None
    return Answered(
        taker=row["taker"],
        verdict=verdict,
        remark=remark or None,
        truncated=row["status"] == "truncated",
        tokens=row["completion_tokens"],
        reasoning=excerpt(row["reasoning"], limit) if row["reasoning"] else None,
        answer=excerpt(row["answer"], limit) if row["answer"] else None,
    )


def excerpt(text: str, limit: int = TEXT_SHOWN) -> Excerpt:
    if len(text) <= limit:
        return Excerpt(text, 0, "")
    tail = limit // 4
    return Excerpt(text[: limit - tail], len(text) - limit, text[-tail:])
