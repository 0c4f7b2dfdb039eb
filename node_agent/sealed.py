"""The node's ends of the sealed exchange: what it seals for other nodes, and what it takes of what they sealed for it.

Keys come from the signed manifest, and from nowhere else. What the coordinator says of a stream (whose it is, which
attempt, of which exchange) is only compared with what the sender's authenticated header says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from archipel import errors, frames, obligations, schema, sealing
from archipel.linkage import Linkage
from archipel.sealing import Header, StreamId
from node_agent.spill import SpilledTable, gathered

Kept = Callable[[StreamId, pa.Schema], pa.Table | None]
"""Gives the rows that a stream of the node to itself went without."""

Pull = Callable[[str, str], Iterator[bytes]]
"""Gives the stream of an exchange (first) that a node (second) sealed for this one, as the coordinator hands it out."""

LEAST_PADDED_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Sender:
    """The task of another node that an input comes from."""

    node: str
    stage_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Output:
    """An exchange that a task's output is sealed for, and who gets it; ``part_column`` says who gets which row."""

    exchange_id: str
    nodes: tuple[str, ...]
    part_column: str = ""


@dataclass(frozen=True, slots=True)
class Peers:
    """The nodes of the manifest with their sealing keys, and what this node itself seals and links with.

    Without ``own`` key the node takes part in no sealed exchange; without ``linkage`` it gives no pseudonyms.
    """

    keys: Mapping[str, X25519PublicKey]
    own: X25519PrivateKey | None = None
    linkage: Linkage | None = None

    def own_key(self) -> X25519PrivateKey:
        """Return the key that this node seals and unseals with.

        Raises:
            ArchipelError: POLICY_REFUSED when its operator configured none.
        """
        if self.own is None:
            raise errors.error(
                errors.POLICY_REFUSED,
                "This node exchanges nothing with other nodes.",
                hint="Its operator configures a sealing_key if it shall.",
            )
        return self.own

    def key_of(self, node: str) -> X25519PublicKey:
        """Return another node's key.

        Raises:
            ArchipelError: POLICY_REFUSED when the manifest names no such node.
        """
        key = self.keys.get(node)
        if key is None:
            raise errors.error(errors.POLICY_REFUSED, "The federation's manifest does not name a node of the task.")
        return key

    def pads(self, permit_id: str) -> pa.Table:
        """Return what the engine makes pseudonyms with, under one permit.

        Raises:
            ArchipelError: POLICY_REFUSED when its operator configured no linkage secret.
        """
        if self.linkage is None:
            raise errors.error(
                errors.POLICY_REFUSED,
                "This node links no persons with other nodes.",
                hint="Its operator configures the holders' linkage_secret if it shall.",
            )
        return self.linkage.pads(permit_id)

    @property
    def epoch(self) -> int:
        """The epoch of the linkage secret; 0 without one."""
        return self.linkage.epoch if self.linkage is not None else 0


def check_parties(peers: Peers, nodes: Sequence[str], permitted: Sequence[str]) -> None:
    """Make sure that a task's data comes from, or goes to, none but nodes of manifest and permit.

    Raises:
        ArchipelError: POLICY_REFUSED or PERMIT_SCOPE.
    """
    if not nodes:
        return
    peers.own_key()
    for node in nodes:
        peers.key_of(node)
        if node not in permitted:
            raise errors.error(
                errors.PERMIT_SCOPE, "The permit does not name a node that the task exchanges data with."
            )


# What leaves


def parts_of(table: pa.Table, output: Output) -> list[pa.Table]:
    """Return what each node of ``output`` gets of ``table``, in their order.

    Raises:
        ArchipelError: BAD_REQUEST when a row is for no node, or the column that says for whom is not as it should be.
    """
    if not output.part_column:
        return [table] * len(output.nodes)
    index = table.schema.get_field_index(output.part_column)
    if index < 0 or table.schema.field(index).type != pa.uint32():
        raise errors.error(errors.BAD_REQUEST, "The statement has no UINTEGER column that says who gets a row.")
    column = table.column(index)
    rest = table.remove_column(index)
    parts = [rest.filter(pc.equal(column, pa.scalar(part, pa.uint32()))) for part in range(len(output.nodes))]
    if sum(part.num_rows for part in parts) != table.num_rows:
        raise errors.error(errors.BAD_REQUEST, "A row of the statement is for none of the nodes that get them.")
    return parts


def padded(content: list[bytes]) -> list[bytes]:
    """Return frames with zeros behind them, so that their size tells little of how many persons are in them.

    The size is rounded up as Padmé does (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
    Communication with PURBs", PETS 2019): at most 12 % more, and of a size of M bytes only about log log M bits show.
    Arrow's reader stops at the end of its stream and does not see them.
    """
    size = sum(len(frame) for frame in content)
    missing = padme(max(size, LEAST_PADDED_BYTES)) - size
    room = min(missing, frames.FRAME_BYTES - len(content[-1]))
    whole, last = divmod(missing - room, frames.FRAME_BYTES)
    return [
        *content[:-1],
        content[-1] + bytes(room),
        *([bytes(frames.FRAME_BYTES)] * whole),
        *([bytes(last)] if last else []),
    ]


def padme(size: int) -> int:
    """Return the size rounded up, by 12 % at most."""
    exponent = size.bit_length() - 1
    kept = exponent.bit_length()
    step = 1 << max(0, exponent - kept)
    return (size + step - 1) // step * step


