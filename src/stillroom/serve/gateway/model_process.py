"""The server of the models that the gateway has in folders, kept alive on one address."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from stillroom.base.errors import ServeError, StillroomError
from stillroom.serve.settings import WatermarkSettings
from stillroom.serve.spawn import server_process

_LOOK_S = 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _STEADY_S = 0.2, 30.0, 60.0
_STOP_S = 5
"""One that is still loading at the end is not waited for: it ends with this process."""


class LocalServer(NamedTuple):
    url: str
    tokenizers: Mapping[str, str]
    """Of each model whose replies are marked, the digest of its tokenizer."""


@contextmanager
def kept_serving(
    folders: Mapping[str, Path],
    *,
    threads: int | None = None,
    watermarks: Mapping[str, WatermarkSettings] | None = None,
) -> Iterator[LocalServer]:
    """Serve the model folders as `spawn.serving` does; a server that dies is started again on the same address.

    Raises ServeError where it can't start the first time. Later ones are lines on standard error.
    """
    keeper = _Keeper(folders, threads, watermarks or {})
    thread = threading.Thread(target=keeper.run, daemon=True)
    thread.start()
    try:
        yield keeper.server.result()
    finally:
        keeper.over.set()
        thread.join(_STOP_S)


@dataclass(slots=True)
class _Keeper:
    folders: Mapping[str, Path]
    threads: int | None
    watermarks: Mapping[str, WatermarkSettings]
    server: Future[LocalServer] = field(default_factory=Future)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        port, pause_s = 0, _FIRST_PAUSE_S
        while not self.over.is_set():
            began = time.monotonic()
            try:
                # A customer who may ask how likely any text is could copy the model faster than by its replies.
                with server_process(
                    self.folders, port=port, threads=self.threads, scores=False, watermarks=self.watermarks
                ) as child:
                    server = LocalServer(child.ready["url"], child.ready["tokenizers"])
                    if not self.server.done():
                        port = child.ready["port"]
                        self.server.set_result(server)
                    elif server != self.server.result():
                        raise ServeError("A marked model's tokenizer is another one now.", "Restart the gateway.")
                    while child.process.poll() is None and not self.over.wait(_LOOK_S):
                        pass
                    what = f"ended with code {child.process.returncode}: it is started again."
            except (StillroomError, OSError) as error:
                if not self.server.done():
                    self.server.set_exception(error)
                    return
                what = f"did not start again. {error}"
            if not self.over.is_set():
                print(f"The server of the models in folders {what}", file=sys.stderr)
            # At once, then ever later while it keeps dying.
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began > _STEADY_S else pause_s
            self.over.wait(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
