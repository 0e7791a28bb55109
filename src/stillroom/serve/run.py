"""The server in this process, until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import uvicorn

from stillroom.generate.generator import Generator
from stillroom.generate.load import load_model
from stillroom.generate.tokenizer_digest import tokenizer_digest
from stillroom.serve.app import make_app
from stillroom.serve.listening import listen
from stillroom.serve.settings import WatermarkSettings


def serve(
    models: Mapping[str, Path],
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    threads: int | None = None,
    max_batch: int = 64,
    scores: bool = True,
    watermarks: Mapping[str, WatermarkSettings] | None = None,
    on_ready: Callable[[str, Mapping[str, str]], None] | None = None,
) -> None:
    """Serve each model folder under its name until SIGINT or SIGTERM. Port 0 takes a free one.

    `threads` are torch's, None leaves its default; `max_batch` is the most replies written at once by each model;
    `scores`: texts that are given are scored; `watermarks`: of the models whose replies are marked, which answer a
    gateway alone. `on_ready` is called with the base URL and the digest of each marked model's tokenizer; where it is
    None, the URL is printed. Raises ServeError if the server can't listen there, ModelError if a model can't be loaded.
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
            on_ready(url, {name: tokenizer_digest(generators[name].local.tokenizer) for name in watermarks or {}})
        config = uvicorn.Config(
            make_app(generators, scores=scores, watermarks=watermarks),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=3,
            server_header=False,
        )
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
            uvicorn.Server(config).run(sockets=[listener])
