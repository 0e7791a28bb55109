"""docs/serve.md: its Python is run as it stands there, against a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from stillroom.serve.spawn import serving

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ADDRESS, FOLDER = "http://127.0.0.1:8000/v1", 'Path("runs/demo/train/sft/student")'


@pytest.fixture(scope="module")
def base_url(taught_model: Path) -> Iterator[str]:
    with serving({"student": taught_model}, threads=1) as url:
        yield url


def _printed(block: str, base_url: str, capsys: pytest.CaptureFixture[str]) -> str:
    asked = block.replace("What is 2 + 3?", "sum").replace('model="student"', 'model="student", temperature=0')
    exec(compile(asked.replace(ADDRESS, base_url), "docs/serve.md", "exec"), {})
    return capsys.readouterr().out


def test_the_official_client(base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ADDRESS in BLOCKS[0]
    assert _printed(BLOCKS[0], base_url, capsys) == "2 + 3 = 5\nIt is 5.\n"


def test_the_official_client_streaming(base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    # The client that the first block makes is the one that the second asks.
    both = BLOCKS[0].partition("reply =")[0] + BLOCKS[1]
    assert "stream=True" in both
    assert _printed(both, base_url, capsys) == "2 + 3 = 5It is 5.\n"


@pytest.mark.parametrize("number", range(2, len(BLOCKS)))
def test_from_python(number: int, taught_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert FOLDER in BLOCKS[number]
    exec(compile(BLOCKS[number].replace(FOLDER, f"Path({str(taught_model)!r})"), "docs/serve.md", "exec"), {})
    capsys.readouterr()
