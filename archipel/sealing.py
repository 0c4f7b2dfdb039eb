"""The sealed exchange: what one node sends so that only one other node can read it, whoever relays it.

A stream is an opening and then frames. The construction is HPKE in its mode *Auth* (RFC 9180, section 5.1.3) with
DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM: the key comes from two agreements, the sender's one-time key
and the sender's static key each with the receiver's static key, so that only the receiver can open it and only the
sender (or the receiver itself, section 9.1.1) can have made it. The whole header is HPKE's ``info``: one bit of it
altered, and no frame opens. Static keys are those of the signed manifest.

Frames follow the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizar, CRYPTO 2015): the nonce holds the frame's
number (RFC 9180, section 5.2), and the associated data holds it again with a marker on the last frame. A frame that is
dropped, repeated, moved, altered or taken from another stream does not open, and a stream without its last frame has
not ended.

What this does not hide: who sends to whom, when, and how many bytes. A sender whose key is stolen can be impersonated
until the manifest names another one; what it sent before stays closed, since its one-time keys are gone. A receiver
whose key is stolen can be read, also what was recorded earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from google.protobuf.message import DecodeError

from archipel import errors, wire
from archipel.frames import FRAME_BYTES
from archipel.schema import Column, Table
from archipel.v1 import gateway_pb2

MAX_FRAME_BYTES = FRAME_BYTES + 64
"""A frame's data, its tag and its marker."""

MAX_OPENING_BYTES = 1024 * 1024

_MODE_AUTH = b"\x02"
_KEM_ID = b"\x00\x20"
"""DHKEM(X25519, HKDF-SHA256)."""
_KDF_ID = b"\x00\x01"
"""HKDF-SHA256."""
AES_256_GCM = b"\x00\x02"
_KEY_BYTES = {b"\x00\x01": 16, AES_256_GCM: 32}
_NONCE_BYTES = 12
_COUNTER_BYTES = 8
_MORE, _LAST = b"\x00", b"\x01"


@dataclass(frozen=True, slots=True)
class StreamId:
    """Which stream it is. The receiver knows all of it beforehand and takes nothing else."""

    federation: str
    query_id: str
    exchange_id: str
    stage_id: str
    """The sender's stage."""
    attempt: int
    """The sender's attempt."""
    sender: str
    receiver: str
    permit_id: str
    request_sha256: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a sender says of a stream. ``obliges`` is what the receiver must treat the data as.

    ``key_epoch`` is that of the linkage secret behind the pseudonyms in it, 0 when it holds none. ``intersected`` says
    that its rows are of persons only whom a private set intersection found at the receiver, too.
    """

    stream: StreamId
    columns: tuple[Column, ...]
    obliges: Table
    key_epoch: int = 0
    intersected: bool = False


def seal(
    header: Header, frames: Iterator[bytes], *, own: X25519PrivateKey, receiver: X25519PublicKey
) -> Iterator[bytes]:
    """Yield the stream that carries ``frames`` from the holder of ``own`` to the holder of ``receiver``."""
    info = _header_to_bytes(header)
    one_time = X25519PrivateKey.generate()
    context = sender_context(info, own=own, receiver=receiver, one_time=one_time)
    opening = gateway_pb2.SealedOpening(header=info, one_time_key=one_time.public_key().public_bytes_raw())
    yield opening.SerializeToString()
    held = next(frames, b"")
    for frame in frames:
        yield context.seal(held, last=False)
        held = frame
    yield context.seal(held, last=True)


def unseal(
    parts: Iterator[bytes], expected: StreamId, *, own: X25519PrivateKey, sender: X25519PublicKey
) -> tuple[Header, Iterator[bytes]]:
    """Return the header of a stream and its frames, as they come in ``parts``.

    The header is authentic when this returns. That the stream is whole is known only at its end: whoever reads the
    frames must use nothing of them before the iterator has ended without an error.

    Raises:
        ArchipelError: EXCHANGE_REFUSED, also while reading, when it is not the expected stream, or not as it was sent.
    """
    header, one_time = _opening(next(parts, b""), expected)
    info, told = header
    try:
        context = _receiver_context(info, one_time, own=own, sender=sender)
    except ValueError as cause:  # a key of low order: the agreement gives zeros
        raise refused("its key is not acceptable") from cause
    first = next(parts, None)
    if first is None:
        raise refused("it has no end")
    return told, _opened(context.open(first), first[:1] == _LAST, parts, context)


def _opened(frame: bytes, last: bool, parts: Iterator[bytes], context: Context) -> Iterator[bytes]:
    while True:
        if frame:
            yield frame
        if last:
            break
        part = next(parts, None)
        if part is None:
            raise refused("it has no end")
        frame, last = context.open(part), part[:1] == _LAST
    if next(parts, None) is not None:
        raise refused("something follows its end")


@dataclass(slots=True)
class Context:
    """The key of one stream and the number of its next frame: HPKE's encryption context."""

    _aead: AESGCM
    _base_nonce: bytes
    _number: int = 0

    def seal(self, frame: bytes, *, last: bool) -> bytes:
        """Return the next frame as it travels: a marker and the ciphertext."""
        marker = _LAST if last else _MORE
        return marker + self.encrypt(frame, marker + self._number.to_bytes(_COUNTER_BYTES))

    def open(self, part: bytes) -> bytes:
        """Return the next frame of what arrived.

        Raises:
            ArchipelError: EXCHANGE_REFUSED.
        """
        marker = part[:1]
        try:
            plain = self._aead.decrypt(self._nonce(), part[1:], marker + self._number.to_bytes(_COUNTER_BYTES))
        except (InvalidTag, ValueError) as cause:
            raise refused("a part of it was dropped, moved or altered, or it is another one") from cause
        self._number += 1
        return plain

    def encrypt(self, plain: bytes, associated: bytes) -> bytes:
        """Return the ciphertext of the next message (RFC 9180, section 5.2, ``Context.Seal``)."""
        sealed = self._aead.encrypt(self._nonce(), plain, associated)
        self._number += 1
        return sealed

    def _nonce(self) -> bytes:
        number = self._number.to_bytes(_NONCE_BYTES)
        return bytes(a ^ b for a, b in zip(self._base_nonce, number, strict=True))


