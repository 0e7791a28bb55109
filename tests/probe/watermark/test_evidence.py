"""The folder that others check a marked model's result with."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillroom.base.errors import UsageError
from stillroom.probe.watermark.evidence import Material, write_evidence


def test_what_was_put_there_meanwhile_stays(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "mine").write_text("")
    with pytest.raises(UsageError, match="there already"):
        write_evidence(tmp_path / "evidence", {}, Material({}, [], None, b"", None), {}, lambda *_: "")
    assert [path.name for path in tmp_path.rglob("*")] == ["evidence", "mine"]
