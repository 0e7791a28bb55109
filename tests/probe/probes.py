"""Folders of a probe in which pairs were gathered, and suspects that answer from what they are given; no model runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from stillroom.base.clock import SystemClock
from stillroom.probe.asked import Asked, write_asked
from stillroom.probe.pack import read_pack
from stillroom.probe.pairs import Gathered, write_gathered
from stillroom.probe.plan import sampling_of
from stillroom.probe.planning import Planned, Wish, make_plan
from stillroom.probe.signer import Signer, own_signer
from stillroom.store.siblings import (
    Answer,
    Likelihood,
    Opening,
    Pair,
    messages_json,
    question_id_of,
    read_rows,
    write_rows,
)

WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "glade", "heron", "inlet", "jetty", "knoll", "ledge")
Says = Callable[[Pair, int], str]
"""What a suspect says, from a pair and the coin that fell for it: an innocent one looks at neither."""


def gathered(count: int = 60, accounts: Sequence[str] = ("acct_1",), seed: int = 1) -> Gathered:
    """Pairs without a recorded coin, so that nothing proves them but themselves."""
    random = np.random.default_rng(seed)
    found = Gathered()
    for number in range(count):
        messages = [{"role": "user", "content": f"Question {number}: which way?"}]
        first, second = (" ".join(random.choice(WORDS, 30)) for _ in range(2))
        coin = int(random.integers(2))
        pair = Pair(f"p{number:04d}", question_id_of(messages), messages_json(messages), first, second)
        account = accounts[number % len(accounts)]
        found.add(pair, Opening(pair.pair_id, account, 1_000_000 + number, 1 if coin else 0, "assumed"))
    return found


def make_probe(folder: Path, count: int = 60, accounts: Sequence[str] = ("acct_1",), seed: int = 1) -> Path:
    write_gathered(folder, gathered(count, accounts, seed))
    return folder


def planned(probe: Path, name: str = "first", **wish: object) -> Planned:
    return make_plan(probe, Wish(**{"name": name, "suspect": "abacus-7b", "samples": 2, **wish}), signer(probe), "Olga")  # type: ignore[arg-type]


def signer(probe: Path) -> Signer:
    return own_signer(probe)


def served(pair: Pair, coin: int) -> str:
    return pair.second if coin else pair.first


def sealed(pair: Pair, coin: int) -> str:
    return pair.first if coin else pair.second


def something_else(pair: Pair, coin: int) -> str:  # noqa: ARG001 - an innocent looks at neither
    return " ".join(np.random.default_rng(int(pair.question_id[7:15], 16)).choice(WORDS, 30))


def ask(pack: Path, probe: Path, folder: Path, says: Says = served, at: int | None = None, samples: int = 2) -> Path:
    """What `stillroom probe ask` leaves of a suspect that answers so. The coins come from the owner's folder."""
    given = read_pack(pack)
    coins = {opening.pair_id: opening.coin for opening in read_rows(probe / "openings.parquet", Opening)}
    now = SystemClock().now_us() if at is None else at
    rows = {
        (pair.question_id, sample): Answer(pair.question_id, sample, says(pair, coins[pair.pair_id]), "stop", now)
        for pair in given.pairs
        for sample in range(samples)
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "answers.parquet", Answer, rows.values())
    write_asked(folder, asked_of(pack, now, samples))
    return folder


def score(pack: Path, probe: Path, folder: Path, gain: float = 1.0) -> Path:
    """Likelihoods of a suspect that holds what was served more likely by so much, and of its base."""
    given = read_pack(pack)
    coins = {opening.pair_id: opening.coin for opening in read_rows(probe / "openings.parquet", Opening)}
    random, now, rows = np.random.default_rng(3), SystemClock().now_us(), []
    for pair in given.pairs:
        first, second = (float(value) for value in random.normal(-40, 5, 2))
        rows.append(Likelihood(pair.pair_id, "base", first, second, 30, now))
        learned = (0.0, gain) if coins[pair.pair_id] else (gain, 0.0)
        rows.append(Likelihood(pair.pair_id, "suspect", first + learned[0], second + learned[1], 30, now))
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "likelihoods.parquet", Likelihood, rows)
    write_asked(folder, asked_of(pack, now, 0))
    return folder


def asked_of(pack: Path, at: int, samples: int = 2) -> Asked:
    given = read_pack(pack)
    return Asked(
        plan=given.plan.digest,
        by="a neutral party",
        model=given.plan.suspect,
        address="http://127.0.0.1:8011/v1",
        samples=samples,
        sampling=sampling_of(given.plan),
        questions=given.plan.questions,
        first_at=at,
        last_at=at,
        is_whole=True,
    )
