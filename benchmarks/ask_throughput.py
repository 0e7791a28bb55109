"""How fast questions are asked: stillroom, bare loops over HTTP libraries, and other tools, against one local nginx.

    python -m benchmarks.ask_throughput [--peers curator,distilabel,data_designer | none] [--rounds 5] [--scale 1.0]
    python -m benchmarks.ask_throughput --streams [--chunks 6000] [--chunks-per-s 50]

nginx (Debian: nginx-light) answers every request at once with the same 381 bytes, so that what is measured is the
client. Each contender is a process of its own, with the same questions, at most 128 calls in flight, and a warm-up
before its round. In every round all of them run one after the other, and ratios are taken within a round: a busy
machine slows all of them. `asking` is from the first request to the last answer, as the server counts them; `whole`
from the call of the contender's function to its return. Tools that are not ours are installed in `benchmarks/.peers`
when they are first needed. Temporary files, stillroom's journal among them, are where TMPDIR says: on a real disk.

`--streams`: 200 event streams at once, each chunk in a packet of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ask_contenders.environments import Environment, environment
from benchmarks.ask_contenders.local_nginx import LocalNginx, local_nginx, nginx_version
from benchmarks.ask_contenders.measured import Figures, contender, measure
from benchmarks.ask_contenders.streams import CHUNKS, STREAMS, measure_streams

CONCURRENCY = 128
WARM_UP_FROM = 10_000_000
"""The number of the first question of a warm-up: none of them is asked again."""
AIOHTTP = ("aiohttp==3.14.5",)


@dataclass(frozen=True)
class Entrant:
    name: str
    module: str
    questions: int
    """In one round: some seconds' worth."""
    requirements: tuple[str, ...] = ()
    """Of an environment of its own; none: stillroom's."""
    counts_tokens: bool = False

    def environment(self) -> Environment:
        if not self.requirements:
            return Environment(Path(sys.executable), {})
        return environment(
            self.requirements[0].partition("==")[0].partition("[")[0],
            self.requirements,
            counts_tokens=self.counts_tokens,
        )


ENGINE = Entrant("stillroom engine", "with_engine", 20_000)
STAGE = Entrant("stillroom stage", "with_stage", 20_000)
BARE = (
    Entrant("bare pyreqwest", "with_pyreqwest", 20_000),
    Entrant("bare aiohttp", "with_aiohttp", 20_000, AIOHTTP),
)
PEERS = {
    "curator": Entrant("Curator", "with_curator", 2_000, ("bespokelabs-curator==0.1.31", "litellm==1.83.7"), True),
    "distilabel": Entrant(
        "distilabel", "with_distilabel", 1_000, ("distilabel[openai]==1.5.3", "openai==3.57.0", "requests==2.34.2")
    ),
    "data_designer": Entrant("Data Designer", "with_data_designer", 1_000, ("data-designer==0.9.7",), True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}; or none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of questions")
    parser.add_argument("--streams", action="store_true")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help="of each stream")
    parser.add_argument("--chunks-per-s", type=float, default=50, help="of each stream")
    arguments = parser.parse_args()
    chosen = [] if arguments.peers == "none" else arguments.peers.split(",")
    unknown = set(chosen) - set(PEERS)
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    if arguments.streams:
        run_streams(arguments.rounds, arguments.chunks, arguments.chunks_per_s)
    else:
        run_questions([ENGINE, STAGE, *BARE, *(PEERS[name] for name in chosen)], arguments.rounds, arguments.scale)


def run_questions(entrants: Sequence[Entrant], rounds: int, scale: float) -> None:
    environments = {each: each.environment() for each in entrants}
    figures: dict[str, list[Figures]] = {each.name: [] for each in entrants}
    versions: dict[str, str] = {}
    with local_nginx() as server:
        for number in range(rounds):
            for each, its in environments.items():
                versions[each.name], measured = run(each, its, server, max(100, round(each.questions * scale)))
                figures[each.name].append(measured)
                rate = measured.questions / measured.asking_s
                print(f"round {number + 1}  {each.name:17}{rate:9,.0f} questions/s", flush=True)
    print(f"\n{nginx_version()}, {os.cpu_count()} processors, {CONCURRENCY} calls in flight, {rounds} rounds\n")
    print(table(figures, versions))
    print()
    print(ratios(figures))


def run(entrant: Entrant, its: Environment, server: LocalNginx, questions: int) -> tuple[str, Figures]:
    with contender(entrant.module, its) as process:
        measure(process, server, WARM_UP_FROM, questions // 10, CONCURRENCY)  # what is made once is made here
        return process.version, measure(process, server, 0, questions, CONCURRENCY)


def table(figures: dict[str, list[Figures]], versions: dict[str, str]) -> str:
    lines = [
        f"{'medians':17}{'version':28}{'questions':>10}{'questions/s':>22}{'CPU ms/question':>22}{'MB':>7}",
        f"{'':55}{'asking':>11}{'whole':>11}{'asking':>11}{'whole':>11}",
    ]
    for name, rounds in figures.items():
        lines.append(
            f"{name:17}{versions[name]:28}{rounds[0].questions:10,}"
            f"{median([each.questions / each.asking_s for each in rounds]):11,.0f}"
            f"{median([each.questions / each.whole_s for each in rounds]):11,.0f}"
            f"{median([1000 * each.asking_cpu_s / each.questions for each in rounds]):11.3f}"
            f"{median([1000 * each.whole_cpu_s / each.questions for each in rounds]):11.3f}"
            f"{median([each.memory_mb for each in rounds]):7,.0f}"
        )
    return "\n".join(lines)


def ratios(figures: dict[str, list[Figures]]) -> str:
    """Questions per second of ours over theirs, round by round."""
    lines = [f"{'median (range) of the rounds':32}{'engine, asking':>26}{'stage, whole':>26}"]
    for name, rounds in figures.items():
        if name in (ENGINE.name, STAGE.name):
            continue
        asking = [
            (ours.questions / ours.asking_s) / (theirs.questions / theirs.asking_s)
            for ours, theirs in zip(figures[ENGINE.name], rounds, strict=True)
        ]
        whole = [
            (ours.questions / ours.whole_s) / (theirs.questions / theirs.whole_s)
            for ours, theirs in zip(figures[STAGE.name], rounds, strict=True)
        ]
        lines.append(f"{'stillroom / ' + name:32}{_spread(asking):>26}{_spread(whole):>26}")
    return "\n".join(lines)


def run_streams(rounds: int, chunks: int, chunks_per_s: float) -> None:
    entrants = [
        Entrant("stillroom engine", "with_engine_streams", STREAMS),
        Entrant("bare aiohttp", "with_aiohttp_streams", STREAMS, AIOHTTP),
    ]
    print(f"{STREAMS} streams of {chunks:,} chunks at {chunks_per_s:g} chunks/s each")
    for number in range(rounds):
        for each in entrants:
            measured = measure_streams(each.module, each.environment(), chunks, chunks_per_s)
            print(
                f"round {number + 1}  {each.name:17}{measured.seconds:7.1f} s"
                f"{measured.cpu_ms_per_1000_chunks:8.1f} CPU ms per 1,000 chunks{measured.memory_mb:7,.0f} MB",
                flush=True,
            )


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
