"""Interrupted equals uninterrupted: a few of the runs that the benchmark kills."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_runs_that_were_killed_end_with_the_same_weights() -> None:
    words = [sys.executable, "-m", "benchmarks.resume_kills", "--runs", "4"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("4 of 4 runs equal the uninterrupted one")
