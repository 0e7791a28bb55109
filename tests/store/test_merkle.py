"""The hash tree, against the definition in RFC 6962 and against the roots that its other implementations publish."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.store.merkle import MerkleTree, merkle_root, root_of_path

# The test vectors of Google's certificate-transparency: the roots over the first n of these leaves.
LEAVES = [bytes.fromhex(each) for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes(range(0x60, 0x70)))
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def by_definition(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\x01" + by_definition(leaves[:half]) + by_definition(leaves[half:])).digest()


@pytest.mark.parametrize("count", ROOTS)
def test_published_roots(count: int) -> None:
    assert merkle_root(LEAVES[:count]).hex() == ROOTS[count]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70))
def test_it_is_the_tree_of_the_definition(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == by_definition(leaves)


def test_a_node_is_no_leaf_and_the_last_leaf_is_not_repeated() -> None:
    a, b, c = b"a", b"b", b"c"
    node = sha256(b"\x00a").digest() + sha256(b"\x00b").digest()
    assert merkle_root([node]) != merkle_root([a, b])
    assert merkle_root([a, b, c]) != merkle_root([a, b, c, c])


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_a_path_leads_from_its_leaf_to_the_root_and_no_other_does(leaves: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(leaves) - 1))
    tree = MerkleTree(leaves)
    path = tree.path(place)
    assert root_of_path(leaves[place], place, len(leaves), path) == tree.root == merkle_root(leaves)
    assert root_of_path(leaves[place] + b"!", place, len(leaves), path) != tree.root
    assert root_of_path(leaves[place], place, len(leaves), [*path, bytes(32)]) is None
    if path:
        assert root_of_path(leaves[place], place, len(leaves), path[:-1]) is None
        changed = data.draw(st.integers(0, len(path) - 1))
        path[changed] = bytes(32)
        assert root_of_path(leaves[place], place, len(leaves), path) != tree.root


def test_a_leaf_stands_at_its_own_place_alone() -> None:
    leaves = [bytes([number]) for number in range(11)]
    tree = MerkleTree(leaves)
    for place in range(len(leaves)):
        found = [other for other in range(11) if root_of_path(leaves[place], other, 11, tree.path(place)) == tree.root]
        assert found == [place]
    assert root_of_path(leaves[0], 11, 11, tree.path(0)) is None
    assert root_of_path(leaves[0], -1, 11, tree.path(0)) is None
    with pytest.raises(IndexError):
        tree.path(11)
