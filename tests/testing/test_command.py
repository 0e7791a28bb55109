"""The teacher as a command, and in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ports import unused_port
from typer.testing import CliRunner

from stillroom.base.errors import ServeError
from stillroom.cli import app
from stillroom.testing import MisbehavingTeacher, read_ledger
from stillroom.testing.script import Script
from stillroom.testing.spawn import spawned_teacher

Ask = Callable[..., Any]

SCRIPT = """\
answer: {content: a b c, reasoning: d}
price: {input_per_million: 1, output_per_million: 10}
faults: [{fault: overloaded, every: 2}]
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    (folder / "faults.yaml").write_text(SCRIPT)
    command = [sys.executable, "-m", "stillroom", "teacher", *arguments]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_presents_its_bill(tmp_path: Path, ask: Ask, number: signal.Signals) -> None:
    with start(tmp_path, "--script", "faults.yaml", "--ledger", "ledger.jsonl") as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[2]
        assert [ask(address).status for _ in range(3)] == [200, 529, 200]
        process.send_signal(number)
        printed, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (0, "")
    words = [" ".join(line.split()) for line in printed.strip().splitlines()]
    assert words == [
        "requests 3",
        "most in flight 1",
        "prompt tokens 4",
        "completion tokens 8",
        "bill 0.000084 USD",
        "answered well 2",
        "overloaded 1",
    ]
    assert [entry.status for entry in read_ledger(tmp_path / "ledger.jsonl")] == [200, 529, 200]


def test_for_machines(tmp_path: Path, ask: Ask) -> None:
    with start(tmp_path, "--json") as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())
        assert address["models"] == ["teacher"]
        ask(address["base_url"])
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    assert json.loads(printed)["requests"] == 1


def test_what_it_complains_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with MisbehavingTeacher() as teacher:
        port = teacher.base_url.split(":")[2].removesuffix("/v1")
        for arguments, code, words in (
            (["--script", "none.yaml"], 2, "none.yaml cannot be read"),
            (["--port", port], 1, f"Port {port} cannot be used"),
            (["--ledger", "none/ledger.jsonl"], 1, "none/ledger.jsonl cannot be written"),
        ):
            result = CliRunner().invoke(app, ["teacher", *arguments])
            assert (result.exit_code, result.stdout) == (code, "")
            assert words in result.stderr


def test_in_a_process_of_its_own(tmp_path: Path, ask: Ask) -> None:
    script = Script.model_validate({"faults": [{"fault": "raw_body", "body": "höh", "after": 1}]})
    ledger = tmp_path / "ledger.jsonl"
    with spawned_teacher(script, ledger=ledger) as teacher:
        assert ask(teacher.base_url, request_id="r1").status == 200
        assert ask(teacher.base_url, request_id="r2").body.decode() == "höh"
        assert [entry.request_id for entry in read_ledger(ledger)] == ["r1", "r2"]
    assert teacher.process.returncode == 0
    assert teacher.summary is not None
    assert (teacher.summary["requests"], teacher.summary["by_fault"]) == (2, {"raw_body": 1})


def test_its_books_outlive_it(tmp_path: Path, ask: Ask) -> None:
    ledger = tmp_path / "ledger.jsonl"
    port = unused_port()
    with spawned_teacher(ledger=ledger, port=port) as teacher:
        ask(teacher.base_url)
        teacher.process.kill()
        teacher.process.wait(60)
        with pytest.raises(ConnectionError):
            ask(teacher.base_url)
        with spawned_teacher(ledger=ledger, port=port) as again:
            assert again.base_url == teacher.base_url
            ask(again.base_url)
    assert teacher.summary is None
    assert len(list(read_ledger(ledger))) == 2


def test_it_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    script = """
import os, sys
from stillroom.testing.spawn import spawned_teacher
with spawned_teacher() as teacher:
    print(teacher.process.pid, flush=True)
    os.kill(os.getpid(), 9)
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == -signal.SIGKILL
    for _ in range(6000):
        if not _runs(int(ran.stdout)):
            break
        time.sleep(0.01)
    else:
        raise AssertionError("the teacher goes on without anybody to ask it")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_process_that_cannot_begin(tmp_path: Path) -> None:
    with MisbehavingTeacher() as teacher:
        port = int(teacher.base_url.split(":")[2].removesuffix("/v1"))
        with pytest.raises(ServeError, match=f"Port {port} cannot be used"), spawned_teacher(port=port):
            pass
    with pytest.raises(ServeError, match="cannot be written"), spawned_teacher(ledger=tmp_path / "none" / "l"):
        pass
