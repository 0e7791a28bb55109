"""What all accounts of one seed's traffic live in: programs, models, shared networks, well-known system prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stillroom.testing.traffic.clients import Clients, load_clients
from stillroom.testing.traffic.keys import Keys, fresh, mixed, number_of, stream

DAY_US = 86_400 * 1_000_000
MODELS = ("teacher-large", "teacher-small", "teacher-mini", "reasoner", "teacher-next")
NEW_MODEL = 4
"""Its place in MODELS: launched `LAUNCH` of the way through the traffic."""
LAUNCH = 0.55
ROUTES = ("chat", "responses", "messages", "completions")
STATUSES = ("ok", "refused", "failed", "hung_up", "unknown")

_PROGRAMS = (
    ("OpenAI/Python", "python", 24.0), ("OpenAI/JS", "node", 14.0), ("python-requests", "python", 9.0),
    ("python-httpx", "python", 7.0), ("langchain", "python", 6.0), ("axios", "node", 5.0), ("litellm", "python", 5.0),
    ("Go-http-client", "go", 4.0), ("aiohttp", "python", 3.5), ("okhttp", "java", 3.0), ("node-fetch", "node", 2.5),
    ("curl", "curl", 2.2), ("llama-index", "python", 2.0), ("ai-sdk", "node", 1.8), ("Java-http-client", "java", 1.5),
    ("reqwest", "rust", 1.2), ("dotnet-client", "dotnet", 1.0), ("undici", "node", 0.9), ("spring-ai", "java", 0.8),
    ("GuzzleHttp", "curl", 0.7), ("Faraday", "ruby", 0.6), ("semantic-kernel", "dotnet", 0.5), ("n8n", "node", 0.5),
    ("dspy", "python", 0.4), ("haystack", "python", 0.3), ("instructor", "python", 0.3), ("postman", "node", 0.3),
    ("swift-client", "apple", 0.2), ("elixir-req", "beam", 0.1), ("lm-eval-harness", "python", 0.1),
)  # fmt: skip
EVALUATION_PROGRAM = 29
VERSIONS = 8
_OWN_PROGRAMS = 6_000
_SYSTEM_VARIANTS = 3
_SHARED_NETWORKS = 60
_POPULAR_SYSTEMS = 40


@dataclass(frozen=True)
class World:
    seed: int
    data: Path | None
    start_at: int
    """UTC in microseconds."""
    days: int
    clients: Clients
    agents: tuple[str, ...]
    """All that an agent can be called: programs by version, then programs of customers' own."""
    agent_stack: npt.NDArray[np.int64]
    """Of each agent, the number of the TLS library that it speaks with."""
    released: npt.NDArray[np.float64]
    """(programs, versions): the day on which each version came out."""
    shared_networks: Keys
    """VPNs and clouds, the most used first."""
    popular_systems: Keys
    """System prompts that many write, the most used first."""

    @property
    def launch_day(self) -> float:
        return self.days * LAUNCH

    def agent_of(self, program: npt.NDArray[np.int64], version: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return program * VERSIONS + version

    def own_agent(self, generator: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        """A program that a customer wrote: seldom the same one twice."""
        return len(_PROGRAMS) * VERSIONS + generator.integers(0, _OWN_PROGRAMS, count)


def make_world(seed: int, data: Path | None, start_at: int, days: int) -> World:
    generator = stream(seed, "world")
    agents, stacks = [], []
    names = sorted({stack for _, stack, _ in _PROGRAMS})
    for program, stack, _ in _PROGRAMS:
        major, minor = generator.integers(0, 4), generator.integers(0, 60)
        agents += [f"{program}/{major}.{minor + version}.{generator.integers(0, 9)}" for version in range(VERSIONS)]
        # A library's TLS changes more seldom than the library.
        stacks += [names.index(stack) * VERSIONS + version // 4 for version in range(VERSIONS)]
    own = generator.integers(0, 16**6, _OWN_PROGRAMS)
    agents += [f"client-{name:06x}/1.{place % 7}" for place, name in enumerate(own)]
    stacks += list(generator.integers(0, len(names), _OWN_PROGRAMS) * VERSIONS)
    released = np.cumsum(generator.uniform(4, 20, (len(_PROGRAMS), VERSIONS)), axis=1)
    return World(
        seed=seed,
        data=data,
        start_at=start_at,
        days=days,
        clients=load_clients(data),
        agents=tuple(agents),
        agent_stack=np.array(stacks, np.int64),
        released=released - generator.uniform(40, 80, (len(_PROGRAMS), 1)),
        shared_networks=fresh(generator, _SHARED_NETWORKS),
        popular_systems=fresh(generator, _POPULAR_SYSTEMS),
    )


def draw_programs(generator: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    weights = np.array([weight for _, _, weight in _PROGRAMS])
    return generator.choice(len(_PROGRAMS), count, p=weights / weights.sum())


def tls_keys(world: World, agent: npt.NDArray[np.int64], variant: npt.NDArray[np.int64]) -> Keys:
    """`variant`: of the operating system that an account's machines run, 0 to 2."""
    return mixed(world.agent_stack[agent] * _SYSTEM_VARIANTS + variant, number_of("tls"))


def zipf(generator: np.random.Generator, choices: int, count: int, exponent: float = 1.0) -> npt.NDArray[np.int64]:
    """Places in a list whose first are the most popular."""
    weights = np.arange(1, choices + 1) ** -exponent
    return np.searchsorted(np.cumsum(weights / weights.sum())[:-1], generator.random(count))
