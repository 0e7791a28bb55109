"""Accounts: what stays the same from call to call of one customer. One row for each account in every array."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stillroom.testing.traffic.clients import WINDOWS_PER_DAY
from stillroom.testing.traffic.keys import Keys, fresh, mixed, number_of, paired
from stillroom.testing.traffic.world import NEW_MODEL, VERSIONS, World, draw_programs, zipf

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NETWORKS, SYSTEMS = 6, 3
TEXT_KINDS = 5
"""Of a call's text: new; from the account's own template; one of its own texts again; a well-known one."""
NEW, PIECES, TEMPLATE, AGAIN, KNOWN = range(TEXT_KINDS)
_VOLUME_SPREAD = 1.6
_ZONES = np.array([-8, -6, -5, -3, 0, 1, 2, 3, 5, 8, 9])


@dataclass
class Accounts:
    key: Keys
    organisation: Keys
    role: npt.NDArray[np.str_]
    client: Integers
    volume: Integers
    """Calls in the whole time."""
    first_day: Floats
    last_day: Floats
    zone: Integers
    """Hours that its day is shifted by."""
    rolled: Integers
    """Windows of ten minutes that its client's two weeks are rolled by."""
    weekend: Floats
    """Its rate at a weekend, of that on a weekday."""
    growth: Floats
    billing: Keys
    networks: Keys
    """(accounts, NETWORKS)"""
    network_share: Floats
    program: Integers
    """-1: `agent` is one of its own."""
    agent: Integers
    pinned: Integers
    """The version it stays at; -1: it follows the newest one, `lag` days late."""
    lag: Floats
    variant: Integers
    second_agent: Integers
    """-1: none."""
    systems: Keys
    """(accounts, SYSTEMS): 0 is a call without a system prompt."""
    system_share: Floats
    users: Integers
    """How many `user` labels it sends; 0: none."""
    model: Integers
    second_model: Integers
    moves_on: Floats
    """The day from which it also asks the new model; infinite: never."""
    temperature: Floats
    """Not a number: not said."""
    max_tokens: Integers
    samples: Integers
    asks_reasoning: Floats
    """The share of its calls that do."""
    asks_logprobs: Floats
    asks_grading: Floats
    streams: Floats
    later_turns: Floats
    """The chance of another turn."""
    texts: Floats
    """(accounts, TEXT_KINDS): shares."""
    templates: Integers
    """How many templates of its own."""
    template_share: Floats
    """Of a text that is made from one, what is the template's."""
    template_is_quoting: npt.NDArray[np.bool_]
    """What is filled in is a hole in the skeleton, so that all its texts share that."""
    own_texts: Integers
    """How many texts it asks again and again."""

    def __len__(self) -> int:
        return len(self.key)

    def at(self, rows: npt.NDArray[Any]) -> Self:
        return replace(self, **{field.name: getattr(self, field.name)[rows].copy() for field in fields(self)})

    def with_values(self, **values: Any) -> Self:
        """With these in place of its own, for all accounts."""
        for name, value in values.items():
            getattr(self, name)[...] = value
        return self

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def draw_accounts(generator: np.random.Generator, world: World, count: int, mean_calls: float, role: str) -> Accounts:
    """So many accounts of as many organisations: who shares an organisation is for the caller to say."""
    key = fresh(generator, count)
    client = generator.integers(0, len(world.clients), count)
    # Two customers of one client model must not call in the same few windows by chance.
    is_rolled_freely = world.clients.is_seldom[client] | (generator.random(count) < 0.3)
    mean = np.log(mean_calls) - _VOLUME_SPREAD**2 / 2
    new = np.where(generator.random(count) < 0.12, generator.uniform(0, world.days * 0.9, count), 0.0)
    gone = np.where(generator.random(count) < 0.06, generator.uniform(0.2, 1, count), 1.0)
    kind = generator.random(count)
    return Accounts(
        key=key,
        organisation=mixed(key, number_of("organisation")),
        role=np.full(count, role, "U24"),
        client=client,
        volume=np.maximum(1, generator.lognormal(mean, _VOLUME_SPREAD, count)).astype(np.int64),
        first_day=new,
        last_day=new + np.maximum(1.0, (world.days - new) * gone),
        zone=generator.choice(_ZONES, count),
        rolled=generator.integers(0, 14, count) * WINDOWS_PER_DAY
        + np.where(is_rolled_freely, generator.integers(0, WINDOWS_PER_DAY, count), 0),
        weekend=generator.choice(np.array([1.0, 0.6, 0.3, 0.1]), count, p=np.array([0.4, 0.25, 0.2, 0.15])),
        growth=generator.normal(0, 0.4, count),
        billing=mixed(key, number_of("billing")),
        **_connections(generator, world, key),
        **_request_habits(generator, world, count),
        **_text_habits(generator, kind, count),
    )


