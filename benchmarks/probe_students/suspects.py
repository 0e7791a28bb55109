"""A student's folder, read and measured: what the tests of it rest on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillroom.probe.closeness import closeness
from stillroom.probe.measures import MEASURES, PRIMARY, all_differences
from stillroom.probe.relative import relative_to_base
from stillroom.probe.units import units_of
from stillroom.store.files import read_object
from stillroom.store.siblings import Answer, Likelihood, Opening, Pair, read_rows

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Suspect:
    """N pairs of a student. A pair with two equal siblings has differences of zero: it says nothing and counts."""

    name: str
    kind: str
    facts: Mapping[str, Any]
    coins_N: NDArray[np.int8]
    units_N: NDArray[np.int64]
    differ_N: NDArray[np.bool_]
    text_MN: Numbers
    """Of every measure of MEASURES, in their order."""
    beside_further_N: Numbers | None
    """Of the primary measure, relative to further draws of the teacher. None where there is none."""
    likelihood_N: Numbers | None
    """Of the suspect, relative to its base; of a base, its own. None where likelihoods are not known."""
    trained_on_N: NDArray[np.bool_]
    """Whether the suspect learned from the pair's served reply, as far as its folder tells: not all served ones are."""
    gain: float | None
    """Nats a token that the suspect gives the served replies more than the sealed ones, beyond its base."""
    by_heart: tuple[float, float] | None
    """Share of the greedy answers that equal the served reply word for word, and that equal the sealed one; of the
    pairs whose siblings differ."""
    closeness: str
    """To the teacher, by its further draws; empty where there is none."""

    @property
    def primary_N(self) -> Numbers:
        return np.asarray(self.text_MN[list(MEASURES).index(PRIMARY)], dtype=np.float64)


def read_suspect(folder: Path, answers_table: str, samples: int | None = None) -> Suspect:
    """`answers_table`: which table of answers is judged, such as `answers_t07`; `samples`: so many answers to each
    question, and None for all."""
    facts = read_object(folder / "facts.json")
    pairs = read_rows(folder / "pairs.parquet", Pair)
    coin_of = {opening.pair_id: opening.coin for opening in read_rows(folder / "openings.parquet", Opening)}
    coins_N = np.array([coin_of[pair.pair_id] for pair in pairs], dtype=np.int8)
    differ_N = np.array([pair.first != pair.second for pair in pairs])
    answers = read_answers(folder, answers_table, samples)
    thirds = read_rows(folder / "thirds.parquet", Answer) if (folder / "thirds.parquet").exists() else []
    texts = texts_of(answers)
    text_MN = np.where(differ_N, all_differences(pairs, texts), 0.0)
    beside_further_N = None
    if thirds:
        beside = MEASURES[PRIMARY].differences(pairs, texts, references=texts_of(thirds))
        beside_further_N = np.where(differ_N, beside, 0.0)
    rows = read_rows(folder / "likelihoods.parquet", Likelihood) if (folder / "likelihoods.parquet").exists() else []
    if facts["epochs"] == 0 and facts.get("speaker", "student") == "student":  # the base, which is all of itself
        rows = [row for row in rows if row.model == "suspect"]
    likelihood_N, gain = _likelihood(pairs, rows, coins_N, differ_N)
    return Suspect(
        name=facts["name"],
        kind=facts["kind"],
        facts=facts,
        coins_N=coins_N,
        units_N=units_of(pairs),
        differ_N=differ_N,
        text_MN=text_MN,
        beside_further_N=beside_further_N,
        likelihood_N=likelihood_N,
        trained_on_N=_trained_on(folder, pairs),
        gain=gain,
        by_heart=_by_heart(folder, pairs, coins_N),
        closeness=closeness(pairs, answers, thirds).verdict if thirds else "",
    )


def read_answers(folder: Path, table: str, samples: int | None = None) -> list[Answer]:
    every = read_rows(folder / f"{table}.parquet", Answer)
    return [answer for answer in every if samples is None or answer.sample < samples]


def texts_of(answers: Sequence[Answer]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = defaultdict(list)
    for answer in answers:
        texts[answer.question_id].append(answer.text)
    return texts


def _likelihood(
    pairs: Sequence[Pair], rows: Sequence[Likelihood], coins_N: NDArray[np.int8], differ_N: NDArray[np.bool_]
) -> tuple[Numbers | None, float | None]:
    if not rows:
        return None, None
    of: dict[tuple[str, str], Likelihood] = {(row.model, row.pair_id): row for row in rows}
    has_base = any(row.model == "base" for row in rows)

    def difference(model: str, pair: Pair) -> float:
        row = of.get((model, pair.pair_id))
        return row.first - row.second if row else np.nan

    relative_N = np.array([difference("suspect", pair) for pair in pairs])
    if has_base:
        relative_N = relative_to_base(relative_N, np.array([difference("base", pair) for pair in pairs]))
    tokens_N = np.array(
        [of[("suspect", pair.pair_id)].tokens if ("suspect", pair.pair_id) in of else 0 for pair in pairs]
    )
    served_N = np.where(coins_N == 0, relative_N, -relative_N)
    known_N = differ_N & (tokens_N > 0) & ~np.isnan(served_N)
    gain = float(np.mean(served_N[known_N] / tokens_N[known_N])) if known_N.any() else None
    return np.where(differ_N, relative_N, 0.0), gain


def _trained_on(folder: Path, pairs: Sequence[Pair]) -> NDArray[np.bool_]:
    file = folder / "trained_on.json"
    if not file.exists():
        return np.ones(len(pairs), dtype=np.bool_)
    taught = set(json.loads(file.read_text()))
    return np.array([pair.pair_id in taught for pair in pairs])


def _by_heart(folder: Path, pairs: Sequence[Pair], coins_N: NDArray[np.int8]) -> tuple[float, float] | None:
    file = folder / "answers_greedy.parquet"
    if not file.exists():
        return None
    said = {answer.question_id: answer.text.strip() for answer in read_rows(file, Answer)}
    equal = [
        [said[pair.question_id] == reply.strip() for reply in (pair.first, pair.second)[:: 1 - 2 * int(coin)]]
        for pair, coin in zip(pairs, coins_N, strict=True)
        if pair.first != pair.second and pair.question_id in said
    ]
    if not equal:
        return None
    served, sealed = np.mean(equal, axis=0)
    return float(served), float(sealed)
