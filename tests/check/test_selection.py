from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from stillroom.check.decide import Decision
from stillroom.check.rows import ROWS
from stillroom.check.selection import OWN, Lots, quota, select_of_question
from stillroom.check.settings import CheckSettings, MixSettings

# A row as the selection sees it: id, source, where it is from, whether it is long.
Candidate = tuple[str, str, int, bool]


def kept(rows: list[Candidate], settings: CheckSettings) -> set[str]:
    lots = Lots(settings.seed)
    for name, source, origin, is_long in rows:
        lots.add(name, source, origin, is_long=is_long)
    out = lots.left_out(settings)
    assert all(0 <= index < len(rows) for index in out)
    return {name for index, (name, *_) in enumerate(rows) if index not in out}


def mix(*weights: float | None) -> tuple[MixSettings, ...]:
    return tuple(MixSettings(path=f"{number}.jsonl", weight=weight) for number, weight in enumerate(weights))


def rows_of(count: int, **columns: Any) -> list[Candidate]:
    source, origin, is_long = columns.get("source", "s"), columns.get("origin", OWN), columns.get("is_long", False)
    return [(f"{source} {origin} {is_long} {number}", source, origin, is_long) for number in range(count)]


def test_without_settings_all_are_kept() -> None:
    rows = [*rows_of(5), *rows_of(5, is_long=True), *rows_of(5, origin=0)]
    assert kept(rows, CheckSettings()) == {name for name, *_ in rows}


def test_no_source_has_more_than_its_most() -> None:
    rows = [*rows_of(100, source="large"), *rows_of(7, source="small")]
    names = kept(rows, CheckSettings(most_per_source=10))
    assert Counter(name.split()[0] for name in names) == {"large": 10, "small": 7}


@pytest.mark.parametrize(("weight", "there", "wanted"), [(0.2, 50, 20), (0.2, 7, 7), (2.0, 300, 200), (0.001, 9, 0)])
def test_a_weight_is_relative_to_what_is_kept_of_the_teacher(weight: float, there: int, wanted: int) -> None:
    rows = [*rows_of(100), *rows_of(there, origin=0), *rows_of(30, origin=1)]
    names = kept(rows, CheckSettings(mix=mix(weight, None)))
    assert Counter(name.split()[1] for name in names) == {"-1": 100, "1": 30} | ({"0": wanted} if wanted else {})


@pytest.mark.parametrize(
    ("long", "short", "share", "expected"),
    [
        (100, 100, 0.2, (25, 100)),
        (10, 200, 0.2, (10, 40)),
        (25, 100, 0.2, (25, 100)),
        (100, 100, 0.5, (100, 100)),
        (100, 10, 0.8, (40, 10)),
        (100, 10, 0.0, (0, 10)),
        (100, 10, 1.0, (100, 0)),
        (0, 10, 0.2, (0, 10)),
        (10, 0, 0.2, (10, 0)),
        (1, 1, 0.2, (0, 1)),
        (0, 0, 0.3, (0, 0)),
    ],
)
def test_long_and_short(long: int, short: int, share: float, expected: tuple[int, int]) -> None:
    assert quota(long, short, share) == expected
    names = kept([*rows_of(long, is_long=True), *rows_of(short)], CheckSettings(long_share=share))
    assert (sum("True" in name for name in names), sum("False" in name for name in names)) == expected


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 99))
def test_the_share_of_long_ones_is_what_was_asked_for_to_within_one_row(long: int, short: int, percent: int) -> None:
    share = percent / 100
    long_kept, short_kept = quota(long, short, share)
    assert long_kept <= long
    assert short_kept <= short
    assert long_kept == long or short_kept == short, "no more is left out than the share asks for"
    together = long_kept + short_kept
    assert abs(long_kept - share * together) <= 1


names = st.integers(0, 10_000).map(str)
candidate = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(OWN, 1), st.booleans())
bags = st.dictionaries(names, candidate, min_size=1, max_size=60)


def as_rows(bag: dict[str, tuple[str, int, bool]]) -> list[Candidate]:
    return [(name, *rest) for name, rest in bag.items()]


@given(bags, st.randoms(use_true_random=False), st.integers(0, 5))
def test_the_order_of_rows_makes_no_difference(bag: dict[str, Any], random: Any, seed: int) -> None:
    settings = CheckSettings(most_per_source=9, long_share=0.3, mix=mix(0.5, None), seed=seed)
    rows = as_rows(bag)
    shuffled = random.sample(rows, len(rows))
    assert kept(rows, settings) == kept(shuffled, settings)


