"""Masked sums: what several nodes add up without any of them showing its own numbers. Pure; needs numpy.

Every node sends its numbers plus a mask for each other node. Two nodes agree on their mask without sending it, one
adds it and the other takes it away, so that masks cancel in the sum over all nodes and in no other sum (Bonawitz et
al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017; without its recovery of nodes
that drop out: here a round with a node missing is void).

Three kinds of numbers are masked, each in its own group, so that masks hide them perfectly:

- *marks* are combined by XOR: of which of some buckets holds anybody at any node. A node with somebody in a bucket
  puts four random bits there, others zeros; what comes out is random if there is somebody anywhere (and zeros with
  probability 1/16 all the same), and does not say at how many nodes;
- *words* are added modulo 2^64: counts;
- *wides* are added modulo 2^128: exact sums of whole numbers and decimals, and sums of doubles in fixed point.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from archipel.rounds import KEY_BYTES, LABEL_BYTES

Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

FRACTION_BITS = 40
"""A sum of doubles is rounded, at each node, to multiples of 2^-40 (9.1e-13)."""

MARK_WORDS = 4
"""Words that a bitmap takes as marks: four bits a bucket."""

_CHUNK_BYTES = 1 << 18
"""Masks are made and added in pieces that stay in the processor's cache."""


def label_key(secret: bytes, digest: bytes) -> bytes:
    """Return the key of the hashes of groups in one round, from the contributors' secret of that round."""
    return HKDF(SHA256(), KEY_BYTES, salt=digest, info=b"archipel label 1").derive(secret)


def person_key(secret: bytes, digest: bytes) -> bytes:
    """Return the key by which persons fall into buckets in one round."""
    return HKDF(SHA256(), KEY_BYTES, salt=digest, info=b"archipel bucket 1").derive(secret)


def check_of(secret: bytes, digest: bytes) -> bytes:
    """Return what shows whether two contributors have the same secret, and nothing else of it."""
    return HKDF(SHA256(), KEY_BYTES, salt=digest, info=b"archipel check 1").derive(secret)


def bound(agreed: bytes, secret: bytes, listed: bytes) -> bytes:
    """Return what masks are bound to: the round, the contributors' secret, and the list of groups.

    Nodes that were given another secret, or another list, call groups otherwise: then their masks must not cancel, or
    the sum for one label would be one over some of the nodes.
    """
    about = b"archipel bound 1" + hashlib.sha256(listed).digest()
    return HKDF(SHA256(), KEY_BYTES, salt=agreed, info=about).derive(secret)


# Numbers


@dataclass(frozen=True, slots=True)
class Shape:
    """How many columns of each kind there are, each with a number for every group; ``marks`` counts bitmaps."""

    groups: int
    marks: int
    words: int
    wides: int

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Return how many 64-bit words marks, words and the two halves of wides take."""
        wides = self.wides * self.groups
        return self.marks * MARK_WORDS * self.groups, self.words * self.groups, wides, wides

    @property
    def size(self) -> int:
        """How many bytes a node sends."""
        return 8 * sum(self.sizes)


@dataclass(frozen=True, slots=True)
class Numbers:
    """One node's numbers, masked or not, or the sums of several nodes': one array of each kind, column after column.

    ``low`` and ``high`` are the halves of wides.
    """

    marks: Words
    words: Words
    low: Words
    high: Words

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high):
            raise ValueError("wides have two halves of one length")

    @classmethod
    def zeros(cls, shape: Shape) -> Numbers:
        """Return what adds nothing."""
        return cls(*(np.zeros(size, np.uint64) for size in shape.sizes))

    @classmethod
    def from_bytes(cls, content: bytes | memoryview, shape: Shape) -> Numbers:
        """Return what ``to_bytes`` wrote.

        Raises:
            ValueError: it is of another shape.
        """
        if len(content) != shape.size:
            raise ValueError("the numbers are of another shape")
        found, start = [], 0
        for size in shape.sizes:
            found.append(np.frombuffer(content, "<u8", size, start).astype(np.uint64))
            start += 8 * size
        return cls(*found)

    def to_bytes(self) -> bytes:
        """Return all numbers, little-endian."""
        return b"".join(part.astype("<u8", copy=False).tobytes() for part in self._parts())

    def copy(self) -> Numbers:
        """Return the same numbers in arrays of their own."""
        return Numbers(*(part.copy() for part in self._parts()))

    def add(self, other: Numbers) -> None:
        """Add another node's numbers to these, in place."""
        self.marks[...] ^= other.marks
        self.words[...] += other.words
        _add_wide(self.low, self.high, other.low, other.high)

    def _parts(self) -> tuple[Words, Words, Words, Words]:
        return self.marks, self.words, self.low, self.high


