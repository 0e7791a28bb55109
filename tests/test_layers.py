"""The house's law: imports go one way, and asking for help loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "duckdb",
    "math_verify",
    "numpy",
    "pyarrow",
    "pyspark",
    "reasoning_gym",
    "scipy",
    "torch",
    "transformers",
}
SETTINGS = ["ask", "check", "client", "exam", "train", "verify"]


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint('LOADED', *{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.partition("LOADED")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["serve", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"from stillroom.cli import app\napp({arguments!r}, standalone_mode=False)"
    loaded = loaded_by(code)
    assert "stillroom" in loaded
    assert loaded & HEAVY == set()


def test_settings_load_nothing_heavy() -> None:
    loaded = loaded_by("\n".join(f"import stillroom.{stage}.settings" for stage in SETTINGS))
    assert loaded & HEAVY == set()


def test_imports_go_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert result.returncode == 0, result.stdout
