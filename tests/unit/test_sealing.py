"""The sealed exchange: only the receiver can read a stream, and it notices whatever was done to it on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from archipel import errors, sealing
from archipel.schema import Column, Form, Role, Table, TablePolicy
from archipel.sealing import Header, StreamId
from archipel.v1 import gateway_pb2

SENDER, RECEIVER, OTHER = (X25519PrivateKey.generate() for _ in range(3))
FRAMES = tuple(bytes([65 + i]) * 50 for i in range(4))
COLUMNS = (Column("person", "BLOB"), Column("year", "INTEGER"))
OBLIGES = Table(
    "stays",
    COLUMNS,
    person_column="person",
    person_domain="nir",
    policy=TablePolicy(coordinator_form=Form.AGGREGATE, min_persons=20, roles=(("year", Role.GROUP),)),
)
STREAM = StreamId(
    federation="test",
    query_id="q1",
    exchange_id="x1",
    stage_id="s1",
    attempt=1,
    sender="cnam",
    receiver="chu",
    permit_id="p1",
    request_sha256="0" * 64,
)
HEADER = Header(STREAM, COLUMNS, OBLIGES, key_epoch=3)


def sealed(header: Header = HEADER, frames: tuple[bytes, ...] = FRAMES) -> list[bytes]:
    """Return a stream as it travels."""
    return list(sealing.seal(header, iter(frames), own=SENDER, receiver=RECEIVER.public_key()))


def opened(
    parts: list[bytes],
    expected: StreamId = STREAM,
    *,
    own: X25519PrivateKey = RECEIVER,
    sender: X25519PublicKey | None = None,
) -> tuple[Header, list[bytes]]:
    """Return what the receiver makes of a stream."""
    header, frames = sealing.unseal(iter(parts), expected, own=own, sender=sender or SENDER.public_key())
    return header, list(frames)


def refuse(work: Callable[[], object]) -> str:
    """Return why something is not taken."""
    with pytest.raises(errors.OperationalError) as refusal:
        work()
    assert refusal.value.code == "EXCHANGE_REFUSED"
    return refusal.value.info.message


def test_the_receiver_reads_what_the_sender_sealed_and_what_it_obliges_to() -> None:
    header, frames = opened(sealed())
    assert tuple(frames) == FRAMES
    assert header == HEADER
    assert header.obliges.policy.min_persons == 20


def test_a_stream_without_a_frame_has_an_end_too() -> None:
    assert opened(sealed(frames=())) == (HEADER, [])


def test_nothing_of_the_data_shows_on_the_way() -> None:
    whole = b"".join(sealed())
    assert not any(frame[:8] in whole for frame in FRAMES)


def test_the_same_data_sealed_twice_looks_different() -> None:
    first, second = sealed(), sealed()
    assert not set(first) & set(second)


def test_the_standard_s_vector_for_the_mode_with_authentication() -> None:
    """RFC 9180, appendix A.1.3: the same construction with AES-128-GCM, its first three messages."""
    secret = [
        X25519PrivateKey.from_private_bytes(bytes.fromhex(text))
        for text in (
            "dc4a146313cce60a278a5323d321f051c5707e9c45ba21a3479fecdf76fc69dd",
            "fdea67cf831f1ca98d8e27b1f6abeb5b7745e9d35348b80fa407ff6958f9137e",
            "ff4442ef24fbc3c1ff86375b0be1e77e88a0de1e79b30896d73411c5ff4c3518",
        )
    ]
    context = sealing.sender_context(
        b"Ode on a Grecian Urn",
        own=secret[0],
        receiver=secret[1].public_key(),
        one_time=secret[2],
        aead_id=b"\x00\x01",
    )
    messages = [context.encrypt(b"Beauty is truth, truth beauty", b"Count-%d" % i).hex() for i in range(3)]
    assert messages == [
        "5fd92cc9d46dbf8943e72a07e42f363ed5f721212cd90bcfd072bfd9f44e06b80fd17824947496e21b680c141b",
        "d3736bb256c19bfa93d79e8f80b7971262cb7c887e35c26370cfed62254369a1b52e3d505b79dd699f002bc8ed",
        "122175cfd5678e04894e4ff8789e85dd381df48dcaf970d52057df2c9acc3b121313a2bfeaa986050f82d93645",
    ]


TAMPERINGS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "the first frame dropped": lambda p: [p[0], *p[2:]],
    "a middle frame dropped": lambda p: [*p[:2], *p[3:]],
    "the last frame dropped": lambda p: p[:-1],
    "all frames dropped": lambda p: p[:1],
    "everything dropped": lambda p: [],
    "the opening dropped": lambda p: p[1:],
    "two frames swapped": lambda p: [p[0], p[2], p[1], *p[3:]],
    "a frame sent twice": lambda p: [*p[:2], p[1], *p[2:]],
    "the last frame sent twice": lambda p: [*p, p[-1]],
    "the whole stream sent twice": lambda p: [*p, *p],
    "an earlier frame marked as the last": lambda p: [*p[:2], b"\x01" + p[2][1:]],
    "the last frame marked as an earlier one": lambda p: [*p[:-1], b"\x00" + p[-1][1:]],
    "another marker": lambda p: [p[0], b"\x02" + p[1][1:], *p[2:]],
    "an empty frame put in": lambda p: [*p[:2], b"", *p[2:]],
    "a frame cut short": lambda p: [*p[:2], p[2][:-1], *p[3:]],
    "a frame made longer": lambda p: [*p[:2], p[2] + b"\x00", *p[3:]],
    "two frames in one": lambda p: [p[0], p[1] + p[2], *p[3:]],
    "a frame of another stream": lambda p: [*p[:2], sealed()[2], *p[3:]],
    "the end of another stream": lambda p: [*p[:2], *sealed()[2:]],
    "the opening of another stream": lambda p: [sealed()[0], *p[1:]],
    "an endless opening": lambda p: [p[0] + bytes(2 * sealing.MAX_OPENING_BYTES), *p[1:]],
    "a key that gives no secret": lambda p: [_with_one_time_key(p[0], bytes(32)), *p[1:]],
    "a key of the relay's own": lambda p: [_with_one_time_key(p[0], OTHER.public_key().public_bytes_raw()), *p[1:]],
    "a key that is none": lambda p: [_with_one_time_key(p[0], b"short"), *p[1:]],
}


def _with_one_time_key(opening: bytes, key: bytes) -> bytes:
    message = gateway_pb2.SealedOpening.FromString(opening)
    message.one_time_key = key
    return message.SerializeToString()


@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_a_stream_that_was_tampered_with_is_refused(tampering: Callable[[list[bytes]], list[bytes]]) -> None:
    refuse(lambda: opened(tampering(sealed())))


def test_every_altered_bit_of_every_part_is_noticed() -> None:
    whole = sealed(frames=(b"one", b"two"))
    for index, part in enumerate(whole):
        for position in range(len(part)):
            for bit in (1, 128):
                altered = bytearray(part)
                altered[position] ^= bit
                refuse(lambda: opened([*whole[:index], bytes(altered), *whole[index + 1 :]]))  # noqa: B023 - at once


def test_whoever_reads_learns_of_a_missing_end_only_at_the_end() -> None:
    _, frames = sealing.unseal(iter(sealed()[:-1]), STREAM, own=RECEIVER, sender=SENDER.public_key())
    read: list[bytes] = []

    def drain(source: Iterator[bytes]) -> None:
        read.extend(source)

    assert "no end" in refuse(lambda: drain(frames))
    assert tuple(read) == FRAMES[:-1]


def test_another_receiver_cannot_open_it() -> None:
    refuse(lambda: opened(sealed(), own=OTHER))


def test_a_stream_of_a_sender_with_another_key_is_refused() -> None:
    forged = list(sealing.seal(HEADER, iter(FRAMES), own=OTHER, receiver=RECEIVER.public_key()))
    refuse(lambda: opened(forged))


@pytest.mark.parametrize(
    "change",
    [
        {"federation": "other"},
        {"query_id": "q2"},
        {"exchange_id": "x2"},
        {"stage_id": "s2"},
        {"attempt": 2},
        {"sender": "chr"},
        {"receiver": "chr"},
        {"permit_id": "p2"},
        {"request_sha256": "1" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_stream_of_another_query_exchange_attempt_or_party_is_refused(change: dict[str, object]) -> None:
    other = replace(STREAM, **change)  # type: ignore[arg-type]
    assert "another" in refuse(lambda: opened(sealed(replace(HEADER, stream=other))))
    # As it was sent, but told to be the expected one: the header is bound to the key.
    spliced = sealed(replace(HEADER, stream=other))
    refuse(lambda: opened([sealed()[0], *spliced[1:]]))
    opening = gateway_pb2.SealedOpening.FromString(spliced[0])
    opening.header = gateway_pb2.SealedOpening.FromString(sealed()[0]).header
    refuse(lambda: opened([opening.SerializeToString(), *spliced[1:]]))


def test_weaker_obligations_written_into_the_header_are_noticed() -> None:
    whole = sealed()
    opening = gateway_pb2.SealedOpening.FromString(whole[0])
    header = gateway_pb2.SealedHeader.FromString(opening.header)
    header.obliges.policy.protected = False
    opening.header = header.SerializeToString(deterministic=True)
    refuse(lambda: opened([opening.SerializeToString(), *whole[1:]]))
