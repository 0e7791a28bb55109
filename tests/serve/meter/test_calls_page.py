"""docs/calls.md: its Python runs as it stands there, its columns are those of the tables, and its record is one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stillroom.serve.meter.chain import RECORD_TYPE, Sign, read_chain
from stillroom.store.calls import SCHEMAS

PAGE = (Path(__file__).parents[3] / "docs" / "calls.md").read_text(encoding="utf-8")
BLOCKS: dict[str, str] = dict(re.findall(r"```(python|json)\n(.*?)```", PAGE, re.DOTALL))


def test_the_table_is_read_as_it_says(
    tmp_path: Path, opened: Any, fill: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(tmp_path / "state" / "calls" / "w0") as log:
        fill(log, 3)
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS["python"], "docs/calls.md", "exec"), {})
    said = capsys.readouterr().out
    assert "acct_1" in said
    assert "600" in said


def test_every_column_is_named() -> None:
    tables = PAGE.partition("| calls | |")[2].partition("\n**Prints**")[0]
    named = set(re.findall(r"`(\w+)`", tables))
    for name, schema in SCHEMAS.items():
        assert set(schema.names) <= named, name


def test_the_record_has_the_members_of_one(tmp_path: Path, opened: Any, fill: Any, sign: Sign) -> None:
    with opened(tmp_path / "w0", sign=sign) as log:
        fill(log, 1)
    (line,) = read_chain(tmp_path / "w0")
    shown = json.loads(BLOCKS["json"])
    assert shown["record"].keys() == line.record.keys()
    assert RECORD_TYPE in PAGE