def _add_wide(low: Words, high: Words, more_low: Words, more_high: Words) -> None:
    low += more_low
    high += more_high
    high += low < more_low


def _subtract_wide(low: Words, high: Words, less_low: Words, less_high: Words) -> None:
    high -= less_high
    high -= low < less_low
    low -= less_low


# Masks


@dataclass(frozen=True, slots=True)
class Masker:
    """One node's side of all its masks in one round.

    A mask comes from two agreements (X25519): of the two nodes' keys in the manifest, so that whoever passes the
    one-time keys on cannot put in others, and of their one-time keys, so that a key that is stolen later opens no
    earlier round. HKDF (RFC 5869) makes an AES-256 key of both and of the round, and AES-CTR makes the mask of it.
    """

    node: str
    own: X25519PrivateKey
    one_time: X25519PrivateKey
    peers: Mapping[str, X25519PublicKey]
    """Keys of the manifest of the other contributors."""
    one_time_peers: Mapping[str, bytes]
    agreed: bytes

    def masked(self, numbers: Numbers) -> Numbers:
        """Return the numbers under this node's masks; they must be sent in one round only.

        Raises:
            ValueError: a one-time key is none.
        """
        made = numbers.copy()
        for node in sorted(self.peers):
            self._apply(made, node)
        return made

    def again(self, purpose: str) -> Masker:
        """Return the masker of another message of the same round, with masks of its own."""
        return replace(self, agreed=HKDF(SHA256(), KEY_BYTES, salt=self.agreed, info=purpose.encode()).derive(b""))

    def _apply(self, numbers: Numbers, node: str) -> None:
        stream = _Stream(self._key(node))
        adds = self.node < node
        for part in _pieces(numbers.marks):
            part ^= stream.words(len(part))
        for part in _pieces(numbers.words):
            if adds:
                part += stream.words(len(part))
            else:
                part -= stream.words(len(part))
        for low, high in zip(_pieces(numbers.low), _pieces(numbers.high), strict=True):
            mask_low, mask_high = stream.words(len(low)), stream.words(len(high))
            change = _add_wide if adds else _subtract_wide
            change(low, high, mask_low, mask_high)

    def _key(self, node: str) -> bytes:
        theirs = X25519PublicKey.from_public_bytes(self.one_time_peers[node])
        agreed = self.own.exchange(self.peers[node]) + self.one_time.exchange(theirs)
        pair = json.dumps(["archipel", "mask", 1, *sorted((self.node, node))]).encode()
        return HKDF(SHA256(), KEY_BYTES, salt=self.agreed, info=pair).derive(agreed)


class _Stream:
    """AES-256-CTR from zero: under a key that is never used again."""

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def words(self, count: int) -> Words:
        return np.frombuffer(self._encryptor.update(_ZEROS[: 8 * count]), "<u8")


_ZEROS = memoryview(bytes(_CHUNK_BYTES))


def _pieces(numbers: Words) -> Iterator[Words]:
    step = _CHUNK_BYTES // 8
    for start in range(0, len(numbers), step):
        yield numbers[start : start + step]


# Persons in buckets


def marks_of(bitmaps: Words) -> Words:
    """Return random marks for bitmaps of ``BUCKETS`` bits: four random bits where a bit is set, zeros elsewhere."""
    spread = _SPREAD[bitmaps.astype("<u8", copy=False).view(np.uint8)].view("<u8")
    noise = np.frombuffer(os.urandom(spread.nbytes), "<u8")
    marks: Words = (spread & noise).astype(np.uint64)
    return marks