def _connections(generator: np.random.Generator, world: World, key: Keys) -> dict[str, Any]:
    count = len(key)
    network = mixed(paired(key[:, None], np.arange(NETWORKS)[None], number_of("network")), 0)
    own = generator.integers(1, NETWORKS, count)
    share = generator.gamma(0.7, size=(count, NETWORKS)) * (np.arange(NETWORKS)[None] < own[:, None]) + 1e-12
    uses_shared = generator.random(count) < 0.12
    network[uses_shared, 0] = world.shared_networks[zipf(generator, len(world.shared_networks), int(uses_shared.sum()))]
    has_own_program = generator.random(count) < 0.08
    program = draw_programs(generator, count)
    has_second = generator.random(count) < 0.12
    second = world.agent_of(draw_programs(generator, count), generator.integers(0, VERSIONS, count))
    system = paired(key[:, None], np.arange(SYSTEMS)[None], number_of("system"))
    popular = generator.random(count)
    system[popular < 0.08, 0] = world.popular_systems[zipf(generator, len(world.popular_systems), count)][
        popular < 0.08
    ]
    system[popular > 0.7] = 0
    return {
        "networks": network,
        "network_share": share / share.sum(axis=1, keepdims=True),
        "program": np.where(has_own_program, -1, program),
        "agent": world.own_agent(generator, count),
        "pinned": np.where(generator.random(count) < 0.65, generator.integers(0, VERSIONS - 1, count), -1),
        "lag": generator.exponential(5, count),
        "variant": generator.choice(3, count, p=np.array([0.7, 0.2, 0.1])),
        "second_agent": np.where(has_second, second, -1),
        "systems": system,
        "system_share": generator.dirichlet(np.full(SYSTEMS, 0.4), count),
    }


def _request_habits(generator: np.random.Generator, world: World, count: int) -> dict[str, Any]:
    def some(share: float, low: float = 0.05, high: float = 1.0) -> Floats:
        return np.where(generator.random(count) < share, generator.uniform(low, high, count), 0.0)

    users = generator.lognormal(2.5, 1.3, count).astype(np.int64) + 1
    moves = world.launch_day + generator.exponential(6, count)
    samples = generator.choice(np.array([-1, 1, 2, 4, 8]), count, p=np.array([0.66, 0.3, 0.015, 0.015, 0.01]))
    talks = generator.random(count) < 0.45
    return {
        "users": np.where(generator.random(count) < 0.15, users, 0),
        "model": generator.choice(NEW_MODEL, count, p=np.array([0.4, 0.25, 0.15, 0.2])),
        "second_model": generator.choice(NEW_MODEL, count),
        "moves_on": np.where(generator.random(count) < 0.3, moves, np.inf),
        "temperature": generator.choice(
            np.array([np.nan, 0.0, 0.2, 0.7, 1.0]), count, p=np.array([0.5, 0.18, 0.1, 0.12, 0.1])
        ),
        "max_tokens": generator.choice(
            np.array([-1, 256, 512, 1024, 2048, 4096, 8192]), count, p=np.array([0.4, 0.08, 0.1, 0.14, 0.1, 0.12, 0.06])
        ),
        "samples": samples,
        "asks_reasoning": some(0.25, 0.2),
        "asks_logprobs": some(0.03),
        "asks_grading": some(0.06),
        "streams": generator.choice(np.array([0.0, 0.5, 1.0]), count, p=np.array([0.5, 0.2, 0.3])),
        "later_turns": np.where(talks, generator.uniform(0.1, 0.85, count), 0.0),
    }


def _text_habits(generator: np.random.Generator, kind: Floats, count: int) -> dict[str, Any]:
    """A third writes anew, four in ten fill templates, a tenth asks the same again, the others do all of it."""
    means = np.array([[8, 4, 0.5, 0.6, 0.02], [0.6, 0.5, 8, 0.4, 0.01], [1, 1, 0.5, 5, 0.1], [2, 2, 2, 1, 0.05]])
    group = np.searchsorted(np.array([0.35, 0.75, 0.85]), kind)
    shares = generator.gamma(means[group] + 1e-6) + 1e-12
    return {
        "texts": shares / shares.sum(axis=1, keepdims=True),
        "templates": generator.geometric(0.5, count),
        "template_share": generator.uniform(0.1, 0.9, count),
        "template_is_quoting": generator.random(count) < 0.5,
        "own_texts": generator.lognormal(2.5, 1, count).astype(np.int64) + 1,
    }
