"""Keeps what decisions rest on, so that an officer can see later how one was reached: ``archipel audit replay``.

The audit log names each document by its SHA-256, and it is durable before the record that names it: permits and
requests as they were signed, the policy file, what tables there were under which policy, and what other nodes
demanded for what they sent. One file a month, in which each document stands once; so a month's records need no
file but their month's, and purging months needs no search for what is still named.

Tokens and SQL are in it: the folder is the node's own, like the audit log.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from archipel import errors, schema, wire
from archipel.schema import Column, Table
from archipel.v1 import common_pb2
from node_agent.audit_head import sync_data, sync_folder
from node_agent.order import TaskOrder

EVIDENCE_FOLDER = "evidence"
FILE_PATTERN = "evidence-????-??.jsonl"
SOFTWARE = ("archipel", "sqlglot", "duckdb")
"""What a decision is made with."""

KEPT = tuple(f"{kind}_sha256" for kind in ("permit", "request", "policy", "setting", "inputs"))
"""What an audit record calls the digests of documents that are kept."""
NAMED_ANYWAY = ("permit_sha256", "request_sha256")
"""Those of them that a record has in every case: what they are digests of came with the task."""

_BEGIN = b'{"sha256": "'


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its SHA-256: of what is kept again and again the digest is computed once."""

    text: str
    digest: str

    @classmethod
    def of(cls, text: str) -> Document:
        """Return the document of a text."""
        return cls(text, _digest(text))


@dataclass(slots=True, eq=False)
class _Writing:
    """Documents that were written and are being made durable, in the file of ``month``."""

    month: str
    digests: frozenset[str]
    thread: threading.Thread | None = None
    failed: OSError | None = None


class Evidence:
    """Appends documents. Used by the process that holds the audit log; safe to use from several threads."""

    def __init__(self, directory: Path, now: Callable[[], float] = time.time) -> None:
        """Open the folder, which is made if it is not there.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE.
        """
        self._directory = directory
        self._now = now
        self._mutex = threading.Lock()
        self._month = ""
        self._known: set[str] = set()
        self._pending: dict[str, _Writing] = {}
        self._failed: dict[str, OSError] = {}
        self._size = 0
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as cause:
            raise _unavailable(cause) from cause

    def keep(self, documents: Mapping[str, str | Document]) -> dict[str, str]:
        """Make documents durable, given by what they are; return their digests by the same names.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE; then nothing may be released.
        """
        digests = self.begin(documents)
        self.settle(digests.values())
        return digests

    def begin(self, documents: Mapping[str, str | Document]) -> dict[str, str]:
        """Write documents as ``keep`` does, but return before they are durable: ``settle`` waits for that.

        The disk takes its time while the statement runs, whose record alone must find them there.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE.
        """
        given = {kind: Document.of(text) if isinstance(text, str) else text for kind, text in documents.items()}
        with self._mutex:
            try:
                self._turn_to(_month(self._now()))
                new = {known.digest: (kind, known.text) for kind, known in given.items()}
                lines = [
                    json.dumps({"sha256": digest, "kind": kind, "content": text}).encode() + b"\n"
                    for digest, (kind, text) in new.items()
                    if digest not in self._known and digest not in self._pending
                ]
                if lines:
                    self._append(b"".join(lines), frozenset(new.keys() - self._known - self._pending.keys()))
            except OSError as cause:
                raise _unavailable(cause) from cause
        return {kind: known.digest for kind, known in given.items()}

    def settle(self, digests: Iterable[str]) -> None:
        """Return when documents that were begun are durable.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE, until the documents are begun again.
        """
        digests = tuple(digests)
        with self._mutex:
            waiting = {self._pending[digest] for digest in digests if digest in self._pending}
        for writing in waiting:
            assert writing.thread is not None
            writing.thread.join()
        with self._mutex:
            for writing in waiting:
                self._settled(writing)
            failed = next((self._failed[digest] for digest in digests if digest in self._failed), None)
        if failed is not None:
            raise _unavailable(failed) from failed

    def _settled(self, writing: _Writing) -> None:
        """Take in how a writing ended. What may not be on the disk is written again when it is needed again."""
        mine = [digest for digest in writing.digests if self._pending.get(digest) is writing]
        for digest in mine:
            del self._pending[digest]
        if writing.failed is not None:
            self._failed |= dict.fromkeys(mine, writing.failed)
        elif writing.month == self._month:
            self._known.update(mine)

    def _turn_to(self, month: str) -> None:
        """Take up the file of a month: what is in it, and whether a crash has left half a line."""
        if month == self._month:
            return
        path = self._path(month)
        known, size = set(), 0
        if path.exists():
            with path.open("rb") as source:
                for line in source:
                    if not line.endswith(b"\n"):
                        break
                    size += len(line)
                    known.add(line[len(_BEGIN) : len(_BEGIN) + 64].decode("ascii", "replace"))
            if path.stat().st_size > size:
                os.truncate(path, size)
        self._month, self._known, self._size = month, known, size

    def _append(self, lines: bytes, digests: frozenset[str]) -> None:
        """Write lines, and begin to make them durable."""
        path = self._path(self._month)
        created = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(descriptor).st_size > self._size:
                os.ftruncate(descriptor, self._size)  # what an append that failed has left
            if os.write(descriptor, lines) != len(lines):
                raise OSError(28, os.strerror(28))
            writing = _Writing(self._month, digests)
            writing.thread = threading.Thread(target=self._sync, args=(writing, descriptor, created), name="evidence")
            writing.thread.start()
        except BaseException:
            os.close(descriptor)
            raise
        self._size += len(lines)
        self._pending |= dict.fromkeys(digests, writing)
        for digest in digests & self._failed.keys():
            del self._failed[digest]

    def _sync(self, writing: _Writing, descriptor: int, created: bool) -> None:
        try:
            try:
                sync_data(descriptor)
            finally:
                os.close(descriptor)
            if created:
                sync_folder(self._directory)
        except OSError as cause:
            writing.failed = cause

    def _path(self, month: str) -> Path:
        return self._directory / f"evidence-{month}.jsonl"


