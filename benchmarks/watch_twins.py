"""Each benign twin in benign traffic, a hundred seeds: how often any of them is taken for a campaign.

    python -m benchmarks.watch_twins [--seeds 100] [--organisations 300] [--twin NAME] [--processes 2]
                                     [--data ../shared/data]

Four weeks of so many ordinary organisations and of every twin; a campaign is looked for at the end, with the lowest
threshold there is (a gateway that was never calibrated). A twin counts where any finding names one of its
organisations. The upper bound is the exact one (Clopper and Pearson, 1934) at 95 %, one-sided.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from math import log10
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.watch_detection import FIRST_DAY, SPLITS, known_banks
from scipy.stats import beta

from stillroom.testing.traffic import TWINS, benign
from stillroom.watch.campaigns import FEWEST_QUESTIONS, campaigns
from stillroom.watch.detectors import WHOLE_DAYS
from stillroom.watch.engine import open_engine
from stillroom.watch.links.population import Population
from stillroom.watch.state import added_up, banks_of, counts_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--organisations", type=int, default=300)
    parser.add_argument("--twin", choices=sorted(TWINS), action="append", help="only this one; may be repeated")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    options = parser.parse_args()
    twins = tuple(options.twin or sorted(TWINS))
    started = time.perf_counter()
    seen: Counter[str] = Counter()
    groups = 0
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        tasks = [
            pool.submit(_found, 1_000 + seed, options.organisations, twins, options.data)
            for seed in range(options.seeds)
        ]
        for number, task in enumerate(tasks, 1):
            found = task.result()
            groups += len(found)
            seen.update({role for roles in found for role in roles})
            for roles in found:
                print(f"seed {999 + number}: {roles}", flush=True)
    print(f"{options.seeds} seeds, {options.organisations} ordinary organisations and the twins: {groups} campaigns.\n")
    print(f"{'twin':26}{'seeds with a campaign':>24}{'upper bound':>14}")
    for name in (*twins, "benign"):
        print(f"{name:26}{seen[name]:>24}{upper_bound(seen[name], options.seeds):>14.1%}")
    print(f"\n{(time.perf_counter() - started) / 60:.0f} minutes.")


def _found(seed: int, organisations: int, twins: tuple[str, ...], data: Path) -> list[dict[str, int]]:
    """Of each campaign that is found, its organisations by role."""
    folder = data if data.is_dir() else None
    traffic = benign(seed, organisations=organisations, twins=twins, data=folder)
    banks = known_banks(folder)
    with TemporaryDirectory() as scratch, open_engine("duckdb", Path(scratch)) as engine:
        counts, _ = counts_of(engine, traffic.calls, traffic.sketches, traffic.events, banks)
        frames = {name: engine.from_arrow(table) for name, table in counts.items()}
        window = added_up(
            engine,
            frames,
            FIRST_DAY,
            FIRST_DAY + WHOLE_DAYS,
            banks=banks_of(banks, SPLITS),
            missing=frozenset(),
        )
    truth = traffic.truth
    roles = dict(zip(truth["organisation"].to_pylist(), truth["role"].to_pylist(), strict=True))
    population = Population(window)
    return [dict(Counter(each)) for each in _roles_found(population, roles)]


def _roles_found(population: Population, roles: dict[str | None, str | None]) -> Iterator[list[str]]:
    for one in campaigns(population):
        if one.score >= log10(FEWEST_QUESTIONS):
            yield [str(roles[population.organisations[member]]) for member in one.group.members]


def upper_bound(times: int, of: int) -> float:
    """95 %, one-sided, exact."""
    return 1.0 if times == of else float(beta.ppf(0.95, times + 1, of - times))


if __name__ == "__main__":
    main()
