"""A local nginx that answers every chat completion at once with the same body, and counts what it was asked."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPLY: dict[str, Any] = {
    "id": "chatcmpl-benchmark",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "teacher",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Seven and five are twelve, so the number is 12."},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 24, "completion_tokens": 14, "total_tokens": 38},
    "system_fingerprint": "fp_benchmark",
}

_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location = /v1/chat/completions {{ default_type application/json; return 200 '{reply}'; }}
    location = /requests {{ stub_status; }}
  }}
}}
"""


class LocalNginx:
    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._polls = 0

    def requests(self) -> int:
        """Requests received so far, without those of this method."""
        self._connection.request("GET", "/requests")
        page = self._connection.getresponse().read().decode()
        self._polls += 1
        return int(page.splitlines()[2].split()[2]) - self._polls


@contextmanager
def local_nginx() -> Iterator[LocalNginx]:
    """nginx with one worker, on a free port of this machine, for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, reply=json.dumps(REPLY)))
        with subprocess.Popen(["nginx", "-p", folder, "-c", configuration]) as process:
            try:
                _wait_until_it_listens(port, process)
                yield LocalNginx(port)
            finally:
                process.terminate()


def nginx_version() -> str:
    shown = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True)
    return (shown.stdout + shown.stderr).strip().removeprefix("nginx version: ")


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return
    raise SystemExit("nginx did not start.")
