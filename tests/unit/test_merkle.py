"""Merkle trees against the definition of RFC 9162, written down once more, and its own test vectors' structure."""

from __future__ import annotations

import hashlib

import pytest

from archipel import merkle

SIZES = range(1, 40)


def leaves_of(count: int) -> list[bytes]:
    return [merkle.leaf_hash(b"record %d" % number) for number in range(count)]


def root_by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, section 2.1.1, over leaves that are hashed already."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = max(1 << bit for bit in range(16) if 1 << bit < len(leaves))
    halves = root_by_definition(leaves[:split]), root_by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + halves[0] + halves[1]).digest()


def tree(count: int) -> merkle.Tree:
    return merkle.Tree(b"".join(leaves_of(count)))


def test_the_published_roots_of_certificate_transparency_s_test_data_come_out() -> None:
    """The eight inputs and three roots that implementations of RFC 6962 are tested with."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = b"".join(merkle.leaf_hash(bytes.fromhex(text)) for text in inputs)
    found = merkle.Tree(leaves)
    assert found.root(1).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert found.root(3).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert found.root(8).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_a_growing_edge_names_the_root_of_the_definition_at_every_size() -> None:
    edge = merkle.Frontier()
    assert edge.root() == merkle.EMPTY_ROOT
    for size in SIZES:
        edge.append(leaves_of(size)[-1])
        assert (edge.size, edge.root()) == (size, root_by_definition(leaves_of(size)))
        assert tree(size).root() == edge.root()
        assert merkle.Frontier(edge.peaks).root() == edge.root()


def test_every_leaf_is_shown_to_be_in_every_tree_and_no_other_leaf_is() -> None:
    for size in SIZES:
        whole, leaves = tree(size), leaves_of(size)
        for index in range(size):
            path = whole.inclusion(index, size)
            assert merkle.leaf_under(index, size, path, leaves[index]) == whole.root()
            assert merkle.leaf_under(index, size, path, merkle.leaf_hash(b"forged")) != whole.root()
            if size > 1:
                other = (index + 1) % size
                assert merkle.leaf_under(other, size, path, leaves[index]) != whole.root()
            assert merkle.leaf_under(index, size, [*path, leaves[0]], leaves[index]) != whole.root()
            assert not path or merkle.leaf_under(index, size, path[:-1], leaves[index]) != whole.root()


def test_every_tree_is_shown_to_begin_every_later_one_and_no_altered_one() -> None:
    for second in SIZES:
        whole = tree(second)
        for first in range(second + 1):
            path = whole.consistency(first, second)
            old, new = whole.root(first), whole.root()
            assert merkle.grew(first, second, path, old, new)
            forged = merkle.leaf_hash(b"forged")
            if 0 < first < second:
                assert not merkle.grew(first, second, path, forged, new)
                assert not merkle.grew(first, second, path, old, forged)
                assert not merkle.grew(first, second, [*path, forged], old, new)
                assert not merkle.grew(first, second, path[:-1], old, new)
                assert not merkle.grew(first, second, [forged, *path[1:]], old, new)
    assert not merkle.grew(3, 2, [], merkle.EMPTY_ROOT, merkle.EMPTY_ROOT)


@pytest.mark.parametrize("purged", [1, 2, 5, 8, 13, 21, 30])
def test_what_is_kept_of_purged_leaves_shows_earlier_trees_to_begin_later_ones(purged: int) -> None:
    leaves, full = leaves_of(33), tree(33)
    sizes = [size for size in (1, 3, 4, 7, 11, 12, 20, 29) if size <= purged]
    known = {subtree: full.hash_of(subtree) for subtree in merkle.kept_for(sizes, purged)}
    left = merkle.Tree(b"".join(leaves[purged:]), known, purged)
    for size in [*sizes, *range(purged, 34)]:
        assert left.root(size) == full.root(size)
        assert left.consistency(size, 33) == full.consistency(size, 33)
    assert left.inclusion(32, 33) == full.inclusion(32, 33)
    if purged >= 13:
        with pytest.raises(merkle.Missing):
            left.inclusion(5, 33)
    assert len(known) <= (len(sizes) + 1) * 2 * 6
