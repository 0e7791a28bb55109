"""No single column tells a campaign from customers, but for those that its setting is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.stats import rankdata

from stillroom.testing.traffic import Campaign, Traffic, campaign

MOST = 0.6
ACCOUNTS = 300
CALLS_LOOKED_AT = 6
"""Of each account: the busiest would decide everything otherwise."""
DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000

NUMBERS = (
    "turns", "max_tokens", "temperature", "n", "prompt_tokens", "cached_tokens", "completion_tokens",
    "reasoning_tokens", "latency_us", "http_status", "stream", "asks_reasoning", "asks_logprobs", "asks_grading",
    "cost_usd",
)  # fmt: skip
CATEGORIES = (
    "model", "route", "agent", "tls_print", "ip_print", "billing_print", "user_print", "system_print", "counted_by",
    "status", "permit_id", "prompt_print", "skeleton_print",
)  # fmt: skip
TEXTS = {"prompt_print", "skeleton_print"}
"""What every campaign is about."""
TIME = {"at", "hour", "day", "gap", "first", "last"}

SPLITS = ("disjoint", "random", "in_order", "repeated")
SOURCES = ("bank_part", "reworded", "template", "seeds")
KINDS: list[tuple[dict[str, Any], set[str]]] = [
    *(({"split": split}, set()) for split in SPLITS),
    *(({"source": source}, set()) for source in SOURCES),
    ({"families": frozenset({"network"})}, {"ip_print"}),
    ({"families": frozenset({"payment"})}, {"billing_print"}),
    ({"families": frozenset({"client"})}, {"agent", "tls_print", "system_print"}),
    *(({"families": frozenset({"time"}), "time": link}, TIME) for link in ("in_step", "turns", "relay")),
    ({"extras": frozenset({"asks_reasoning"})}, {"asks_reasoning", "reasoning_tokens"}),
    ({"extras": frozenset({"many_samples"})}, {"n"}),
    (
        {"extras": frozenset({"long_replies"})},
        {"prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "latency_us", "cost_usd"},
    ),
    ({"extras": frozenset({"logprobs"})}, {"asks_logprobs"}),
    ({"extras": frozenset({"grading"})}, {"asks_grading"}),
    ({"extras": frozenset({"single_turn"})}, {"turns"}),
    ({"extras": frozenset({"regular"})}, TIME),
    ({"extras": frozenset({"volume"})}, TIME),
    ({"extras": frozenset({"new_model"})}, {"model"}),
    ({"replaced": 60}, TIME),
    ({"days": 14, "start_day": 7}, TIME),
    ({"organisations": 100}, set()),
    ({"dilution": 0.0}, set()),
    ({"dilution": 0.9}, set()),
]


@dataclass(frozen=True)
class Known:
    """What is looked at of traffic."""

    few: pa.Table
    habits: dict[str, npt.NDArray[np.float64]]


@pytest.fixture(scope="module")
def known(customers: Traffic) -> Known:
    return Known(few_of_each(customers), habits(customers))


@pytest.mark.parametrize(("setting", "about"), KINDS, ids=[str(setting) for setting, _ in KINDS])
def test_only_what_the_setting_is_about_separates(
    customers: Traffic, known: Known, setting: dict[str, Any], about: set[str]
) -> None:
    dilution = setting.get("dilution", 0.5)
    calls = len(customers.calls) / len(customers.truth) * ACCOUNTS
    kind = {"dilution": dilution, **setting}
    questions = round(calls * (1 - dilution))
    found = campaign(
        Campaign("kind", accounts=ACCOUNTS, questions=questions, bank="word_problems", **kind), 8, customers
    )
    separates = {
        name: area
        for name, area in areas(known, found).items()
        if area > MOST and name.partition(" ")[0] not in about | TEXTS
    }
    assert not separates


def test_a_column_that_separates_is_seen(customers: Traffic, known: Known) -> None:
    setting = Campaign(
        "seen",
        4_000,
        ACCOUNTS,
        bank="word_problems",
        families=frozenset({"payment"}),
        extras=frozenset({"many_samples"}),
    )
    area = areas(known, campaign(setting, 8, customers))
    assert area["n of calls"] > 0.9
    assert area["billing_print is shared of accounts"] > 0.9


def areas(known: Known, found: Traffic) -> dict[str, float]:
    """The area under the curve of each column, larger or smaller whichever is more: of calls, and of accounts."""
    both = pa.concat_tables([known.few, few_of_each(found)])
    is_found = pc.is_in(both["account"], value_set=found.truth["account"].combine_chunks()).to_numpy(
        zero_copy_only=False
    )
    account = codes_of(both["account"])
    of_accounts = np.zeros(account.max() + 1, np.bool_)
    of_accounts[account] = is_found
    result = {}
    for name, values in columns(both).items():
        result[f"{name} of calls"] = area_of(values, is_found)
        is_said = ~np.isnan(values)
        sums = np.bincount(account[is_said], values[is_said], len(of_accounts))
        counts = np.bincount(account[is_said], minlength=len(of_accounts))
        means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
        result[f"{name} of accounts"] = area_of(means, of_accounts)
    one, other = known.habits, habits(found)
    for name in one:
        values = np.concatenate([one[name], other[name]])
        result[name] = area_of(values, np.arange(len(values)) >= len(one[name]))
    return result


def few_of_each(traffic: Traffic) -> pa.Table:
    calls = traffic.calls
    account = codes_of(calls["account"])
    order = np.lexsort((np.random.default_rng(0).random(len(account)), account))
    starts = np.flatnonzero(np.diff(account[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return calls.take(order[place < CALLS_LOOKED_AT])


def columns(calls: pa.Table) -> dict[str, npt.NDArray[np.float64]]:
    at = calls["at"].to_numpy()
    result = {"at": at.astype(np.float64), "hour": at // HOUR_US % 24.0, "day of the week": at // DAY_US % 7.0}
    for name in NUMBERS:
        values = calls[name].cast(pa.float64()).to_numpy()
        result[name] = values
        result[f"{name} is there"] = (~np.isnan(values)).astype(np.float64)
    for name in CATEGORIES:
        is_there = calls[name].is_valid().to_numpy()
        code = codes_of(pc.if_else(calls[name].is_valid(), calls[name], ""))
        result[f"{name} is there"] = is_there.astype(np.float64)
        shared = pa.table({"code": code[is_there], "by": calls["organisation"].filter(pa.array(is_there))})
        organisations = shared.group_by("code").aggregate([("by", "count_distinct")])
        by = np.zeros(code.max(initial=0) + 1)
        by[organisations["code"].to_numpy()] = organisations["by_count_distinct"].to_numpy()
        result[f"{name} is shared"] = np.where(is_there, by[code], 0.0)
    return result


def habits(traffic: Traffic) -> dict[str, npt.NDArray[np.float64]]:
    """Of each account."""
    calls = traffic.calls
    at = calls["at"].to_numpy()
    table = calls.select(["account", "at", *CATEGORIES]).append_column("day", pa.array(at // DAY_US))
    table = table.append_column("hour", pa.array(at // HOUR_US % 24))
    names = ("day", "hour", "ip_print", "agent", "model", "system_print", "user_print", "billing_print")
    found = table.group_by("account").aggregate(
        [("at", "count"), ("at", "min"), ("at", "max"), *((name, "count_distinct") for name in names)]
    )
    result = {f"{name} in how many": found[f"{name}_count_distinct"].to_numpy().astype(np.float64) for name in names}
    result["volume"] = found["at_count"].to_numpy().astype(np.float64)
    result["first"] = found["at_min"].to_numpy().astype(np.float64)
    result["last"] = found["at_max"].to_numpy().astype(np.float64)
    return result


def codes_of(column: pa.ChunkedArray[Any]) -> npt.NDArray[np.int32]:
    """A number for each different value."""
    encoded: Any = pc.dictionary_encode(column).combine_chunks()
    return np.asarray(encoded.indices)


def area_of(values: npt.NDArray[np.float64], is_found: npt.NDArray[np.bool_]) -> float:
    known = ~np.isnan(values)
    values, is_found = values[known], is_found[known]
    positives, negatives = is_found.sum(), (~is_found).sum()
    if min(positives, negatives) < 20:
        return 0.5
    area = (rankdata(values)[is_found].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(area, 1 - area))
