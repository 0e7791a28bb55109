"""Messages between two processes, over two pipes: each a length of four bytes, then JSON."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

MOST_BYTES = 64 * 2**20
"""Of one message."""


class Ended(BaseException):
    """The other process has ended. No program's `except Exception` is to catch it."""


class Malformed(Ended):
    """The other process sends what is no message: nothing more is to be had from it."""


class Link:
    def __init__(self, reading: int, writing: int) -> None:
        """Descriptors of the ends of two pipes."""
        self._reading, self._writing = reading, writing

    def send(self, message: Any) -> None:
        """Raises Ended, ValueError for a message that is too long, RecursionError for one that is too deep."""
        data = json.dumps(message).encode()
        if len(data) > MOST_BYTES:
            raise ValueError(f"a message of more than {MOST_BYTES} bytes")
        data = struct.pack("<I", len(data)) + data
        try:
            while data:
                data = data[os.write(self._writing, data) :]
        except OSError as error:
            raise Ended from error

    def receive(self) -> Any:
        """Raises Ended, or Malformed."""
        (length,) = struct.unpack("<I", self._read(4))
        if length > MOST_BYTES:
            raise Malformed
        try:
            return json.loads(self._read(length))
        except (ValueError, RecursionError) as error:
            raise Malformed from error

    def _read(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            try:
                piece = os.read(self._reading, min(length - len(data), 2**20))
            except OSError as error:
                raise Ended from error
            if not piece:
                raise Ended
            data += piece
        return bytes(data)