def find(directory: Path, digest: str) -> str | None:
    """Return the document of that digest if it is kept and unaltered."""
    wanted = _BEGIN + digest.encode()
    for path in sorted(directory.glob(FILE_PATTERN)):
        with path.open("rb") as source:
            for line in source:
                if line.startswith(wanted) and line.endswith(b"\n"):
                    text = str(json.loads(line)["content"])
                    if _digest(text) == digest:
                        return text
    return None


def purge(directory: Path, before: float) -> list[Path]:
    """Remove the files of months that ended before the month of ``before`` (Unix seconds); return them."""
    oldest = directory / f"evidence-{_month(before)}.jsonl"
    gone = [path for path in sorted(directory.glob(FILE_PATTERN)) if path.name < oldest.name]
    for path in gone:
        path.unlink()
    return gone


@dataclass(slots=True)
class Grounds:
    """What one node's decisions rest on, kept as each decision needs it."""

    evidence: Evidence
    node: str
    federation: str
    authority_key: str
    """The authority's public key, base64url."""
    policy: str = ""
    """The content of the policy file in force."""
    _kept: tuple[tuple[Table, ...], Document, Document] | None = field(default=None)
    """The tables that there are, with the policy's and the setting's documents over them."""
    _software: dict[str, str] = field(default_factory=lambda: {name: metadata.version(name) for name in SOFTWARE})

    def adopt(self, policy: str) -> None:
        """Take another policy file's content as the one in force."""
        self.policy, self._kept = policy, None

    def of(
        self,
        order: TaskOrder,
        tables: tuple[Table, ...],
        received: Mapping[str, Table] | None = None,
    ) -> dict[str, str]:
        """Keep what the decision on a task rests on; return what the audit record says of it.

        It is durable only once it is ``settled``.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE.
        """
        policy, setting = self._setting_over(tables)
        documents: dict[str, str | Document] = {
            "permit": order.permit,
            "request": order.request,
            "policy": policy,
            "setting": setting,
        }
        if order.inputs:
            documents["inputs"] = _inputs_text(order.inputs, received or {})
        digests = self.evidence.begin(documents)
        return {f"{kind}_sha256": digests[kind] for kind in documents}

    def settled(self, content: Mapping[str, Any]) -> None:
        """Return when the documents that a record's content names are durable.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE.
        """
        self.evidence.settle(str(content[name]) for name in KEPT if name in content)

    def _setting_over(self, tables: tuple[Table, ...]) -> tuple[Document, Document]:
        """Return policy and the node's state as documents; the same ones as long as nothing of them changes."""
        kept = self._kept
        if kept is None or len(kept[0]) != len(tables) or any(a is not b for a, b in zip(kept[0], tables, strict=True)):
            policy = Document.of(self.policy)
            content = {
                "node": self.node,
                "federation": self.federation,
                "authority_key": self.authority_key,
                "software": self._software,
                "policy_sha256": policy.digest,
                "tables": [table_document(table) for table in tables],
            }
            kept = self._kept = (tables, policy, Document.of(json.dumps(content, sort_keys=True)))
        return kept[1], kept[2]


def table_document(table: Table) -> dict[str, Any]:
    """Return a table as JSON has it, without what only describes its rows."""
    plain = replace(table, approximate_rows=0, approximate_bytes=0, content_digest="", ranges=())
    content: dict[str, Any] = json_format.MessageToDict(wire.table_to_wire(plain), preserving_proto_field_name=True)
    return content


def table_from(document: Mapping[str, Any]) -> Table:
    """Return the table of a document.

    Raises:
        ArchipelError: BAD_REQUEST.
    """
    try:
        message = json_format.ParseDict(dict(document), common_pb2.Table(), ignore_unknown_fields=True)
    except json_format.ParseError as cause:
        raise errors.error(errors.BAD_REQUEST, "A kept table cannot be read.") from cause
    return wire.table_from_wire(message)


def inputs_from(text: str) -> tuple[dict[str, tuple[Column, ...]], dict[str, Table]]:
    """Return a task's plain inputs, and the tables that came from other nodes, of a kept document."""
    content = json.loads(text)
    plain = {name: tuple(Column(*column) for column in columns) for name, columns in content["inputs"].items()}
    return plain, {name: table_from(document) for name, document in content["received"].items()}


def _inputs_text(inputs: Mapping[str, tuple[Column, ...]], received: Mapping[str, schema.Table]) -> str:
    plain = {
        name: [[column.name, column.type] for column in columns]
        for name, columns in inputs.items()
        if name not in received
    }
    content = {"inputs": plain, "received": {name: table_document(table) for name, table in received.items()}}
    return json.dumps(content, sort_keys=True)


def documents(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield kind and digest of everything that is kept, oldest first."""
    for path in sorted(directory.glob(FILE_PATTERN)):
        with path.open("rb") as source:
            for line in source:
                if line.endswith(b"\n"):
                    content = json.loads(line)
                    yield content["kind"], content["sha256"]


def _digest(text: str) -> str:
    """Return what names a document; of a token it is what ``tokens.digest`` says."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _month(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m")


def _unavailable(cause: OSError) -> errors.ArchipelError:
    reason = cause.strerror or type(cause).__name__
    return errors.error(errors.AUDIT_UNAVAILABLE, f"What decisions rest on cannot be kept: {reason}.")