def bitmaps_of(marks: Words) -> Words:
    """Return the bitmaps of the buckets whose marks are not zero: in each of them there is somebody."""
    some = marks | (marks >> np.uint64(2))
    some = (some | (some >> np.uint64(1))) & np.uint64(0x1111111111111111)
    nibbles = some.astype("<u8", copy=False).view(np.uint8)
    pairs = (nibbles & 1) | ((nibbles >> 3) & 2)
    fours = pairs.reshape(-1, 4)
    octets = fours[:, 0] | (fours[:, 1] << 2) | (fours[:, 2] << 4) | (fours[:, 3] << 6)
    return np.ascontiguousarray(octets, np.uint8).view("<u8").astype(np.uint64)


def filled(bitmaps: Words) -> Words:
    """Return how many bits are set in each."""
    counted: Words = np.bitwise_count(bitmaps).astype(np.uint64)
    return counted


def signs_of(present: npt.NDArray[np.bool_]) -> Words:
    """Return a random word where something is present, 0 elsewhere: their sum over nodes says only whether it is 0."""
    noise: Words = np.frombuffer(os.urandom(8 * len(present)), "<u8").astype(np.uint64)
    return np.where(present, noise, np.uint64(0))


_SPREAD: npt.NDArray[np.uint32] = np.array(
    [sum(0xF << 4 * bit for bit in range(8) if octet >> bit & 1) for octet in range(256)], "<u4"
)


# Exact numbers


class NotCarried(Exception):
    """A number is too large, or none, so that it cannot be added up so."""


def halves_of(column: pa.Array, contributors: int) -> tuple[Words, Words]:
    """Return a column of decimals (128 bits) or doubles as wides; NULL is 0.

    Raises:
        NotCarried: a number is so large that the total over as many nodes might not fit, or it is not finite.
    """
    if pa.types.is_floating(column.type):
        return _fixed_point(column, contributors)
    halves = _decimal_halves(column)
    high = halves[:, 1].view(np.int64)
    bound = (1 << 62) // contributors
    if len(high) and (int(high.max()) >= bound or int(high.min()) <= -bound):
        raise NotCarried
    return np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])


def _decimal_halves(column: pa.Array) -> Words:
    if column.null_count:
        column = column.fill_null(pa.scalar(0, pa.int64()).cast(column.type))
    content = column.buffers()[1]
    assert content is not None
    halves: Words = np.frombuffer(content, "<u8", 2 * len(column), 16 * column.offset).astype(np.uint64)
    pairs: Words = halves.reshape(-1, 2)
    return pairs


def _fixed_point(column: pa.Array, contributors: int) -> tuple[Words, Words]:
    values = column.fill_null(0.0).cast(pa.float64()).to_numpy(zero_copy_only=False)
    if not np.isfinite(values).all():
        raise NotCarried
    units = np.rint(np.ldexp(values, FRACTION_BITS))
    if len(units) and float(np.abs(units).max()) >= 2.0**126 / contributors:
        raise NotCarried
    # Of the size first, whose halves are exact: a double has 53 bits, and a small negative number's low half would not.
    size = np.abs(units)
    high = np.floor(size / 2.0**64)
    low = (size - high * 2.0**64).astype(np.uint64)
    return _negated(low, high.astype(np.uint64), units < 0)


def _negated(low: Words, high: Words, where: npt.NDArray[np.bool_]) -> tuple[Words, Words]:
    """Return wides with another sign ``where`` it says so (two's complement)."""
    less = (~low) + np.uint64(1)
    return np.where(where, less, low), np.where(where, ~high + (less == 0), high)


def integers(low: Words, high: Words) -> list[int]:
    """Return wides as whole numbers."""
    return [(int(h) << 64) + int(part) for part, h in zip(low.tolist(), high.view(np.int64).tolist(), strict=True)]


def as_floats(low: Words, high: Words) -> npt.NDArray[np.float64]:
    """Return wides as doubles, rounded: for comparisons."""
    below = high.view(np.int64) < 0
    low, high = _negated(low, high, below)  # the halves of a small negative number would cancel each other out
    size: npt.NDArray[np.float64] = high.astype(np.float64) * 2.0**64 + low.astype(np.float64)
    return np.where(below, -size, size)


