"""A hash tree, as RFC 6962, section 2.1 has it: leaves and nodes are hashed apart, no leaf is repeated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

_LEAF, _NODE = b"\x00", b"\x01"


class MerkleTree:
    """All levels of the tree, for the paths of many of its leaves. One that is left over at a level goes up as it is.

    That is the RFC's tree, whose left half is the largest power of two that leaves something to the right.
    """

    def __init__(self, leaves: Iterable[bytes]) -> None:
        level = [sha256(_LEAF + leaf).digest() for leaf in leaves]
        self._levels = [level]
        while len(level) > 1:
            paired = [_node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
            level = paired + level[len(paired) * 2 :]
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """SHA-256 of the tree; of nothing, where it has no leaf."""
        top = self._levels[-1]
        return top[0] if top else sha256(b"").digest()

    def path(self, place: int) -> list[bytes]:
        """What a leaf's root is worked out with: the nodes beside its way up, the lowest first (RFC 6962, 2.1.1).

        `place` counts from 0. Raises IndexError where there is no such leaf.
        """
        if not 0 <= place < len(self._levels[0]):
            raise IndexError(f"no leaf {place}")
        path = []
        for level in self._levels[:-1]:
            beside = place ^ 1
            if beside < len(level):
                path.append(level[beside])
            place //= 2
        return path


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """SHA-256 of the tree over the leaves in their order."""
    return MerkleTree(leaves).root


def root_of_path(leaf: bytes, place: int, leaves: int, path: Sequence[bytes]) -> bytes | None:
    """The root of the tree of so many leaves that has this one at this place, counted from 0, with this path.

    None where no tree of that size has a path of that length there.
    """
    if not 0 <= place < leaves:
        return None
    node, left_to_use = sha256(_LEAF + leaf).digest(), list(reversed(path))
    while leaves > 1:
        if place ^ 1 < leaves:
            if not left_to_use:
                return None
            beside = left_to_use.pop()
            node = _node(beside, node) if place & 1 else _node(node, beside)
        place, leaves = place // 2, (leaves + 1) // 2
    return None if left_to_use else node


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()
