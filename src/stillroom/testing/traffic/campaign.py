"""Campaigns: accounts that together ask a teacher for a data set, and else are like any customer's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from stillroom.base.errors import UsageError
from stillroom.testing.traffic.accounts import Accounts, draw_accounts
from stillroom.testing.traffic.benign import START_AT
from stillroom.testing.traffic.calls import draw_calls
from stillroom.testing.traffic.extras import EXTRAS, Asked
from stillroom.testing.traffic.keys import stream
from stillroom.testing.traffic.linked import FAMILIES, link_accounts, replace_accounts, step_together
from stillroom.testing.traffic.questions import SOURCES, ask_questions, asking_rows, calls_needed
from stillroom.testing.traffic.sources import BANKS
from stillroom.testing.traffic.traffic import Traffic, traffic_of
from stillroom.testing.traffic.world import World, make_world

_WEEKS = 4
_MEAN_CALLS = 250.0
_MOST_DILUTED = 0.95


@dataclass(frozen=True)
class Campaign:
    """One setting. Raises ValueError where it cannot be made."""

    name: str
    questions: int = 4_000
    """In all: more than the bank has are asked in rounds."""
    accounts: int = 20
    organisations: int | None = None
    """None: as many as accounts."""
    source: Literal["bank", "bank_part", "reworded", "template", "seeds"] = "bank"
    """`bank_part`: a random half of it; `reworded`: new wordings of its questions, 35 to 65 % alike; `template`: a few
    templates, filled anew each time; `seeds`: fresh questions that have up to a third in common with one of 175."""
    bank: str = "gsm8k_train"
    split: Literal["disjoint", "random", "repeated", "in_order"] = "disjoint"
    """How accounts divide the questions: each its part, at random or in the bank's order; each at random from all; each
    question asked by three of them."""
    dilution: float = 0.0
    """The share of its calls that are as a customer's: 0 to 0.95."""
    families: frozenset[str] = field(default_factory=frozenset)
    """The links that it leaves: `network`, `payment`, `client`, `time`."""
    time: Literal["in_step", "turns", "relay"] = "in_step"
    """The link in time: the same few hours of each day; disjoint days by turns; one stops where the next one starts."""
    networks: int = 4
    """How many networks it calls from, where the network links it."""
    days: int = 28
    start_day: int = 0
    replaced: int = 0
    """Accounts that are closed on the way, each followed by a new one."""
    extras: frozenset[str] = field(default_factory=frozenset)
    """`asks_reasoning`, `many_samples`, `long_replies`, `logprobs`, `grading`, `single_turn`, `regular`, `new_model`,
    `volume` (all of it within two days)."""

    def __post_init__(self) -> None:
        organisations = self.accounts if self.organisations is None else self.organisations
        problems = {
            "questions and accounts are at least 1": min(self.questions, self.accounts) >= 1,
            "organisations are 1 to accounts": 1 <= organisations <= self.accounts,
            "dilution is 0 to 0.95": 0 <= self.dilution <= _MOST_DILUTED,
            f"families are of {sorted(FAMILIES)}": self.families <= FAMILIES,
            f"extras are of {sorted(EXTRAS)}": self.extras <= set(EXTRAS),
            f"source is one of {SOURCES}": self.source in SOURCES,
            f"bank is one of {BANKS}": self.bank in BANKS,
            "split is disjoint, random, repeated or in_order": self.split
            in ("disjoint", "random", "repeated", "in_order"),
            "time is in_step, turns or relay": self.time in ("in_step", "turns", "relay"),
            "networks and days are at least 1": min(self.networks, self.days) >= 1,
            "start_day is at least 0": self.start_day >= 0,
            "replaced is 0 to accounts": 0 <= self.replaced <= self.accounts,
        }
        wrong = [rule for rule, holds in problems.items() if not holds]
        if wrong:
            raise ValueError(f"campaign {self.name}: {'; '.join(wrong)}")


def campaign(setting: Campaign, seed: int, beside: Traffic | None = None) -> Traffic:
    """The campaign's accounts and calls alone: `beside.with_traffic(campaign(...))` lays them over benign ones.

    Without `beside`, four weeks of a world of its own, from bundled data. Raises UsageError where it would last longer
    than the traffic beside it, and DataError where the bank is in a folder that the traffic was made without.
    """
    world = make_world(seed, None, START_AT, _WEEKS * 7) if beside is None else beside.world()
    if setting.start_day + setting.days > world.days:
        raise UsageError(
            f"Campaign {setting.name} lasts to day {setting.start_day + setting.days} of {world.days}.",
            "Give fewer days, or traffic of more weeks.",
        )
    name = f"campaign {setting.name}"
    links = stream(seed, f"{name} links")
    accounts = _accounts(stream(seed, f"{name} accounts"), world, setting)
    link_accounts(links, world, accounts, setting.families, setting.networks)
    replace_accounts(links, accounts, setting.replaced)
    draft = draw_calls(stream(seed, f"{name} calls"), world, accounts)
    asked = stream(seed, f"{name} questions")
    rows = asking_rows(asked, draft, setting)
    for extra in EXTRAS:
        if extra in setting.extras:
            EXTRAS[extra](Asked(stream(seed, f"{name} {extra}"), world, draft, rows))
    if "time" in setting.families:
        step_together(links, world, draft, rows, setting)
    ask_questions(asked, world, draft, rows, setting)
    return traffic_of(seed, world, draft, name)


def _accounts(generator: np.random.Generator, world: World, setting: Campaign) -> Accounts:
    """Drawn as customers' are, and their volumes scaled to what the campaign needs."""
    accounts = draw_accounts(generator, world, setting.accounts + setting.replaced, _MEAN_CALLS, "campaign")
    organisations = setting.accounts if setting.organisations is None else setting.organisations
    member = np.arange(setting.accounts)
    accounts.organisation[: setting.accounts] = accounts.organisation[member % organisations]
    # Half of customers' accounts share their organisation's calls with others.
    part = np.where(member % 2, 1.0, generator.beta(1, 2, len(member)))
    volume = accounts.volume[: setting.accounts].astype(np.float64) * part
    accounts.volume[: setting.accounts] = _scaled(volume, calls_needed(setting))
    scale = setting.days / world.days
    accounts.first_day = setting.start_day + accounts.first_day * scale
    accounts.last_day = setting.start_day + accounts.last_day * scale
    return accounts


def _scaled(volume: npt.NDArray[np.float64], total: int) -> npt.NDArray[np.int64]:
    """Whole numbers of at least 1 that add up to `total`, in proportion."""
    ends = np.round(np.cumsum(volume) / volume.sum() * (total - len(volume))).astype(np.int64)
    return np.asarray(np.diff(ends, prepend=0) + 1)
