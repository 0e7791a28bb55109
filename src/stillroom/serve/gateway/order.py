"""How a process of the gateway is told what to do, and says that it does it."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import orjson

from stillroom.base.child_process import report_stream
from stillroom.base.errors import StillroomError
from stillroom.serve.settings import GatewaySettings

_STANDARD_INPUT = 0


@dataclass(frozen=True, slots=True)
class Order:
    settings: GatewaySettings
    worker: str
    """`w0`, `w1` and so on; `admin`."""
    socket: int
    """The descriptor of the socket to listen on."""
    local_url: str | None
    """Where the models that this gateway serves from folders are answered."""
    tokenizers: Mapping[str, str]
    """Of those whose replies are marked, the digests of their tokenizers."""
    reports: IO[str]

    def report(self, content: Mapping[str, Any]) -> None:
        print(json.dumps(content), file=self.reports, flush=True)


@contextmanager
def take_order() -> Iterator[Order]:
    """Of the supervisor, from standard input; its end, whatever its reason, is heard as SIGTERM.

    An error of the person's that is raised in the block is reported, and ends the process with its exit code.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reports = report_stream()
    told = orjson.loads(sys.stdin.buffer.readline())
    settings = GatewaySettings.model_validate(told["settings"])
    threading.Thread(target=_stop_with_standard_input, daemon=True).start()
    order = Order(settings, told.get("worker", "admin"), told["socket"], told["local_url"], told["tokenizers"], reports)
    try:
        yield order
    except StillroomError as error:
        order.report({"what": error.what, "remedy": error.remedy})
        sys.exit(error.exit_code)


def _stop_with_standard_input() -> None:
    # The pipe gives its end when the supervisor is gone, killed or not. Calls in flight are then ended as at any stop.
    # Not by way of `sys.stdin`, whose lock this thread would hold when the process ends.
    while os.read(_STANDARD_INPUT, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
