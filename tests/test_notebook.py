"""The README's Python, as a notebook runs it: in a thread whose event loop is running, without a terminal."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stillroom.testing import Answer, MisbehavingTeacher

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CELLS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_cells_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"question": f"What is {n} + 1?", "answer": str(n + 1), "kind": "number"} for n in range(5)]
    Path("problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    variables: dict[str, Any] = {}

    async def run_cells() -> None:
        for cell in CELLS:
            exec(compile(cell, "README.md", "exec"), variables)

    with MisbehavingTeacher(lambda text: Answer(str(int(re.findall(r"\d+", text)[0]) + 1))) as teacher:
        Path("abacus.yaml").write_text(
            f"name: abacus\nteacher: {{model: teacher, base_url: '{teacher.base_url}', price: none, terms: own}}\n"
            "questions: [{from: file, path: problems.jsonl}]\n"
        )
        asyncio.run(run_cells())
    assert len(CELLS) == 2
    assert variables["summary"]["kept"] == 5
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[0] == "ask: nothing has changed, skipped"
    assert any(line.startswith("check: 5 of 5") for line in shown.err.splitlines())
