"""Identities of made traffic as 64-bit keys, and what is derived from them: equal for equal keys, on any machine.

Whatever a gateway would print (an address, a card, a text) is one number here until the tables are made; 0 is what is
not there. So a million calls are a few arrays, and the same traffic can be printed by the keys of two epochs.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

TRAFFIC_VERSION = 1
"""Of all that is made. Traffic of one version is the same for the same seed; figures of two are not to be compared."""

Keys = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

_GOLDEN = 0x9E3779B97F4A7C15
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint16)


def stream(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one part of one seed's traffic: no part's draws depend on another part's."""
    return np.random.default_rng([TRAFFIC_VERSION, seed, zlib.crc32(name.encode())])


def number_of(name: str) -> int:
    return zlib.crc32(name.encode()) + 1


def fresh(generator: np.random.Generator, count: int) -> Keys:
    return generator.integers(1, 2**63, count, dtype=np.uint64)


def mixed(keys: npt.NDArray[Any], salt: int) -> Keys:
    """Another key for each, never 0 (the finaliser of splitmix64: Steele, Lea and Flood, 2014)."""
    values = keys.astype(np.uint64) + np.uint64((salt + 1) * _GOLDEN % 2**64)
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    values[values == 0] = 1
    return values


def paired(keys: npt.NDArray[Any], others: npt.NDArray[Any], salt: int) -> Keys:
    """A key for each pair."""
    return mixed(mixed(keys, salt) ^ others.astype(np.uint64), salt + 1)


def random_bytes(keys: Keys, count: int, salt: int) -> Bytes:
    """`count` bytes for each key, a multiple of 8: an array of (keys, count)."""
    words = np.empty((len(keys), count // 8), np.dtype("<u8"))
    for word in range(count // 8):
        words[:, word] = mixed(keys, salt * 1009 + word)
    return words.view(np.uint8)


def unit(keys: Keys, salt: int) -> npt.NDArray[np.float64]:
    """A number from 0 to 1 for each key."""
    return (mixed(keys, salt) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def hex_text(values: Bytes, is_there: npt.NDArray[np.bool_] | None = None, prefix: str = "") -> pa.StringArray:
    """Rows of bytes as hex digits after a prefix; null where nothing is there."""
    if is_there is not None:
        values = values[is_there]
    digits = _HEX[values].view(np.uint8).reshape(len(values), 2 * values.shape[1])
    start = np.broadcast_to(np.frombuffer(prefix.encode(), np.uint8), (len(values), len(prefix.encode())))
    written = np.concatenate([start, digits], axis=1)
    lengths = np.full(len(values), written.shape[1]) if is_there is None else np.where(is_there, written.shape[1], 0)
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    mask = None if is_there is None else pa.py_buffer(np.packbits(is_there, bitorder="little").tobytes())
    return pa.StringArray.from_buffers(
        len(lengths), pa.py_buffer(offsets.tobytes()), pa.py_buffer(written.tobytes()), mask
    )
