"""plan.json: one spelling, digests over what is said and not over files, and a seed that nobody chose."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.probe.probes import gathered

from stillroom.base.errors import DataError
from stillroom.client.settings import Sampling
from stillroom.probe.plan import (
    MeasureNamed,
    Plan,
    answers_digest_of,
    asking_seed,
    likelihoods_digest_of,
    openings_digest_of,
    pairs_digest_of,
    read_plan,
    sampling_of,
)
from stillroom.store.siblings import Answer, Likelihood

NOTHING = "sha256:" + "0" * 64
PLAN = Plan(
    name="first",
    question="Was it trained on these?",
    suspect="abacus-7b",
    accounts=("acct_1",),
    grade="recorded",
    primary=MeasureNamed(name="ngrams", version=1),
    samples=4,
    sampling=Sampling(temperature=1.0, max_tokens=256),
    level=0.05,
    pairs=60,
    questions=60,
    pairs_digest=NOTHING,
    openings_digest=NOTHING,
    created_at=1,
    by="Olga",
    software="stillroom",
)


def test_a_plan_is_read_back_and_its_digest_is_that_of_its_file() -> None:
    assert read_plan(PLAN.to_bytes(), "plan.json") == PLAN
    assert PLAN.model_copy(update={"level": 0.01}).digest != PLAN.digest


@given(st.integers(min_value=0, max_value=len(PLAN.to_bytes()) - 1), st.integers(min_value=1, max_value=255))
def test_any_other_byte_is_another_plan_or_none(place: int, change: int) -> None:
    data = bytearray(PLAN.to_bytes())
    data[place] ^= change
    try:
        read = read_plan(bytes(data), "plan.json")
    except DataError:
        return
    assert read != PLAN
    assert read.digest != PLAN.digest


def test_other_spellings_of_one_plan_are_refused() -> None:
    value = orjson.loads(PLAN.to_bytes())
    with pytest.raises(DataError, match="not spelled"):
        read_plan(orjson.dumps(value, option=orjson.OPT_INDENT_2), "plan.json")
    with pytest.raises(DataError, match=r"plan\.json is no plan of this version: colour"):
        read_plan(orjson.dumps({**value, "colour": 1}), "plan.json")
    with pytest.raises(DataError, match="no plan of this version"):
        read_plan(b"\xff", "plan.json")


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65])
def test_a_name_is_one_of_a_folder(name: str) -> None:
    with pytest.raises(DataError, match="name"):
        read_plan(PLAN.model_copy(update={"name": name}).to_bytes(), "plan.json")


def test_the_seed_follows_from_the_plan_where_it_has_none() -> None:
    assert sampling_of(PLAN) == PLAN.sampling.model_copy(update={"seed": asking_seed(PLAN.digest)})
    assert 0 <= asking_seed("sha256:" + "f" * 64) < 2**31
    chosen = PLAN.model_copy(update={"sampling": Sampling(seed=7)})
    assert sampling_of(chosen).seed == 7


def test_digests_are_over_rows_in_any_order() -> None:
    found = gathered(5)
    assert pairs_digest_of(found.pairs) == pairs_digest_of(found.pairs[::-1])
    assert openings_digest_of(found.openings, b"salt") == openings_digest_of(found.openings[::-1], b"salt")
    first = found.pairs[0]
    swapped = replace(first, first=first.second, second=first.first)
    assert pairs_digest_of([swapped, *found.pairs[1:]]) != pairs_digest_of(found.pairs)
    opening = found.openings[0]
    turned = replace(opening, coin=0 if opening.coin else 1)
    assert openings_digest_of([turned, *found.openings[1:]], b"salt") != openings_digest_of(found.openings, b"salt")
    assert openings_digest_of(found.openings, b"sale") != openings_digest_of(found.openings, b"salt")


def test_figures_that_are_no_numbers_have_digests_too() -> None:
    rows = [Likelihood("p", "suspect", float("nan"), float("-inf"), 3, 5)]
    assert likelihoods_digest_of(rows) != likelihoods_digest_of([replace(rows[0], first=0.0)])
    answers = [Answer("q", 0, "yes", None, None)]
    assert answers_digest_of(answers) != answers_digest_of([replace(answers[0], sample=1)])
