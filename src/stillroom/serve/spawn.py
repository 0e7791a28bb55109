"""The server in a process of its own, for as long as it is needed and no longer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stillroom.base.child_process import Child, child_process
from stillroom.serve.settings import WatermarkSettings


@contextmanager
def serving(models: Mapping[str, Path], *, threads: int | None = None, max_batch: int = 64) -> Iterator[str]:
    """Serve the model folders on a free port of this machine; gives the base URL once they are loaded.

    The process ends with the block, and with this process, however that ends. Raises ServeError, with the server's own
    words, if it can't start.
    """
    with server_process(models, threads=threads, max_batch=max_batch) as child:
        yield str(child.ready["url"])


@contextmanager
def server_process(
    models: Mapping[str, Path],
    *,
    port: int = 0,
    threads: int | None = None,
    max_batch: int = 64,
    scores: bool = True,
    watermarks: Mapping[str, WatermarkSettings] | None = None,
) -> Iterator[Child]:
    """The same, for whoever looks after the process. `port` 0: any that is free; what it is stands in `ready`.

    `scores`: texts that are given are scored. `watermarks`: of the models whose replies are marked; the digests of
    their tokenizers stand in `ready`, too.
    """
    order = {
        "models": {name: str(path.absolute()) for name, path in models.items()},
        "port": port,
        "threads": threads,
        "max_batch": max_batch,
        "scores": scores,
        "watermarks": {name: each.model_dump(mode="json") for name, each in (watermarks or {}).items()},
    }
    with child_process("stillroom.serve", order, "The server") as child:
        yield child
