"""Merkle trees as in RFC 6962 and RFC 9162, section 2.1: a root over a list, and short proofs about it.

Leaves and inner nodes are hashed with different prefixes, so that neither passes for the other. Pure: no file, no key.

Subtrees are named by the half-open range of leaves that they stand over. What a log has purged is known by the hashes
of some such ranges only; a proof needs no more of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

Range = tuple[int, int]
"""A subtree: its first leaf and the one behind its last."""

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()
"""The root over no leaf at all."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Missing(LookupError):
    """A proof would need leaves that are not known any more."""


class Frontier:
    """The growing edge of a tree: what is needed to append leaves and to name the root, in O(log n) memory."""

    def __init__(self, peaks: Sequence[tuple[Range, bytes]] = ()) -> None:
        """Begin with the complete subtrees of a list; without any, with the empty list."""
        self._peaks = list(peaks)
        self._size = peaks[-1][0][1] if peaks else 0

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._size

    @property
    def peaks(self) -> tuple[tuple[Range, bytes], ...]:
        """The complete subtrees from left to right, largest first."""
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Add the hash of a leaf."""
        start, found = self._size, leaf
        self._size += 1
        while self._peaks:
            (left, stop), digest = self._peaks[-1]
            if stop - left != self._size - start:
                break
            start, found = left, node_hash(digest, found)
            self._peaks.pop()
        self._peaks.append(((start, self._size), found))

    def root(self) -> bytes:
        """Return the root over all leaves."""
        return _folded([digest for _, digest in self._peaks])

    def copy(self) -> Frontier:
        """Return another one that grows by itself."""
        return Frontier(self._peaks)


class Tree:
    """A whole tree, for making proofs: all leaves from ``first`` on, and hashes of subtrees for what was before."""

    def __init__(self, leaves: bytes | bytearray, known: Mapping[Range, bytes] | None = None, first: int = 0) -> None:
        """Take the leaves' hashes one behind the other."""
        self._leaves = leaves
        self._known = dict(known or {})
        self._first = first
        self.size = first + len(leaves) // HASH_BYTES

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first ``size`` leaves.

        Raises:
            Missing: too little is known of them.
        """
        wanted = self.size if size is None else size
        return self.hash_of((0, wanted)) if wanted else EMPTY_ROOT

    def hash_of(self, subtree: Range) -> bytes:
        """Return the hash of a subtree.

        Raises:
            Missing: too little is known of it.
        """
        found = self._known.get(subtree)
        if found is not None:
            return found
        start, stop = subtree
        if stop > self.size or (stop - start == 1 and start < self._first):
            raise Missing(f"leaves {start} to {stop - 1} are not known")
        if stop - start == 1:
            at = (start - self._first) * HASH_BYTES
            return bytes(self._leaves[at : at + HASH_BYTES])
        middle = start + _split(stop - start)
        return node_hash(self.hash_of((start, middle)), self.hash_of((middle, stop)))

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that leaf ``index`` is one of the first ``size``: siblings from the leaf upwards.

        Raises:
            Missing: too little is known.
        """
        return [self.hash_of(sibling) for sibling in _path(index, (0, size))]

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Return the proof that the first ``first`` leaves are the beginning of the first ``second``.

        Raises:
            Missing: too little is known.
        """
        if first in (0, second):
            return []
        return [self.hash_of(subtree) for subtree in _consistency(first, (0, second), True)]


def leaf_under(index: int, size: int, path: Sequence[bytes], leaf: bytes) -> bytes | None:
    """Return the root that a proof of inclusion leads to, or None when it is none (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while place and not place & 1:
                place >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        place >>= 1
        last >>= 1
    return found if last == 0 else None


def grew(first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes) -> bool:
    """Whether a proof of consistency shows that one list is the beginning of the other (RFC 9162, 2.1.4.2)."""
    if first > second or first < 0:
        return False
    if first == second:
        return not path and first_root == second_root
    if first == 0:
        return not path and first_root == EMPTY_ROOT
    parts = list(path)
    if first & (first - 1) == 0:  # a power of two: its root is a subtree of the later tree, and not sent
        parts.insert(0, first_root)
    if not parts:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place >>= 1
        last >>= 1
    old = new = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(part, old), node_hash(part, new)
            while place and not place & 1:
                place >>= 1
                last >>= 1
        else:
            new = node_hash(new, part)
        place >>= 1
        last >>= 1
    return last == 0 and old == first_root and new == second_root


def kept_for(sizes: Sequence[int], purged: int) -> list[Range]:
    """Return the subtrees that must stay known when the first ``purged`` leaves go.

    With them, the roots of the trees of ``sizes`` and their consistency with every later one can still be shown.
    """
    kept: dict[Range, None] = {}
    for peak in _peaks(purged):
        kept[peak] = None
        for size in sizes:
            start, stop = peak
            while start < size < stop:
                middle = start + _split(stop - start)
                kept[(start, middle)] = kept[(middle, stop)] = None
                start, stop = (start, middle) if size < middle else (middle, stop)
    return list(kept)


def _peaks(size: int) -> Iterator[Range]:
    """Yield the complete subtrees of a list of ``size`` leaves."""
    start = 0
    for bit in range(size.bit_length() - 1, -1, -1):
        width = 1 << bit
        if size & width:
            yield start, start + width
            start += width


def _path(index: int, within: Range) -> list[Range]:
    start, stop = within
    if stop - start == 1:
        return []
    middle = start + _split(stop - start)
    if index < middle:
        return [*_path(index, (start, middle)), (middle, stop)]
    return [*_path(index, (middle, stop)), (start, middle)]


def _consistency(size: int, within: Range, whole: bool) -> list[Range]:
    """SUBPROOF of RFC 9162: ``whole`` says that the verifier knows the hash of the old part of ``within``."""
    start, stop = within
    if size == stop:
        return [] if whole else [within]
    middle = start + _split(stop - start)
    if size <= middle:
        return [*_consistency(size, (start, middle), whole), (middle, stop)]
    return [*_consistency(size, (middle, stop), False), (start, middle)]


def _split(size: int) -> int:
    """Return the largest power of two that is smaller than ``size``."""
    return 1 << (size - 1).bit_length() - 1


def _folded(peaks: Sequence[bytes]) -> bytes:
    if not peaks:
        return EMPTY_ROOT
    found = peaks[-1]
    for digest in reversed(peaks[:-1]):
        found = node_hash(digest, found)
    return found
