"""The root of a hash tree, as RFC 6962, section 2.1 has it: leaves and nodes are hashed apart, no leaf is repeated."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

_LEAF, _NODE = b"\x00", b"\x01"


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """SHA-256 of the tree over the leaves in their order. One that is left over at a level goes up as it is.

    That is the RFC's tree, whose left half is the largest power of two that leaves something to the right.
    """
    level = [sha256(_LEAF + leaf).digest() for leaf in leaves]
    if not level:
        return sha256(b"").digest()
    while len(level) > 1:
        paired = [sha256(_NODE + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level = paired + level[len(paired) * 2 :]
    return level[0]
