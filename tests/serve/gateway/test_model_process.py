"""The server of the models in folders: a kill (as for want of memory) takes it away for a moment, not for good."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
from tests.serve.gateway.conftest import wait_until

from stillroom.base.errors import ServeError
from stillroom.serve.gateway.model_process import kept_serving


def test_it_is_started_again_on_the_same_address(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with kept_serving({"tiny": tiny_model}, threads=1) as (url, _):
        (server,) = servers()
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: server not in servers() and answers(url))
    assert servers() == []
    assert not answers(url)
    said = "The server of the models in folders ended with code -9: it is started again."
    assert capsys.readouterr().err.splitlines() == [said]


def test_what_cannot_start_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="There is no model folder"), kept_serving({"x": tmp_path / "absent"}):
        pass


def servers() -> list[int]:
    command = ["pgrep", "-P", str(os.getpid()), "-f", r"stillroom\.serve "]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=60) as response:
            return bool(response.status == 200)
    except OSError:
        return False
