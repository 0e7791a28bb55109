from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from stillroom.base.errors import DataError, UsageError
from stillroom.testing.traffic import TRAFFIC_SECRET, Campaign, Traffic, bank_texts, benign, campaign
from stillroom.text.prints import Prints, epoch_at
from stillroom.text.sketch import likeness

DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000


def made(name: str = "made", seed: int = 1, **setting: Any) -> Traffic:
    values: dict[str, Any] = {"questions": 2_000, "accounts": 10, "bank": "word_problems", **setting}
    return campaign(Campaign(name, **values), seed)


@pytest.fixture(scope="module")
def bank() -> dict[str, int]:
    """The prints of the bank's questions, with their places."""
    prints = Prints(TRAFFIC_SECRET, epoch_at(made(questions=20).start_at))
    texts = (prints.texts(text, None).prompt for text in bank_texts("word_problems"))
    return {text: place for place, text in enumerate(texts) if text is not None}


def questions_of(traffic: Traffic, bank: dict[str, int]) -> dict[str, list[int]]:
    """Of each account, the places of the bank's questions that it asks, in their order."""
    found: dict[str, list[int]] = {}
    for account, prompt in zip(*(traffic.calls[name].to_pylist() for name in ("account", "prompt_print")), strict=True):
        if prompt in bank:
            found.setdefault(account, []).append(bank[prompt])
    return found


def test_disjoint_parts_cover_the_bank_together(bank: dict[str, int]) -> None:
    asked = questions_of(made(questions=7_473, accounts=30), bank)
    together = [place for places in asked.values() for place in places]
    assert len(together) == len({*together})
    assert len(together) > 0.99 * 7_473  # but for calls that were cut short
    assert len(asked) == 30


def test_more_questions_than_the_bank_has_are_asked_in_rounds(bank: dict[str, int]) -> None:
    asked = questions_of(made(questions=10_000, accounts=30), bank)
    times = Counter(place for places in asked.values() for place in places)
    assert max(times.values()) == 2
    assert len(times) > 7_400


def test_in_order_goes_through_the_bank_line_by_line(bank: dict[str, int]) -> None:
    asked = questions_of(made(split="in_order"), bank)
    assert all(places == sorted(places) for places in asked.values())
    assert {place for places in asked.values() for place in places} <= {*range(2_000)}


def test_at_random_accounts_overlap_by_chance(bank: dict[str, int]) -> None:
    asked = questions_of(made(split="random", questions=5_000), bank)
    together = [place for places in asked.values() for place in places]
    assert all(len(places) == len({*places}) for places in asked.values())
    assert len({*together}) < 0.95 * len(together)


def test_repeated_questions_are_asked_by_three(bank: dict[str, int]) -> None:
    asked = questions_of(made(split="repeated"), bank)
    times = Counter(place for places in asked.values() for place in places)
    assert np.mean([*times.values()]) > 2.9
    assert max(times.values()) == 3


def test_a_part_of_the_bank_is_half_of_it(bank: dict[str, int]) -> None:
    asked = questions_of(made(source="bank_part", questions=5_000), bank)
    assert len({place for places in asked.values() for place in places}) <= 7_473 // 2


@pytest.mark.parametrize("dilution", [0.0, 0.5, 0.95])
def test_dilution_is_the_share_of_other_calls(bank: dict[str, int], dilution: float) -> None:
    found = made(dilution=dilution)
    asked = sum(map(len, questions_of(found, bank).values()))
    assert len(found.calls) == round(2_000 / (1 - dilution))
    assert asked == pytest.approx(2_000, rel=0.05)


def test_rewordings_are_new_and_alike(bank: dict[str, int]) -> None:
    found = made(source="reworded", questions=300)
    assert not questions_of(found, bank)
    prints = Prints(TRAFFIC_SECRET, epoch_at(found.start_at))
    originals = [sketch for text in bank_texts("word_problems") if (sketch := prints.texts(text, None).sketch)]
    every = np.frombuffer(b"".join(originals), np.uint8).reshape(-1, 64)
    sketches: list[Any] = found.sketches["minhash"].to_pylist()[:40]
    nearest = [originals[int((every == np.frombuffer(sketch, np.uint8)).sum(axis=1).argmax())] for sketch in sketches]
    alike = [likeness(sketch, original) for sketch, original in zip(sketches, nearest, strict=True)]
    assert 0.42 < np.mean(alike) < 0.58
    assert min(alike) > 0.15


def test_templates_are_filled_anew_each_time() -> None:
    calls = made(source="template", questions=2_000).calls
    assert pc.count_distinct(calls["skeleton_print"]).as_py() == 2
    assert pc.count_distinct(calls["prompt_print"]).as_py() == len(calls) - calls["prompt_print"].null_count


def test_fresh_questions_have_nothing_of_a_bank(bank: dict[str, int]) -> None:
    calls = made(source="seeds").calls
    assert not {*calls["prompt_print"].to_pylist()} & {*bank}
    assert pc.count_distinct(calls["skeleton_print"]).as_py() > 0.99 * len(calls)


def shared(traffic: Traffic, column: str) -> int:
    """By how many organisations the most shared value is used."""
    by = traffic.calls.group_by(column).aggregate([("organisation", "count_distinct")])
    return int(pc.max(by.filter(pc.is_valid(by[column]))["organisation_count_distinct"]).as_py())


