"""Calls: what differs from call to call, drawn for all calls of many accounts at once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from stillroom.testing.traffic.accounts import NETWORKS, SYSTEMS, Accounts
from stillroom.testing.traffic.clients import tokens
from stillroom.testing.traffic.keys import Keys, number_of, paired
from stillroom.testing.traffic.texts import Texts, draw_texts
from stillroom.testing.traffic.times import callers, draw_times
from stillroom.testing.traffic.world import DAY_US, NEW_MODEL, STATUSES, VERSIONS, World, tls_keys

Integers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]
NOT_SAID = -1
UNKNOWN = STATUSES.index("unknown")
_STATUS_SHARES = np.array([0.972, 0.006, 0.01, 0.01, 0.002])
_TURNS_AT_MOST = 40


@dataclass
class Calls:
    """One row for each call. What is not said is NOT_SAID, or 0 of keys."""

    caller: Integers
    """The row of its account."""
    at: Integers
    model: Integers
    route: Integers
    stream: Truths
    turns: Integers
    max_tokens: Integers
    temperature: npt.NDArray[np.float64]
    n: Integers
    asks_reasoning: Truths
    asks_logprobs: Truths
    asks_grading: Truths
    network: Keys
    tls: Keys
    agent: Integers
    billing: Keys
    user: Keys
    system: Keys
    permit: Integers
    """0: none."""
    prompt_tokens: Integers
    cached_tokens: Integers
    completion_tokens: Integers
    reasoning_tokens: Integers
    latency_us: Integers
    status: Integers
    texts: Texts

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """The callers are those of the accounts joined in the same order, which `Draft.joined` sees to."""
        names = [field.name for field in fields(cls) if field.name != "texts"]
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(**columns, texts=Texts.joined([part.texts for part in parts]))


@dataclass
class Draft:
    """Accounts and their calls, before they are printed."""

    accounts: Accounts
    calls: Calls

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        moved, place = [], 0
        for part in parts:
            moved.append(replace(part.calls, caller=part.calls.caller + place))
            place += len(part.accounts)
        return cls(Accounts.joined([part.accounts for part in parts]), Calls.joined(moved))


def draw_calls(generator: np.random.Generator, world: World, accounts: Accounts) -> Draft:
    """All calls of these accounts, as customers make them."""
    caller = callers(accounts)
    at = draw_times(generator, world, accounts)
    day = (at - world.start_at) / DAY_US
    count = len(caller)
    agent = _agents(generator, world, accounts, caller, day)
    model = _models(generator, accounts, caller, day)
    status = np.searchsorted(np.cumsum(_STATUS_SHARES)[:-1], generator.random(count))
    asks_reasoning = generator.random(count) < accounts.asks_reasoning[caller]
    turns = np.minimum(generator.geometric(1 - accounts.later_turns[caller]), _TURNS_AT_MOST)
    return Draft(
        accounts,
        Calls(
            caller=caller,
            at=at,
            model=model,
            route=_routes(generator, len(accounts))[caller],
            stream=generator.random(count) < accounts.streams[caller],
            turns=turns,
            max_tokens=accounts.max_tokens[caller],
            temperature=accounts.temperature[caller],
            n=accounts.samples[caller],
            asks_reasoning=asks_reasoning,
            asks_logprobs=generator.random(count) < accounts.asks_logprobs[caller],
            asks_grading=generator.random(count) < accounts.asks_grading[caller],
            network=accounts.networks[caller, _choice(generator, accounts.network_share, caller, NETWORKS)],
            tls=tls_keys(world, agent, accounts.variant[caller]),
            agent=agent,
            billing=accounts.billing[caller],
            user=_users(generator, accounts, caller),
            system=accounts.systems[caller, _choice(generator, accounts.system_share, caller, SYSTEMS)],
            permit=np.zeros(count, np.int64),
            **draw_lengths(generator, world, accounts.client[caller], asks_reasoning),
            status=status,
            texts=draw_texts(generator, world, accounts, caller),
        ),
    )


def draw_lengths(
    generator: np.random.Generator, world: World, client: Integers, asks_reasoning: Truths
) -> dict[str, Integers]:
    """Tokens and time of each call, by its client's distributions."""
    count = len(client)
    clients = world.clients
    prompt = np.exp(tokens(clients.prompt_tokens, client, generator.random(count))).astype(np.int64) + 1
    completion = np.exp(tokens(clients.completion_tokens, client, generator.random(count))).astype(np.int64) + 1
    share = tokens(clients.reasoning_share, client, generator.random(count))
    share = np.where(np.isnan(share), np.where(asks_reasoning, generator.uniform(0.2, 0.8, count), 0.0), share)
    cached = np.where(generator.random(count) < 0.3, prompt * generator.uniform(0, 0.9, count), 0).astype(np.int64)
    per_token = generator.lognormal(np.log(12_000), 0.4, count)
    latency = generator.lognormal(np.log(350_000), 0.6, count) + prompt * 60 + completion * per_token
    return {
        "prompt_tokens": prompt,
        "cached_tokens": cached,
        "completion_tokens": completion,
        "reasoning_tokens": np.where(share > 0, (completion * share).astype(np.int64), NOT_SAID),
        "latency_us": latency.astype(np.int64),
    }


def _choice(
    generator: np.random.Generator, shares: npt.NDArray[np.float64], caller: Integers, choices: int
) -> Integers:
    """Of each call, a column of its account's row of shares."""
    reached, drawn = np.cumsum(shares, axis=1), generator.random(len(caller))
    chosen = np.zeros(len(caller), np.int64)
    for column in range(choices - 1):
        chosen += drawn > reached[caller, column]
    return chosen


def _routes(generator: np.random.Generator, accounts: int) -> Integers:
    return np.searchsorted(np.array([0.8, 0.9, 0.98]), generator.random(accounts))


def _agents(
    generator: np.random.Generator, world: World, accounts: Accounts, caller: Integers, day: npt.NDArray[np.float64]
) -> Integers:
    program = accounts.program[caller]
    pinned = accounts.pinned[caller]
    version = np.zeros(len(caller), np.int64)
    known_at = day - accounts.lag[caller]
    for step in range(1, VERSIONS):
        version += world.released[program, step] <= known_at
    chosen = world.agent_of(program, np.where(pinned >= 0, pinned, version))
    chosen = np.where(program < 0, accounts.agent[caller], chosen)
    second = accounts.second_agent[caller]
    return np.where((second >= 0) & (generator.random(len(caller)) < 0.2), second, chosen)


def _models(
    generator: np.random.Generator, accounts: Accounts, caller: Integers, day: npt.NDArray[np.float64]
) -> Integers:
    drawn = generator.random(len(caller))
    model = np.where(drawn < 0.15, accounts.second_model[caller], accounts.model[caller])
    return np.where((day >= accounts.moves_on[caller]) & (drawn < 0.7), NEW_MODEL, model)


def _users(generator: np.random.Generator, accounts: Accounts, caller: Integers) -> Keys:
    users = accounts.users[caller]
    place = np.floor(users * generator.random(len(caller)) ** 2).astype(np.int64)
    return np.where(users > 0, paired(accounts.key[caller], place, number_of("user")), np.uint64(0))
