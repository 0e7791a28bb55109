"""The server of the review: on this machine only, for as long as somebody reviews."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from stillroom.base.errors import ServeError
from stillroom.watch.banks.audit import check_named
from stillroom.watch.review.app import review_app
from stillroom.watch.review.store import FindingStore
from stillroom.watch.review.webhook import Webhook

_HOST = "127.0.0.1"


def serve_review(
    store: FindingStore, *, by: str, role: str, port: int, webhook: Webhook | None, say: Callable[[str], None]
) -> None:
    """Serve the pages until the process is told to stop; `say` gets the address to open, with the token in it.

    `by`, `role`: of whoever looks and decides. `port`: 0 for a free one. Raises ServeError where nothing can listen
    there, UsageError where nobody is named.
    """
    check_named(by, role, "to review")
    with _listener(port) as listener:
        chosen, token = listener.getsockname()[1], secrets.token_urlsafe(32)
        app = review_app(store, by=by, role=role, token=token, port=chosen, webhook=webhook)
        # No access log: the token stands in the first request's address.
        config = uvicorn.Config(
            app, lifespan="off", ws="none", proxy_headers=False, access_log=False, log_level="warning"
        )
        say(f"http://{_HOST}:{chosen}/?token={token}")
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
            uvicorn.Server(config).run(sockets=[listener])


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server((_HOST, port))
    except (OSError, OverflowError) as error:
        raise ServeError(
            f"The review cannot be served on port {port}: {error}.", "Choose another port, or 0 for a free one."
        ) from error