def test_families_of_links_are_left_and_no_others() -> None:
    columns = {"network": "ip_print", "payment": "billing_print"}
    for family, column in columns.items():
        found = made(accounts=30, families=frozenset({family}))
        assert shared(found, column) >= 10
        for other in {*columns.values()} - {column}:
            assert shared(found, other) <= 3  # a VPN of many customers, at most
    client = made(accounts=30, families=frozenset({"client"})).calls
    assert pc.count_distinct(client["agent"]).as_py() == pc.count_distinct(client["system_print"]).as_py() == 1
    assert len({*made(families=frozenset({"network"}), networks=3).calls["ip_print"].drop_null().to_pylist()}) == 3


def hours_of_days(traffic: Traffic) -> Any:
    return traffic.calls["at"].to_numpy() // HOUR_US


def test_in_step_accounts_call_in_the_same_hours_of_each_day() -> None:
    found = made(families=frozenset({"time"}))
    hours = hours_of_days(found)
    assert all(len({*hours[hours // 24 == day].tolist()}) <= 4 for day in {*(hours // 24).tolist()})
    assert len({*(hours % 24).tolist()}) > 12


def test_turns_are_taken_by_days() -> None:
    found = made(families=frozenset({"time"}), time="turns", accounts=5)
    by = found.calls.append_column("day", pa.array(hours_of_days(found) // 24)).group_by("day")
    assert {*by.aggregate([("account", "count_distinct")])["account_count_distinct"].to_pylist()} == {1}


def test_in_a_relay_one_stops_where_the_next_starts() -> None:
    found = made(families=frozenset({"time"}), time="relay", accounts=7)
    spans = found.calls.group_by("account").aggregate([("at", "min"), ("at", "max")]).sort_by("at_min").to_pylist()
    assert all(one["at_max"] < other["at_min"] for one, other in pairwise(spans))


def test_replaced_accounts_go_on_with_the_same_card() -> None:
    found = made(accounts=12, replaced=4, families=frozenset({"payment"}))
    assert len(found.truth) == 16
    spans = found.calls.group_by("account").aggregate([("at", "min"), ("at", "max")])
    assert len(spans) == 16
    assert (spans["at_min"].to_numpy() > found.start_at + 4 * DAY_US).sum() >= 4
    prints: list[Any] = found.events["prints"].to_pylist()
    cards = [json.loads(of_account)["billing"] for of_account in prints]
    assert len({*cards}) == 2
    assert {*cards} == {*found.calls["billing_print"].to_pylist()}


def test_it_lasts_as_long_as_it_is_told() -> None:
    found = made(days=5, start_day=9)
    day = (found.calls["at"].to_numpy() - found.start_at) // DAY_US
    assert 9 <= day.min() <= day.max() < 14
    assert pc.min(found.events["at"]).as_py() >= found.start_at + 9 * DAY_US


def test_accounts_may_belong_to_fewer_organisations() -> None:
    found = made(accounts=10, organisations=3)
    assert pc.count_distinct(found.truth["organisation"]).as_py() == 3
    assert {*found.truth["role"].to_pylist()} == {"campaign"}


@pytest.mark.parametrize("accounts", [1, 2_000])
def test_it_is_as_large_as_it_is_told(accounts: int) -> None:
    families = frozenset({"network", "payment", "client", "time"})
    for time in ("in_step", "turns", "relay"):
        found = made(accounts=accounts, families=families, time=time, questions=2_500)
        assert pc.count_distinct(found.calls["account"]).as_py() == accounts


def test_it_is_laid_over_benign_traffic() -> None:
    beside = benign(9, organisations=30, calls_per_organisation=20, twins=())
    found = campaign(Campaign("over", 300, 5, bank="word_problems"), 4, beside)
    together = beside.with_traffic(found)
    assert len(together.calls) == len(beside.calls) + 300
    assert len(together.truth) == len(beside.truth) + 5
    # It lives in the same world: its programs are those of the others.
    assert len({*found.calls["agent"].to_pylist()} & {*beside.calls["agent"].to_pylist()}) > 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dilution": 0.99}, "dilution is 0 to 0.95"),
        ({"families": frozenset({"country"})}, "families are of"),
        ({"extras": frozenset({"more"})}, "extras are of"),
        ({"accounts": 0}, "questions and accounts"),
        ({"organisations": 11}, "organisations are 1 to accounts"),
        ({"replaced": 11}, "replaced is 0 to accounts"),
        ({"source": "books"}, "source is one of"),
        ({"bank": "books"}, "bank is one of"),
        ({"split": "even"}, "split is"),
        ({"days": 0}, "networks and days"),
    ],
)
def test_what_cannot_be_made_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**wrong)


def test_what_does_not_fit_the_traffic_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lasts to day 30 of 28"):
        made(start_day=2)
    with pytest.raises(DataError, match="gsm8k_train is not bundled"):
        made(bank="gsm8k_train")
    with pytest.raises(DataError, match="cannot be read"):
        bank_texts("math", tmp_path)
    (tmp_path / "math_problems.jsonl").write_text('{"problem": "1 + 1?"}\nno json\n')
    with pytest.raises(DataError, match="cannot be read"):
        bank_texts("math", tmp_path)
    with pytest.raises(DataError, match="servegen"):
        benign(1, organisations=5, data=tmp_path)
