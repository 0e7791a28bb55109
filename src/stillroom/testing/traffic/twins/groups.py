"""Many accounts that have something in common: tenants, an office, a firm, one customer's companies."""

from __future__ import annotations

import numpy as np

from stillroom.testing.traffic.accounts import AGAIN, NEW, PIECES, TEMPLATE
from stillroom.testing.traffic.calls import Draft, draw_calls
from stillroom.testing.traffic.keys import fresh, number_of, paired
from stillroom.testing.traffic.twins.shaping import (
    asking_only,
    customers,
    of_one_organisation,
    on_weekdays,
    with_one_program,
    within_hours,
)
from stillroom.testing.traffic.world import DAY_US, NEW_MODEL, World, draw_programs

_PASSED_ON = (
    "turns", "max_tokens", "temperature", "n", "model", "stream", "asks_reasoning", "system", "prompt_tokens",
    "cached_tokens", "completion_tokens", "reasoning_tokens", "latency_us",
)  # fmt: skip
"""Columns of a reseller's calls that are as its customers made them."""
TENANTS, PEOPLE, LABELLERS = 200, 500, 60


def template_application(generator: np.random.Generator, world: World) -> Draft:
    """Two hundred customers use one application with keys, cards and networks of their own: its templates, its program.

    A third of them let it run in the application's cloud.
    """
    accounts = customers(generator, world, "template_application", TENANTS, 60, 1.0)
    with_one_program(generator, world, accounts)
    hosted = np.flatnonzero(generator.random(TENANTS) < 1 / 3)
    accounts.networks[hosted] = fresh(generator, 2)[generator.integers(0, 2, accounts.networks[hosted].shape)]
    accounts.with_values(later_turns=0.1, users=0)
    draft = draw_calls(generator, world, asking_only(accounts, (TEMPLATE, 0.95), (NEW, 0.05)))
    _use_common_templates(generator, draft, 4, 0.6)
    return draft


def office(generator: np.random.Generator, world: World) -> Draft:
    """Five hundred people behind one address, each with a key, a card and texts of their own, in working hours.

    Most use one of three programs; a fifth also use a tool of the house, with its system prompt.
    """
    accounts = customers(generator, world, "office", PEOPLE, 40, 1.0)
    common = draw_programs(generator, 3)
    at_home = generator.random(PEOPLE) < 0.3
    networks = accounts.networks.copy()
    accounts.with_values(networks=fresh(generator, 1), zone=0)
    accounts.networks[at_home, 1] = networks[at_home, 1]
    most = generator.random(PEOPLE) < 0.8
    accounts.program[most] = common[generator.integers(0, 3, int(most.sum()))]
    uses_tool = generator.random(PEOPLE) < 0.2
    accounts.second_agent[uses_tool] = world.own_agent(generator, 1)
    accounts.systems[uses_tool, 1] = fresh(generator, 1)
    draft = draw_calls(generator, world, accounts)
    within_hours(generator, draft, generator.normal(8, 0.7, PEOPLE), 10)
    on_weekdays(draft, world)
    return draft


def labelling_firm(generator: np.random.Generator, world: World) -> Draft:
    """One firm, sixty accounts: its people grade and label texts with the firm's templates, in two shifts."""
    accounts = of_one_organisation(customers(generator, world, "labelling_firm", LABELLERS, 300))
    with_one_program(generator, world, accounts)
    accounts.with_values(networks=fresh(generator, 1), asks_grading=0.7, later_turns=0.05, growth=0.0)
    draft = draw_calls(generator, world, asking_only(accounts, (TEMPLATE, 0.9), (AGAIN, 0.1)))
    _use_common_templates(generator, draft, 6, 0.5)
    within_hours(generator, draft, np.where(np.arange(LABELLERS) % 2, 5.0, 13.0), 8)
    return draft


def reseller(generator: np.random.Generator, world: World) -> Draft:
    """Three accounts that pass on what thousands of other people ask, of every kind, each with its label."""
    accounts = customers(generator, world, "reseller", 3, 6_000, 0.3)
    accounts.with_values(users=generator.integers(800, 2_500, 3), program=-1, second_agent=-1)
    draft = draw_calls(generator, world, accounts)
    people = customers(generator, world, "reseller", 1_500, 12, 0.8)
    others = draw_calls(generator, world, people).calls
    chosen = generator.integers(0, len(others), len(draft.calls))
    for column in _PASSED_ON:
        setattr(draft.calls, column, getattr(others, column)[chosen])
    draft.calls.texts.put(np.arange(len(draft.calls)), others.texts.at(chosen))
    draft.calls.user = paired(draft.accounts.key[draft.calls.caller], others.caller[chosen], number_of("reseller"))
    early = draft.calls.at < world.start_at + world.launch_day * DAY_US
    draft.calls.model[early & (draft.calls.model == NEW_MODEL)] = 0
    return draft


def subsidiaries(generator: np.random.Generator, world: World) -> Draft:
    """Six customers with two to four organisations each: one card, network and program, some common templates."""
    drafts = []
    for size in generator.integers(2, 5, 6):
        accounts = customers(generator, world, "subsidiaries", int(size), 400, 0.8)
        with_one_program(generator, world, accounts)
        accounts.with_values(billing=accounts.billing[:1], networks=accounts.networks[:1], client=accounts.client[:1])
        shares = (NEW, 0.4), (PIECES, 0.2), (TEMPLATE, 0.3), (AGAIN, 0.1)
        draft = draw_calls(generator, world, asking_only(accounts, *shares))
        _use_common_templates(generator, draft, 3, 0.5)
        drafts.append(draft)
    return Draft.joined(drafts)


def _use_common_templates(generator: np.random.Generator, draft: Draft, count: int, share: float) -> None:
    """What was made from a template of each account's own is made from one of these."""
    texts = draft.calls.texts
    rows = np.flatnonzero(texts.template)
    texts.template[rows] = fresh(generator, count)[generator.integers(0, count, len(rows))]
    texts.share[rows] = share * generator.uniform(0.8, 1, len(rows))
