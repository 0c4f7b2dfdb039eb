"""What a release is packed into: frames for the coordinator, or frames to be sealed for each of the receiving nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from archipel import errors, frames, obligations, sealing
from archipel.border.decision import Release
from archipel.schema import COORDINATOR, Table
from archipel.sealing import Header, StreamId
from node_agent.sealed import Output, Peers, padded, parts_of


@dataclass(eq=False, slots=True)
class Parcel:
    """What one receiver gets. ``header`` is there when it is sealed; then ``exchange_id`` is, too."""

    exchange_id: str
    receiver: str
    release: Release
    content: list[bytes]
    header: Header | None = None
    _sent: Any = field(default_factory=hashlib.sha256)
    _sent_bytes: int = 0

    @property
    def size(self) -> int:
        """Bytes of its frames before they are sealed."""
        return sum(len(frame) for frame in self.content)

    @property
    def sent(self) -> tuple[int, str]:
        """How many bytes travel, and their digest; of a sealed parcel known when all of it was sent."""
        if self.header is None:
            return self.size, self._digest()
        return self._sent_bytes, self._sent.hexdigest()

    def _digest(self) -> str:
        whole = hashlib.sha256()
        for frame in self.content:
            whole.update(frame)
        return whole.hexdigest()

    @property
    def size_told(self) -> bool:
        """Whether researchers may know its size: not of persons, since no threshold guards their number."""
        return self.header is None or not self.header.obliges.policy.protected

    def frames(self, peers: Peers) -> Iterator[bytes]:
        """Yield what travels."""
        if self.header is None:
            yield from self.content
            return
        key = peers.key_of(self.receiver)
        for frame in sealing.seal(self.header, iter(self.content), own=peers.own_key(), receiver=key):
            self._sent.update(frame)
            self._sent_bytes += len(frame)
            yield frame

    def facts(self) -> dict[str, Any]:
        """Return what the audit log says of it."""
        return {
            "exchange": self.exchange_id or None,
            "to": self.receiver,
            "form": self.release.form.name.lower(),
            "rule": self.release.rule,
            "bytes": self.size,
            "size_told": self.size_told,
            "key_epoch": self.header.key_epoch if self.header is not None else 0,
        }


def packed(
    output: pa.Table,
    outputs: Sequence[Output],
    releases: Mapping[str, Release],
    *,
    compress: bool,
    stream_of: Callable[[str, str], StreamId],
    epoch: int,
    keep: Callable[[StreamId, pa.Table], pa.Table] = lambda _, rows: rows,
) -> list[Parcel]:
    """Return a parcel for the coordinator, or one for every receiver of every exchange in ``outputs``.

    ``stream_of`` gives the identity of the stream of an exchange for a receiver; ``epoch`` is that of pseudonyms.
    ``keep`` gives what travels in place of rows that do not leave the node.

    Raises:
        ArchipelError: BAD_REQUEST when rows cannot be cut as ``outputs`` ask; BORDER_REFUSED without obligations.
    """
    if not outputs:
        content = list(frames.encode_table(output, compress=compress))
        return [Parcel("", COORDINATOR, releases[COORDINATOR], content)]
    protected = any(release.protected or _obliges(release).policy.protected for release in releases.values())

    def encoded(table: pa.Table) -> list[bytes]:
        content = list(frames.encode_table(table, compress=compress))
        return padded(content) if protected else content

    whole: list[bytes] = []  # shared by all who get all rows: what is broadcast is held in memory once
    parcels = []
    for to in outputs:
        parts = parts_of(output, to)
        for node, part in zip(to.nodes, parts, strict=True):
            stream = stream_of(to.exchange_id, node)
            sent = keep(stream, part)
            if to.part_column or sent is not part:
                content = encoded(sent)
            else:
                content = whole = whole or encoded(part)
            release = releases[node]
            bound = _bound(release, part, to)
            header = Header(stream, bound.columns, bound, epoch if release.pseudonymised else 0)
            parcels.append(Parcel(to.exchange_id, node, release, content, header))
    return parcels


def _obliges(release: Release) -> Table:
    if release.obliges is None:
        raise errors.error(errors.BORDER_REFUSED, "It is not known what a node that gets this would have to keep.")
    return release.obliges


def _bound(release: Release, part: pa.Table, to: Output) -> Table:
    """Return what a receiver must treat its part as."""
    bound = _obliges(release)
    if to.part_column:
        if (bound.person_column or "").lower() == to.part_column.lower():
            raise errors.error(errors.BAD_REQUEST, "The column that says who gets a row is the person's.")
        bound = obligations.without_column(bound, to.part_column)
    if [column.name for column in bound.columns] != part.column_names:
        raise errors.error(errors.BORDER_REFUSED, "What the receivers would have to keep is not known of every column.")
    return bound
