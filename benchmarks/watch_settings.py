"""The campaigns that benchmarks/watch_detection.py lays over benign traffic, fixed before the detector was written.

Half of them, chosen by a digest of their names, may be looked at while the detector is worked on; the other half is
what is reported. `headline`: 5,000 questions or more from known banks or templates, links of two families, up to 200
accounts, up to half of the calls unrelated.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Any, Literal

from stillroom.testing.traffic import Campaign

HEADLINE_MOST_ACCOUNTS, HEADLINE_MOST_DILUTION, HEADLINE_FEWEST_QUESTIONS = 200, 0.5, 5_000


def _campaign(
    name: str,
    families: str = "",
    *,
    questions: int = 5_000,
    accounts: int = 100,
    dilution: float = 0.25,
    days: int = 14,
    start_day: int = 14,
    source: Literal["bank", "bank_part", "reworded", "template", "seeds"] = "bank",
    extras: Collection[str] = (),
    **others: Any,
) -> Campaign:
    return Campaign(
        name=name,
        questions=questions,
        accounts=accounts,
        source=source,
        dilution=dilution,
        families=frozenset(families.split()),
        days=days,
        start_day=start_day,
        extras=frozenset(extras),
        **others,
    )


CAMPAIGNS: tuple[Campaign, ...] = (
    # Banks, two families.
    _campaign("bank: network, payment", "network payment", accounts=50, dilution=0.0),
    _campaign("bank: network, client, 200 accounts, half diluted", "network client", accounts=200, dilution=0.5),
    _campaign("bank: network, time", "network time"),
    _campaign("bank: payment, client, 200 accounts, half diluted", "payment client", accounts=200, dilution=0.5),
    _campaign("bank: payment, time, half diluted", "payment time", accounts=50, dilution=0.5, time="turns"),
    _campaign("bank: client, time, 200 accounts", "client time", accounts=200),
    _campaign("bank: 20 networks, payment", "network payment", networks=20),
    _campaign("bank: 60 networks, client, half diluted", "network client", networks=60, dilution=0.5),
    _campaign("bank at random: network, client", "network client", split="random"),
    _campaign("bank at random: payment, client, half diluted", "payment client", split="random", dilution=0.5),
    _campaign("bank asked twice: payment, time", "payment time", split="repeated", accounts=50),
    _campaign(
        "bank in order: network, payment, 200 accounts, half diluted",
        "network payment",
        split="in_order",
        accounts=200,
        dilution=0.5,
    ),
    _campaign("bank, 10 accounts: network, client, half diluted", "network client", accounts=10, dilution=0.5),
    _campaign("bank, 20 accounts: client, time", "client time", accounts=20),
    _campaign("bank, accounts replaced: network, payment", "network payment", replaced=30),
    _campaign("bank, accounts replaced: payment, client", "payment client", replaced=30, dilution=0.5),
    _campaign("half a bank: network, payment, half diluted", "network payment", source="bank_part", dilution=0.5),
    _campaign(
        "bank: all four families, 200 accounts, half diluted", "network payment client time", accounts=200, dilution=0.5
    ),
    # The bank's questions in other words.
    _campaign("reworded bank: network, payment", "network payment", source="reworded"),
    _campaign(
        "reworded bank: payment, client, half diluted", "payment client", source="reworded", accounts=50, dilution=0.5
    ),
    _campaign("reworded bank: client, time, 200 accounts", "client time", source="reworded", accounts=200),
    # One template filled thousands of times.
    _campaign(
        "template: network, payment, 200 accounts, half diluted",
        "network payment",
        source="template",
        accounts=200,
        dilution=0.5,
    ),
    _campaign("template: network, client", "network client", source="template"),
    _campaign("template: network, time, half diluted", "network time", source="template", accounts=50, dilution=0.5),
    _campaign("template: payment, client, half diluted", "payment client", source="template", dilution=0.5),
    _campaign(
        "template: payment, time, 200 accounts",
        "payment time",
        source="template",
        accounts=200,
        dilution=0.0,
        time="relay",
    ),
    _campaign("template: client, time", "client time", source="template", time="turns"),
    _campaign("template, 10 accounts: payment, time", "payment time", source="template", accounts=10),
    # Two thousand accounts.
    _campaign(
        "bank, 2,000 accounts: network, payment, half diluted",
        "network payment",
        questions=20_000,
        accounts=2_000,
        networks=100,
        dilution=0.5,
    ),
    _campaign("bank, 2,000 accounts: client, time", "client time", questions=20_000, accounts=2_000),
    _campaign(
        "template, 2,000 accounts: payment, client, half diluted",
        "payment client",
        source="template",
        questions=20_000,
        accounts=2_000,
        dilution=0.5,
    ),
    # One family of links, or none.
    _campaign("bank: network only", "network"),
    _campaign("bank: payment only, half diluted", "payment", dilution=0.5),
    _campaign("bank: client only", "client"),
    _campaign("bank: time only", "time"),
    _campaign("bank: no link"),
    _campaign("reworded bank: no link", source="reworded"),
    _campaign("template: network only", "network", source="template"),
    _campaign("template: client only", "client", source="template"),
    _campaign("template: no link", source="template"),
    # Fresh questions, made from seeds.
    _campaign("fresh questions: network, payment", "network payment", source="seeds"),
    _campaign("fresh questions: client, time", "client time", source="seeds"),
    _campaign("fresh questions: payment, time, half diluted", "payment time", source="seeds", dilution=0.5),
    _campaign(
        "fresh questions: payment, many samples", "payment", source="seeds", accounts=50, extras=["many_samples"]
    ),
    _campaign(
        "fresh questions: network, payment, reasoning asked for",
        "network payment",
        source="seeds",
        accounts=50,
        extras=["asks_reasoning"],
    ),
    _campaign("fresh questions: no link", source="seeds"),
    # Diluted, slow, small.
    _campaign("bank: network, payment, 90 % diluted", "network payment", dilution=0.9),
    _campaign("bank: network, client, 95 % diluted", "network client", dilution=0.95),
    _campaign("template: payment, client, 90 % diluted", "payment client", source="template", dilution=0.9),
    _campaign(
        "slow bank, four weeks: network, payment",
        "network payment",
        questions=2_000,
        days=28,
        start_day=0,
        dilution=0.5,
    ),
    _campaign(
        "slow template, four weeks: payment, time",
        "payment time",
        source="template",
        questions=2_000,
        days=28,
        start_day=0,
    ),
    _campaign("500 questions, 20 accounts: network, payment", "network payment", questions=500, accounts=20),
    _campaign("1,000 questions, 50 accounts: client, time", "client time", questions=1_000, accounts=50),
    _campaign(
        "500 fills, 20 accounts: payment, client", "payment client", source="template", questions=500, accounts=20
    ),
    # Few accounts.
    _campaign("one account, a whole bank", accounts=1, questions=4_000, dilution=0.0),
    _campaign("one account, a whole bank, half diluted", accounts=1, questions=4_000, dilution=0.5),
    _campaign(
        "one account, a template, long replies", accounts=1, source="template", extras=["long_replies", "single_turn"]
    ),
    _campaign(
        "one account, fresh questions, reasoning asked for", accounts=1, source="seeds", extras=["asks_reasoning"]
    ),
    _campaign("5 accounts, bank: network, payment", "network payment", accounts=5),
    _campaign("bank, turning to a new model: network", "network", accounts=50, extras=["new_model"]),
)


def is_headline(campaign: Campaign) -> bool:
    return (
        campaign.questions >= HEADLINE_FEWEST_QUESTIONS
        and campaign.source != "seeds"
        and len(campaign.families) >= 2
        and 2 <= campaign.accounts <= HEADLINE_MOST_ACCOUNTS
        and campaign.dilution <= HEADLINE_MOST_DILUTION
    )


def develop_half() -> frozenset[str]:
    """Names of the settings that may be looked at; of those in the headline half, and of the others half."""
    chosen: set[str] = set()
    for headline in (True, False):
        names = [campaign.name for campaign in CAMPAIGNS if is_headline(campaign) is headline]
        names.sort(key=lambda name: sha256(name.encode()).hexdigest())
        chosen.update(names[::2])
    return frozenset(chosen)
