"""A benchmark whose data is not there says which file it looked for, and how to say where it lies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "option", "file"),
    [
        ("check_references", "--data", "gsm8k_test.jsonl"),
        ("filter_errors", "--data", "gsm8k_test.jsonl"),
        ("watch_banks", "--data", "gsm8k_test.jsonl"),
        ("contamination", "--gsm8k", "gsm8k_train_part.jsonl"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, module: str, option: str, file: str) -> None:
    words = [sys.executable, "-m", f"benchmarks.{module}", option, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert f"{tmp_path / file} is missing: give the folder that holds it with {option}." in done.stderr
    assert "Traceback" not in done.stderr
