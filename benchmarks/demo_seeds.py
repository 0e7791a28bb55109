"""The demo with several seeds: other questions, another order of training, the same story?

    python benchmarks/demo_seeds.py [--seeds 1 2 3 4 5]

Prints a line for each seed as it finishes, and at the end how many met all that the README says of the demo. Each run
lies in `runs/demo-seed-N`, and is gone on with where it stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TAKERS = ("teacher", "base", "answers_only", "student")


def met(summary: dict[str, Any]) -> list[str]:
    """What of the demo's claims this run does not meet."""
    teacher, base, answers_only, student = (summary[taker]["accuracy"] for taker in TAKERS)
    claims = {
        "the teacher is right on at least 0.90": teacher >= 0.90,
        "the student reaches 0.85 of the teacher": student >= 0.85 * teacher,
        "the base reaches at most half of the student": base <= 0.5 * student,
        "answers only reaches at most half of the student": answers_only <= 0.5 * student,
        "at least 400 questions": min(summary[taker]["n"] for taker in TAKERS) >= 400,
        "every reply is kept or rejected": summary["replies"] == summary["kept"] + sum(summary["rejected"].values()),
    }
    return [claim for claim, holds in claims.items() if not holds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--set", action="append", default=[], help="an override of the demo's recipe")
    arguments = parser.parse_args()
    good = 0
    print(f"{'seed':>4} {'minutes':>8}" + "".join(f"{taker:>14}" for taker in TAKERS))
    for seed in arguments.seeds:
        name = f"demo-seed-{seed}"
        overrides = [f"--set={override}" for override in (f"name={name}", *arguments.set)]
        started = time.monotonic()
        command = [sys.executable, "-m", "stillroom", "demo", "--seed", str(seed), "--json", *overrides]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        minutes = (time.monotonic() - started) / 60
        summary = json.loads((Path("runs") / name / "summary.json").read_text())
        print(f"{seed:>4} {minutes:>8.1f}" + "".join(f"{summary[taker]['accuracy']:>14.3f}" for taker in TAKERS))
        missed = met(summary)
        good += not missed
        for claim in missed:
            print(f"     not met: {claim}")
    print(f"{good} of {len(arguments.seeds)} seeds meet every claim")


if __name__ == "__main__":
    main()
