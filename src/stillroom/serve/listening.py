"""A socket to be asked on."""

from __future__ import annotations

import errno
import socket

from stillroom.base.errors import ServeError


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
