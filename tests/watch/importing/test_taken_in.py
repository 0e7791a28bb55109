"""Imported calls are taken in as the gateway's are, and what they do not say is told as missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stillroom.store.secrets import Secrets
from stillroom.watch.engine import open_engine
from stillroom.watch.importing.importer import import_calls
from stillroom.watch.importing.mapping import ImportMapping
from stillroom.watch.intake import take_in

SECRETS = Secrets(bytes(32))
LINE = '192.0.2.{} - acct-{} [14/Oct/2024:09:{:02}:00 +0000] "POST /v1/messages HTTP/1.1" 200 7 "-" "bot/1"\n'


def test_imported_calls_are_taken_in_once(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("".join(LINE.format(n, n % 3, n) for n in range(30)), encoding="utf-8")
    import_calls(log, ImportMapping(name="front", format="combined"), tmp_path / "out", SECRETS)
    with open_engine("duckdb", tmp_path / "scratch") as engine:
        first = take_in(engine, tmp_path / "out", tmp_path / "state", [])
        assert (first.rows, first.counted, first.duplicates, first.unattributed) == (30, 30, 0, 0)
        assert first.capabilities["ip_print"] == pytest.approx(1)
        assert first.capabilities["prompt_tokens"] == 0
        assert first.calls_root is None
        row = {"request_id": "1", "api_key": "k", "startTime": "2024-10-14T10:00:00Z", "call_type": "acompletion"}
        (tmp_path / "spend.jsonl").write_text(json.dumps(row), encoding="utf-8")
        import_calls(tmp_path / "spend.jsonl", ImportMapping(name="llm", format="litellm"), tmp_path / "out", SECRETS)
        import_calls(log, ImportMapping(name="front", format="combined"), tmp_path / "out", SECRETS)
        second = take_in(engine, tmp_path / "out", tmp_path / "state", [])
        assert (second.rows, second.counted) == (1, 1)
