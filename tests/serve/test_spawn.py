"""The server's process: how it starts, how it fails to start, and that it never outlives who started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from stillroom.base.errors import ModelError, ServeError
from stillroom.serve.run import serve
from stillroom.serve.spawn import serving

SECONDS = 120
PARENT = """
import sys, time
from pathlib import Path
from stillroom.serve.spawn import serving
with serving({"tiny": Path(sys.argv[1])}, threads=1) as base_url:
    print(base_url, flush=True)
    time.sleep(600)
"""

PERSON = """
import sys
from pathlib import Path
from stillroom.serve.run import serve
serve({"tiny": Path(sys.argv[1])}, port=0)
"""


def test_it_serves_for_as_long_as_the_block(tiny_model: Path, taught_model: Path) -> None:
    with (
        serving({"a": tiny_model, "b": taught_model}, threads=1) as base_url,
        urllib.request.urlopen(f"{base_url}/models", timeout=SECONDS) as response,
    ):
        assert b'"id":"b"' in response.read()
    _wait_until_gone(base_url)


def test_it_dies_with_a_parent_that_is_killed(tiny_model: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tiny_model)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        base_url = parent.stdout.readline().strip()
        with urllib.request.urlopen(f"{base_url}/models", timeout=SECONDS) as response:
            assert response.status == 200
        os.kill(parent.pid, signal.SIGKILL)
    _wait_until_gone(base_url)


def test_its_errors_are_ours(tmp_path: Path) -> None:
    with (
        pytest.raises(ServeError, match=r"There is no model folder at .*absent") as caught,
        serving({"x": tmp_path / "absent"}),
    ):
        pass
    assert "config.json" in caught.value.remedy


def test_a_crash_while_starting_is_reported(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemError('no torch today')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with (
        pytest.raises(ServeError, match="exit code 1 before it was ready: SystemError: no torch today"),
        serving({"x": tiny_model}),
    ):
        pass


def test_a_taken_port(tiny_model: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ServeError, match=f"can't listen on 127.0.0.1 port {taken.getsockname()[1]}") as caught,
    ):
        serve({"tiny": tiny_model}, port=taken.getsockname()[1])
    assert "choose another" in caught.value.remedy


def test_no_such_host_or_port(tiny_model: Path) -> None:
    with pytest.raises(ServeError, match=r"can't listen on no.such.host.invalid"):
        serve({"tiny": tiny_model}, host="no.such.host.invalid", port=0)
    with pytest.raises(ServeError, match="no port 99999"):
        serve({"tiny": tiny_model}, port=99999)


def test_a_bad_model_is_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model folder"):
        serve({"x": tmp_path / "absent"}, port=0)


def test_a_person_sees_one_line_and_stops_it_with_control_c(tiny_model: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PERSON, str(tiny_model)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Serving tiny at http://127.0.0.1:")
        with urllib.request.urlopen(f"{line.split()[-1]}/models", timeout=SECONDS) as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err) == (0, "", "")


def _wait_until_gone(base_url: str) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{base_url}/models", timeout=SECONDS).close()
        except (urllib.error.URLError, ConnectionError):
            return
        time.sleep(0.05)
    raise AssertionError("the server is still there")
