"""The first moments of the command: Ctrl-C while its libraries are still being loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("library", "number"), [("typer", signal.SIGINT), ("duckdb", signal.SIGINT), ("duckdb", signal.SIGTERM)]
)
def test_it_ends_with_one_line(tmp_path: Path, library: str, number: signal.Signals) -> None:
    # typer is loaded before the command line is read, duckdb by the stages: here either takes very long.
    (tmp_path / f"{library}.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(300)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "stillroom", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, "", "Stopped before anything was begun.\n")
