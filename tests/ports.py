"""A port where nobody listens, and nobody comes to listen while a test relies on that."""

from __future__ import annotations

import os
import socket

_BELOW = 32768
"""From here on Linux gives ports away to whoever asks for any: a free one may be somebody else's a moment later."""
_COUNT = 12000


def unused_port() -> int:
    """Free now, on 127.0.0.1. Processes that look at the same time begin at different places."""
    for number in range(_COUNT):
        port = _BELOW - 1 - (os.getpid() * 37 + number) % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("every port is taken")