def sender_context(
    info: bytes,
    *,
    own: X25519PrivateKey,
    receiver: X25519PublicKey,
    one_time: X25519PrivateKey,
    aead_id: bytes = AES_256_GCM,
) -> Context:
    """Return the sender's context (RFC 9180, ``SetupAuthS``). ``aead_id`` is an argument for the standard's vectors."""
    agreed = one_time.exchange(receiver) + own.exchange(receiver)
    keys = (one_time.public_key(), receiver, own.public_key())
    return _context(_shared_secret(agreed, keys), info, aead_id)


def _receiver_context(info: bytes, one_time: bytes, *, own: X25519PrivateKey, sender: X25519PublicKey) -> Context:
    theirs = X25519PublicKey.from_public_bytes(one_time)
    agreed = own.exchange(theirs) + own.exchange(sender)
    return _context(_shared_secret(agreed, (theirs, own.public_key(), sender)), info, AES_256_GCM)


def _shared_secret(agreed: bytes, keys: tuple[X25519PublicKey, X25519PublicKey, X25519PublicKey]) -> bytes:
    suite = b"KEM" + _KEM_ID
    secret = _labeled_extract(suite, b"", b"eae_prk", agreed)
    return _labeled_expand(suite, secret, b"shared_secret", b"".join(key.public_bytes_raw() for key in keys), 32)


def _context(shared_secret: bytes, info: bytes, aead_id: bytes) -> Context:
    suite = b"HPKE" + _KEM_ID + _KDF_ID + aead_id
    no_psk = _labeled_extract(suite, b"", b"psk_id_hash", b"")
    schedule = _MODE_AUTH + no_psk + _labeled_extract(suite, b"", b"info_hash", info)
    secret = _labeled_extract(suite, shared_secret, b"secret", b"")
    key = _labeled_expand(suite, secret, b"key", schedule, _KEY_BYTES[aead_id])
    return Context(AESGCM(key), _labeled_expand(suite, secret, b"base_nonce", schedule, _NONCE_BYTES))


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    # HKDF's "no salt" is a salt of zeros (RFC 5869, section 2.2).
    return HKDF.extract(SHA256(), salt or bytes(SHA256.digest_size), b"HPKE-v1" + suite + label + material)


def _labeled_expand(suite: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return HKDFExpand(SHA256(), length, length.to_bytes(2) + b"HPKE-v1" + suite + label + info).derive(secret)


def _opening(part: bytes, expected: StreamId) -> tuple[tuple[bytes, Header], bytes]:
    if len(part) > MAX_OPENING_BYTES:
        raise refused("it does not begin as a sealed stream does")
    try:
        opening = gateway_pb2.SealedOpening.FromString(part)
        header = _header_from_bytes(opening.header)
    except (DecodeError, errors.ArchipelError) as cause:
        raise refused("it does not begin as a sealed stream does") from cause
    if header.stream != expected:
        raise refused("it is another one")
    return (opening.header, header), opening.one_time_key


def _header_to_bytes(header: Header) -> bytes:
    stream = header.stream
    message = gateway_pb2.SealedHeader(
        federation=stream.federation,
        query_id=stream.query_id,
        exchange_id=stream.exchange_id,
        stage_id=stream.stage_id,
        attempt=stream.attempt,
        sender=stream.sender,
        receiver=stream.receiver,
        permit_id=stream.permit_id,
        request_sha256=stream.request_sha256,
        key_epoch=header.key_epoch,
        intersected=header.intersected,
        columns=[wire.column_to_wire(column) for column in header.columns],
        obliges=wire.table_to_wire(header.obliges),
    )
    return message.SerializeToString(deterministic=True)


def _header_from_bytes(content: bytes) -> Header:
    message = gateway_pb2.SealedHeader.FromString(content)
    stream = StreamId(
        federation=message.federation,
        query_id=message.query_id,
        exchange_id=message.exchange_id,
        stage_id=message.stage_id,
        attempt=message.attempt,
        sender=message.sender,
        receiver=message.receiver,
        permit_id=message.permit_id,
        request_sha256=message.request_sha256,
    )
    columns = tuple(wire.column_from_wire(column) for column in message.columns)
    return Header(stream, columns, wire.table_from_wire(message.obliges), message.key_epoch, message.intersected)


def refused(reason: str) -> errors.ArchipelError:
    """Return the error of a sealed stream that is not taken."""
    return errors.error(errors.EXCHANGE_REFUSED, f"What another node sent is not taken: {reason}.")
