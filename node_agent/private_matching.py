"""Which persons two nodes have in common, found out without showing each other their lists.

The protocol is the one of Meadows (1986) and Huberman, Franklin and Hogg (EC 1999), in the form that De Cristofaro and
Tsudik (FC 2010) prove secure against parties that follow it, in the random oracle model, by the one-more Diffie-Hellman
assumption. With a the asker's key, b the answerer's, and H a hash onto the curve:

    asker    -> answerer:  H(x)^a for each of its persons x
    answerer -> asker:     H(x)^ab for each of these, in their order, and a digest of H(y)^b for each of its own, sorted
    asker:                 H(x)^ab to the power of 1/a is H(x)^b; x is in both if its digest is there

The curve is P-256, of prime order; a point stands as its x coordinate alone, since both signs have the same multiples
up to their sign. H takes SHA-256 digests until one is the x coordinate of a point (for a pseudonym that takes 2 on
average). Both keys are drawn for one answer and never used again. Numbers of persons are padded with random points and
digests, which nobody can tell from others.

What a liar gains: an asker may put in persons whom it does not have. It learns of each whether the answerer has it,
but it can name a person only by a pseudonym, for which it needs the holders' linkage secret.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric import ec

from archipel import errors, sealing
from node_agent.sealed import padme

LEAST_PADDED = 256
"""Fewer persons than this look like this many."""

MAX_PERSONS = 1_000_000
"""Of one list. Blinding so many takes about a minute."""

POINT_BYTES = 32
DIGEST_BYTES = 16
"""Of a blinded person: that two of a million times a million are alike has a probability of 10^-26."""

_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_EVERY = 1_000

Check = Callable[[], None]
"""Called now and then during long work; raises when nobody wants it any more."""


class Asker:
    """The party that has asked and learns which of its persons are in both."""

    def __init__(self, persons: Iterable[bytes], check: Check = lambda: None) -> None:
        """Blind ``persons``; each counts once.

        Raises:
            ArchipelError: NODE_RESOURCES when they are too many.
        """
        self._persons = _shuffled(persons)
        self._key = ec.generate_private_key(_CURVE)
        size = padded_count(len(self._persons))
        dummies = (_point(os.urandom(POINT_BYTES)) for _ in range(size - len(self._persons)))
        blinded = _times(self._key, map(_point, self._persons), check)
        self.question = b"".join([*blinded, *(_x_of(point) for point in dummies)])
        """What the answerer gets."""

    @property
    def size(self) -> int:
        """How many persons it asks about."""
        return len(self._persons)

    def common(self, doubled: bytes, digests: bytes, check: Check = lambda: None) -> list[bytes]:
        """Return which of the persons the answerer has, too.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when it is no answer to the question.
        """
        if len(doubled) != len(self.question) or len(digests) % DIGEST_BYTES:
            raise sealing.refused("it does not answer what was asked")
        theirs = set(_cut(digests, DIGEST_BYTES))
        inverse = pow(self._key.private_numbers().private_value, -1, _ORDER)
        unblind = ec.derive_private_key(inverse, _CURVE)
        told = map(_lifted, _cut(doubled, POINT_BYTES)[: self.size])
        points = _times(unblind, told, check)
        return [p for p, point in zip(self._persons, points, strict=True) if _digest(point) in theirs]


def answer(question: bytes, persons: Iterable[bytes], check: Check = lambda: None) -> tuple[bytes, bytes]:
    """Return a question blinded once more, and digests of the answerer's own blinded ``persons``.

    Raises:
        ArchipelError: EXCHANGE_REFUSED when it is no question, NODE_RESOURCES when there are too many persons.
    """
    count, rest = divmod(len(question), POINT_BYTES)
    if rest or count < LEAST_PADDED:
        raise sealing.refused("it asks about fewer persons than a question has")
    _check_count(count)
    own = list(dict.fromkeys(persons))
    key = ec.generate_private_key(_CURVE)
    doubled = _times(key, map(_lifted, _cut(question, POINT_BYTES)), check)
    digests = [_digest(point) for point in _times(key, map(_point, own), check)]
    digests += [os.urandom(DIGEST_BYTES) for _ in range(padded_count(len(own)) - len(own))]
    return b"".join(doubled), b"".join(sorted(digests))


def padded_count(count: int) -> int:
    """Return how many persons so many look like.

    Raises:
        ArchipelError: NODE_RESOURCES when they are too many.

    >>> padded_count(0), padded_count(300), padded_count(10_000)
    (256, 304, 10240)
    """
    _check_count(count)
    return padme(max(count, LEAST_PADDED))


def _check_count(count: int) -> None:
    if count > padme(MAX_PERSONS):
        raise errors.error(
            errors.NODE_RESOURCES,
            f"A private set intersection is made of lists of at most {MAX_PERSONS:,} persons; this one has more.",
            hint="Filter by a condition on the node whose rows are sent.",
        )


def _shuffled(persons: Iterable[bytes]) -> Sequence[bytes]:
    found = list(dict.fromkeys(persons))
    secrets.SystemRandom().shuffle(found)  # their order says nothing of how they are stored
    return found


def _cut(content: bytes, size: int) -> list[bytes]:
    return [content[i : i + size] for i in range(0, len(content), size)]


def _times(key: ec.EllipticCurvePrivateKey, points: Iterable[ec.EllipticCurvePublicKey], check: Check) -> list[bytes]:
    """Return the x coordinates of a multiple of each of the points."""
    found = []
    for number, point in enumerate(points):
        if number % _EVERY == 0:
            check()
        found.append(key.exchange(ec.ECDH(), point))
    return found


def _point(person: bytes) -> ec.EllipticCurvePublicKey:
    """Return the point that stands for a person."""
    for number in range(256):
        digest = hashlib.sha256(b"archipel intersection 1" + bytes([number]) + person).digest()
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x02" + digest)
        except ValueError:
            continue
    raise AssertionError("256 digests in a row are no points: that happens to one of 2^256")


def _lifted(x: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x02" + x)
    except ValueError:
        raise sealing.refused("it holds something that is no point of the curve") from None


def _x_of(point: ec.EllipticCurvePublicKey) -> bytes:
    return point.public_numbers().x.to_bytes(POINT_BYTES, "big")


def _digest(point: bytes) -> bytes:
    return hashlib.sha256(b"archipel intersection 1 in both" + point).digest()[:DIGEST_BYTES]
