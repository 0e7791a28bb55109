"""How every signal of `watch` is distributed over honest customers, and whom of them the signals single out.

    python benchmarks/watch_signals.py [--organisations 2000] [--seed 1] [--data ../shared/data]

Made traffic of four weeks (`stillroom.testing.traffic`): ordinary organisations, and each kind of customers that look
like a campaign and are none. Percentiles are over the organisations of which the signal is known, in the whole four
weeks, without the calls that carry a permit. Then standings are fitted on the first two weeks, and the candidates of
the last two are counted, by kind: none of them is a finding before a threshold is fitted, and what is above it is the
business of benchmarks/watch_detection.py.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from stillroom.testing.traffic import BANKS, START_AT, TRAFFIC_SECRET, Traffic, bank_texts, benign
from stillroom.text.prints import Prints, epoch_at
from stillroom.watch.banks.prints import BankPrints, BankText
from stillroom.watch.signals.candidates import candidates_of
from stillroom.watch.signals.definitions import SIGNALS
from stillroom.watch.signals.measure import Signals, signals_of
from stillroom.watch.signals.organisations import Column
from stillroom.watch.signals.standing import Standings, fit_standings
from stillroom.watch.state import window_of
from stillroom.watch.window import Window

WEEKS = 4
SPLITS = {"gsm8k_train": "train", "gsm8k_test": "test", "math": "test", "word_problems": "train"}
POINTS = (5, 50, 95, 99.9)
DAY_US = 86_400 * 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--organisations", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    options = parser.parse_args()
    data = options.data if options.data.is_dir() else None

    traffic = benign(options.seed, organisations=options.organisations, weeks=WEEKS, data=data)
    roles = roles_of(traffic)
    print(f"{traffic.calls.num_rows:,} calls of {len(roles):,} organisations, {WEEKS} weeks, seed {options.seed}\n")
    banks = printed_banks(data)
    first = START_AT // DAY_US
    started = time.perf_counter()
    signals = signals_of(window(traffic, banks, first, first + 7 * WEEKS))
    print_distributions(signals, roles)
    fitted = fit_standings(signals_of(window(traffic, banks, first, first + 14)))
    print_candidates(signals_of(window(traffic, banks, first + 14, first + 28)), fitted, roles)
    print(f"\nThree windows and their signals took {time.perf_counter() - started:.0f} s.")


def printed_banks(data: Path | None) -> list[BankPrints]:
    prints = Prints(TRAFFIC_SECRET, epoch_at(START_AT))
    names = [name for name in BANKS if data is not None or name == "word_problems"]
    return [
        BankPrints.of(BankText(name, tuple(dict.fromkeys(bank_texts(name, data))), SPLITS[name], ""), prints)
        for name in names
    ]


def window(traffic: Traffic, banks: list[BankPrints], since_day: int, until_day: int) -> Window:
    return window_of(traffic.calls, traffic.sketches, traffic.events, banks, since_day, until_day, splits=SPLITS)


def roles_of(traffic: Traffic) -> dict[str, str]:
    truth = traffic.truth.select(["organisation", "role"]).to_pylist()
    return {row["organisation"]: row["role"] for row in truth}


def print_distributions(signals: Signals, roles: dict[str, str]) -> None:
    """All organisations as the table of docs/watch-signals.md, then each kind by itself."""
    role = np.array([roles[name] for name in signals.organisations.names])
    print("| signal | known of | 5 % | 50 % | 95 % | 99.9 % |\n|---|---|---|---|---|---|")
    for signal in SIGNALS:
        known, points = percentiles(signals.values[signal.name])
        print(f"| `{signal.name}` | {known:,} | " + " | ".join(f"{point:.3g}" for point in points) + " |")
    for signal in SIGNALS:
        print(f"\n{signal.name} ({signal.family}{', not scored' if signal.weight == 0 else ''})")
        print(f"  {'':24}{'known':>7}" + "".join(f"{point:>11} %" for point in POINTS))
        for kind in sorted(set(role), key=lambda each: (each != "benign", each)):
            known, points = percentiles(signals.values[signal.name][role == kind])
            print(f"  {kind:24}{known:7,}" + "".join(f"{point:13.4g}" for point in points))


def percentiles(column: Column) -> tuple[int, list[float]]:
    """How many are known, and their POINTS."""
    known = column[np.isfinite(column)]
    return len(known), [float(point) for point in np.percentile(known, POINTS)] if len(known) else []


def print_candidates(signals: Signals, fitted: Standings, roles: dict[str, str]) -> None:
    found = candidates_of(signals, fitted)
    print(
        "\nCandidates of the last two weeks, by the first two (score: content and other families together, 12 at most)"
    )
    print(f"  {'':24}{'there':>7}{'candidates':>12}{'score >= 4':>12}{'>= 6':>7}{'>= 8':>7}{'highest':>9}")
    there = [roles[name] for name in signals.organisations.names]
    for kind in sorted(set(there), key=lambda each: (each != "benign", each)):
        scores = [each.score for each in found if roles[each.organisation] == kind]
        counts = [sum(score >= least for score in scores) for least in (4, 6, 8)]
        print(
            f"  {kind:24}{there.count(kind):7,}{len(scores):12,}{counts[0]:12,}{counts[1]:7,}{counts[2]:7,}"
            f"{max(scores, default=0):9.1f}"
        )
    for each in found[:10]:
        print(
            f"\n  {each.score:.1f} {roles[each.organisation]}: " + " ".join(signal.sentence for signal in each.signals)
        )


if __name__ == "__main__":
    main()