# What comes in


@dataclass(frozen=True, slots=True)
class ReceiveLimits:
    """Most bytes of one input in memory and altogether, and where what does not fit into memory goes."""

    memory_bytes: int = 64 * 1024 * 1024
    max_bytes: int = 8 * 1024 * 1024 * 1024
    directory: Path = Path()


@dataclass(frozen=True, slots=True)
class Received:
    """An input that came sealed: its rows, and the table that the border check must take it for."""

    table: schema.Table
    data: pa.Table | SpilledTable
    streams: tuple[StreamId, ...]
    size: int
    """Bytes of its frames, before they are tables."""
    epochs: frozenset[int]
    """Key epochs of the pseudonyms in it; none when there are none."""
    intersected: bool = False
    """Whether all senders say that it is of persons only whom a private set intersection found here, too."""

    def close(self) -> None:
        """Remove what is on disk."""
        if isinstance(self.data, SpilledTable):
            self.data.close()


def receive(
    streams: Sequence[StreamId],
    *,
    peers: Peers,
    pull: Pull,
    limits: ReceiveLimits,
    kept: Kept = lambda _stream, _schema: None,
) -> Received:
    """Collect and unseal the streams of one exchange, one after the other, and return them as one input.

    Nothing of it can be used before every stream has come to its authenticated end: only then this returns.

    Raises:
        ArchipelError: EXCHANGE_REFUSED when a stream is not what was sent, NODE_RESOURCES when they are too large.
    """
    exchange_id = streams[0].exchange_id
    if len({stream.sender for stream in streams}) < len(streams):
        raise errors.error(errors.BAD_REQUEST, "A task names the same sender twice.")
    reading = _Reading(limits.max_bytes)
    own = peers.own_key()
    first = _Opened(streams[0], reading, own, peers, pull)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from _with_kept(first, kept)
        for stream in streams[1:]:
            following = _Opened(stream, reading, own, peers, pull)
            if not following.schema.equals(first.schema):
                raise sealing.refused("its types are not those of the other senders' parts")
            yield from _with_kept(following, kept)

    schema = first.schema.remove_metadata()
    data = gathered(schema, batches(), memory_bytes=limits.memory_bytes, directory=limits.directory)
    headers = reading.headers
    return Received(
        table=obligations.combined(exchange_id, [_bound(header) for header in headers]),
        data=data,
        streams=tuple(header.stream for header in headers),
        size=reading.size,
        epochs=frozenset(header.key_epoch for header in headers if header.key_epoch),
        intersected=all(header.intersected for header in headers),
    )


def _with_kept(opened: _Opened, kept: Kept) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a stream, and those that stayed when it went without them."""
    yield from opened.batches()
    rows = kept(opened.stream, opened.schema)
    if rows is not None:
        yield from rows.to_batches()


def check_epochs(received: Sequence[Received], peers: Peers) -> None:
    """Make sure that all pseudonyms of a task were made with one secret, and with this node's if it has one.

    Raises:
        ArchipelError: EXCHANGE_REFUSED.
    """
    epochs = {epoch for part in received for epoch in part.epochs}
    if epochs and len(epochs | ({peers.epoch} - {0})) > 1:
        raise sealing.refused("its pseudonyms belong to another epoch of the linkage secret")


def _bound(header: Header) -> schema.Table:
    """Return what a header obliges to, if it speaks of the columns that it announces."""
    if header.obliges.columns != header.columns:
        raise sealing.refused("its header contradicts itself")
    return header.obliges


class _Reading:
    """What was read of all streams of an input so far."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.size = 0
        self.headers: list[Header] = []

    def counted(self, source: Iterator[bytes]) -> Iterator[bytes]:
        for frame in source:
            self.size += len(frame)
            if self.size > self._max_bytes:
                raise errors.error(errors.NODE_RESOURCES, "An input of the task is larger than this node takes.")
            yield frame


class _Opened:
    """One stream while it is read. Its header is authentic; its rows are only when ``batches`` has ended."""

    def __init__(self, stream: StreamId, reading: _Reading, own: X25519PrivateKey, peers: Peers, pull: Pull) -> None:
        self.stream = stream
        parts = pull(stream.exchange_id, stream.sender)
        header, content = sealing.unseal(parts, stream, own=own, sender=peers.key_of(stream.sender))
        reading.headers.append(header)
        self._content = _Remembering(reading.counted(content))
        self._reader = self._translated(lambda: frames.decode_batches(self._content))
        self.schema: pa.Schema = self._reader.schema
        if self.schema.names != [column.name for column in header.columns]:
            raise sealing.refused("it has other columns than its header says")

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield its rows, and come to an end only at the authenticated end of the stream."""
        reader = iter(self._reader)
        while (batch := self._translated(lambda: next(reader, None))) is not None:
            yield batch
        for _ in self._content:  # what pads it, up to the marker of its end
            pass

    def _translated(self, work: Callable[[], pa.RecordBatchReader]) -> pa.RecordBatchReader:
        """Return what ``work`` returns; where it fails since the stream did, raise the stream's own error."""
        try:
            return work()
        except Exception:
            if self._content.failure is not None:
                raise self._content.failure from None
            raise


class _Remembering:
    """An iterator that keeps the error with which its source failed."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self.failure: errors.ArchipelError | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._source)
        except errors.ArchipelError as problem:
            self.failure = problem
            raise
