"""The server in this process, until it is told to stop."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import uvicorn

from stillroom.base.errors import ServeError
from stillroom.generate.generator import Generator
from stillroom.generate.load import load_model
from stillroom.serve.app import make_app


def serve(
    models: Mapping[str, Path],
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    threads: int | None = None,
    max_batch: int = 64,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve each model folder under its name until SIGINT or SIGTERM. Port 0 takes a free one.

    `threads` are torch's, None leaves its default; `max_batch` is the most replies written at once by each model.
    `on_ready` is called with the base URL, which is printed where it is None. Raises ServeError if the server can't
    listen there, ModelError if a model can't be loaded.
    """
    with ExitStack() as stack:
        # Listening comes before loading: a taken port is said at once, and who calls too early waits, not fails.
        listener = stack.enter_context(listen(host, port))
        generators = {}
        for name, path in models.items():
            generators[name] = Generator(load_model(path), max_batch=max_batch, threads=threads)
            stack.callback(generators[name].close)
        url_host = f"[{host}]" if ":" in host else host
        url = f"http://{url_host}:{listener.getsockname()[1]}/v1"
        if on_ready is None:
            print(f"Serving {', '.join(models)} at {url}", flush=True)
        else:
            on_ready(url)
        config = uvicorn.Config(
            make_app(generators),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=3,
            server_header=False,
        )
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
            uvicorn.Server(config).run(sockets=[listener])


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket; `shared`: one of several on this port. Raises ServeError where there can be none."""
    if not 0 <= port <= 65535:
        raise ServeError(f"There is no port {port}.", "Choose one from 1 to 65535, or 0 for a free one.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048, reuse_port=shared)
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (while attempting")[0]
        remedies = {
            errno.EADDRINUSE: "Stop what uses that port, or choose another one.",
            errno.EACCES: "Choose a port from 1024 on, or 0 for a free one.",
        }
        remedy = remedies.get(
            error.errno or 0, "Listen on 127.0.0.1, or on 0.0.0.0 for every address that this machine has."
        )
        raise ServeError(f"The server can't listen on {host} port {port}: {why}.", remedy) from error