def column_of(low: Words, high: Words, missing: npt.NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    """Return wides as a column of ``kind``: decimals or doubles, NULL where ``missing``.

    Raises:
        NotCarried: a total has more digits than a decimal can have.
    """
    valid = pa.array(~missing).buffers()[1]
    if pa.types.is_floating(kind):
        units = integers(low, high)
        values = np.array([unit / (1 << FRACTION_BITS) for unit in units], np.float64)
        return pa.Array.from_buffers(pa.float64(), len(values), [valid, pa.py_buffer(values)])
    halves = np.column_stack((low, high)).astype("<u8", copy=False)
    made = pa.Array.from_buffers(pa.decimal128(38, kind.scale), len(low), [valid, pa.py_buffer(halves.tobytes())])
    try:
        made.validate(full=True)
    except pa.ArrowInvalid:
        raise NotCarried from None
    return made


# Aligning


def union_of(lists: Iterable[bytes], *, nodes: int = 1) -> tuple[bytes, int]:
    """Return the sorted labels that stand in so many of ``lists``, and how many labels there are in all of them.

    Each list is sorted and has a label once; so is what is returned, in an order that says nothing of origins.

    Raises:
        ValueError: a list does not consist of labels, or is not sorted.
    """
    halves = [_sorted_halves(labels) for labels in lists]
    if not halves:
        return b"", 0
    found, counts = _each_once(*(np.concatenate(parts) for parts in zip(*halves, strict=True)))
    return found[counts >= nodes].astype(">u8").tobytes(), len(counts)


def sorted_labels(labels: bytes) -> bytes:
    """Return labels in their order, each once."""
    found, _ = _each_once(*_halves(labels))
    return found.astype(">u8").tobytes()


def _each_once(first: Words, second: Words) -> tuple[Words, Places]:
    """Return labels, each once and sorted, as rows of two halves, and how often each was there."""
    order = np.argsort(first, kind="stable")  # merges what is sorted already
    sorted_first, sorted_second = first[order], second[order]
    same = sorted_first[1:] == sorted_first[:-1]
    if (same & (sorted_second[1:] < sorted_second[:-1])).any():  # labels that begin alike
        order = np.lexsort((second, first))
        sorted_first, sorted_second = first[order], second[order]
        same = sorted_first[1:] == sorted_first[:-1]
    new = np.ones(len(first), np.bool_)
    new[1:] = ~same | (sorted_second[1:] != sorted_second[:-1])
    starts = np.flatnonzero(new)
    pairs = np.column_stack((sorted_first[starts], sorted_second[starts]))
    return pairs, np.diff(np.append(starts, len(first)))


def _sorted_halves(labels: bytes) -> tuple[Words, Words]:
    first, second = _halves(labels)
    rises = (first[1:] > first[:-1]) | ((first[1:] == first[:-1]) & (second[1:] > second[:-1]))
    if not rises.all():
        raise ValueError("the list is not sorted")
    return first, second


def positions(labels: bytes, listed: bytes) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return where each of ``labels`` stands in a sorted list, and whether it does; where it does not, 0.

    Raises:
        ValueError: they are no labels, or the list is not sorted.
    """
    first, second = _halves(labels)
    known_first, known_second = _sorted_halves(listed)
    if len(known_first) == 0:
        return np.zeros(len(first), np.int64), np.zeros(len(first), np.bool_)
    found = np.searchsorted(known_first, first)
    for _ in range(_ALIKE):  # labels that begin alike stand beside each other
        inside = np.minimum(found, len(known_first) - 1)
        before = (inside == found) & (known_first[inside] == first) & (known_second[inside] < second)
        if not before.any():
            break
        found = found + before
    found = np.minimum(found, len(known_first) - 1)
    there = (known_first[found] == first) & (known_second[found] == second)
    return np.where(there, found, 0), there


_ALIKE = 8
"""So many labels with the same first 64 bits would take more groups than there are atoms in the sea."""


def _halves(labels: bytes) -> tuple[Words, Words]:
    if len(labels) % LABEL_BYTES:
        raise ValueError("labels of another length")
    pairs = np.frombuffer(labels, ">u8").reshape(-1, 2).astype(np.uint64)
    return pairs[:, 0], pairs[:, 1]


def placed(column: Words, where: Places, groups: int) -> Words:
    """Return a column over all groups, with this node's numbers in their places and zeros elsewhere."""
    made = np.zeros(groups, np.uint64)
    made[where] = column
    return made