@given(bags, names, candidate, st.integers(1, 9))
def test_one_more_row_changes_at_most_one_other_of_a_source(
    bag: dict[str, Any], name: str, row: Any, most: int
) -> None:
    settings = CheckSettings(most_per_source=most)
    before = kept(as_rows(bag), settings)
    after = kept(as_rows({**bag, name: row} if name not in bag else bag), settings)
    assert len((before ^ after) - {name}) <= 1


@given(bags, names, candidate)
def test_one_more_row_changes_at_most_one_other_of_a_weight(bag: dict[str, Any], name: str, row: Any) -> None:
    settings = CheckSettings(mix=mix(0.5, 1.0))
    before = kept(as_rows(bag), settings)
    after = kept(as_rows({**bag, name: row} if name not in bag else bag), settings)
    # One of the teacher's makes place for one more of each file at most (weights up to 1).
    assert len((before ^ after) - {name}) <= (2 if row[1] == OWN else 1)
    assert before - {name} <= after or row[1] != OWN, "more of the teacher's never costs a row"


@given(bags, names, candidate, st.sampled_from([0.2, 0.25, 0.5, 0.8]))
def test_one_more_row_lets_in_as_many_as_the_share_makes_of_it(
    bag: dict[str, Any], name: str, row: Any, share: float
) -> None:
    settings = CheckSettings(long_share=share)
    there = {each: columns[2] for each, columns in bag.items()}
    after_bag = {**bag, name: row} if name not in bag else bag
    assume(len(set(there.values())) == 2)  # as long as one kind is missing, nothing is left out
    before, after = kept(as_rows(bag), settings), kept(as_rows(after_bag), settings)
    per_row = max(share / (1 - share), (1 - share) / share)
    assert len((before ^ after) - {name}) <= 1 + int(per_row + 1)


def test_another_seed_draws_others() -> None:
    rows = rows_of(200)
    drawn = [kept(rows, CheckSettings(most_per_source=50, seed=seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert 5 < len(drawn[0] & drawn[2]) < 30, "about a quarter of a quarter"


# Of one question


def decision(sample: int, tokens: int | None, text: str = "x") -> Decision:
    row = dict.fromkeys(ROWS.names) | {"sample": sample, "completion_tokens": tokens, "answer": text, "reasoning": None}
    return Decision(row)


def left(settings: CheckSettings, decisions: list[Decision], difficulty: float | None = None) -> list[int]:
    select_of_question(decisions, settings, difficulty)
    return [each.reply["sample"] for each in decisions if each.reason is None]


@pytest.mark.parametrize(
    ("difficulty", "reason"),
    [(0.0, "too_hard"), (0.1, None), (0.5, None), (0.9, None), (0.95, "too_easy"), (1.0, "too_easy"), (None, None)],
)
def test_difficulty(difficulty: float | None, reason: str | None) -> None:
    decisions = [decision(0, 5), decision(1, 6)]
    decisions[1].reject("wrong", "another number")
    select_of_question(decisions, CheckSettings(pass_rate=(0.1, 0.9)), difficulty)
    assert [each.reason for each in decisions] == [reason, "wrong"]


def test_shortest_first_by_one_measure() -> None:
    shortest = CheckSettings(keep="shortest_right", per_question=2)
    assert left(shortest, [decision(0, 30), decision(1, 10), decision(2, 20)]) == [1, 2]
    assert left(shortest, [decision(0, 1, "long text"), decision(1, None, "text"), decision(2, 9, "t")]) == [1, 2]
    assert left(CheckSettings(per_question=1), [decision(0, 30), decision(1, 10)]) == [0]


@pytest.mark.parametrize(
    "settings",
    [
        {"pass_rate": [0.9, 0.1]},
        {"pass_rate": [-0.1, 0.5]},
        {"pass_rates": "rates.jsonl"},
        {"long_share": 1.5},
        {"most_per_source": 0},
        {"agreement": 0.5},
        {"language": "english"},
        {"ignore": ["wrong"]},
        {"mix": [{"path": "a.jsonl", "weight": 0}]},
        {"held_out": 1.0},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CheckSettings.model_validate(settings)


def test_a_wrong_language_names_the_nearest() -> None:
    with pytest.raises(ValidationError, match="perhaps same_as_question"):
        CheckSettings(language="same_as_questions")
