"""The ledger on disk: answers, the sketches of their groups, what permits have used, refusals and locks. SQLite.

One process holds it at a time. Every change is on disk when a method returns. Entries are chained by hash as audit
records are, and the audit record of a release names the entry that stands behind it, so that a ledger that was
altered, or replaced by an older copy, is noticed when it is opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archipel import errors
from archipel.border.measures import BUCKETS
from node_agent.ledger_sketch import COARSE, Sketches, Sums, coarse

GENESIS = "0" * 64
DATABASE = "ledger.db"
SECRET = "secret"
LOCK = "LOCK"
CHUNK_ROWS = 64
"""Sketches that are compressed together, and so read together."""

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    sequence INTEGER PRIMARY KEY, question TEXT NOT NULL UNIQUE, told TEXT NOT NULL, answer BLOB,
    until REAL NOT NULL, content TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS sketches (
    entry INTEGER NOT NULL, domain TEXT NOT NULL, rows INTEGER NOT NULL, kinds BLOB NOT NULL, coarse BLOB NOT NULL,
    PRIMARY KEY (entry, domain)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fine (
    entry INTEGER NOT NULL, domain TEXT NOT NULL, chunk INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (entry, domain, chunk)
);
CREATE TABLE IF NOT EXISTS permits (
    permit TEXT PRIMARY KEY, questions INTEGER NOT NULL DEFAULT 0, cells INTEGER NOT NULL DEFAULT 0,
    locked REAL, because TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (permit TEXT NOT NULL, at REAL NOT NULL, what TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS refusals_of ON refusals (permit, at);
CREATE TABLE IF NOT EXISTS linked (
    entry INTEGER PRIMARY KEY, family TEXT NOT NULL, permit TEXT NOT NULL, researcher TEXT NOT NULL,
    shape TEXT NOT NULL, marks BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS linked_of ON linked (family, entry);
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a permit has used at this node."""

    permit: str
    questions: int = 0
    cells: int = 0
    locked: float | None = None
    because: str = ""
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """An earlier answer: what it was (``told``), the table that left, as Arrow IPC, and its place in the chain."""

    sequence: int
    digest: str
    told: dict[str, Any]
    answer: bytes | None


@dataclass(frozen=True, slots=True)
class Kept:
    """The sketches of one entry over one person domain, without the fine ones."""

    entry: int
    domain: str
    sketches: Sketches
    coarse: Sums


@dataclass(frozen=True, slots=True)
class LinkedRow:
    """An answer as a part of a linked table (``node_agent.linked_tables``), and whose it is."""

    family: str
    permit: str
    researcher: str
    shape: str
    marks: bytes

    @property
    def digest(self) -> str:
        """Return what the entry says of it."""
        texts = json.dumps([self.family, self.permit, self.researcher, self.shape])
        return _sha256(texts.encode(), self.marks)


class LedgerStore:
    """The database of one node. Safe to use from several threads; one process."""

    def __init__(self, directory: Path) -> None:
        """Open it, or make it when there was none.

        Raises:
            ArchipelError: LEDGER_UNAVAILABLE when it cannot be opened, is in use, or was altered.
        """
        self._mutex = threading.RLock()
        self._path = directory / DATABASE
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(directory / LOCK)
        except OSError as cause:
            raise unavailable(_reason(cause)) from cause
        try:
            self.secret = _secret(directory)
            self._database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        except (OSError, sqlite3.Error) as cause:
            os.close(self._lock)
            self._lock = -1
            raise unavailable(_reason(cause)) from cause
        try:
            os.chmod(self._path, 0o600)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")  # WAL is synced at every commit
            self._database.execute("PRAGMA secure_delete = FAST")
            self._database.executescript(_TABLES)
            self._head = self._verified()
        except (OSError, sqlite3.Error) as cause:
            self.close()
            raise unavailable(_reason(cause)) from cause
        except errors.ArchipelError:
            self.close()
            raise

    def close(self) -> None:
        """Close it; idempotent."""
        with self._mutex, contextlib.suppress(sqlite3.Error):
            self._database.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __del__(self) -> None:
        if getattr(self, "_lock", -1) >= 0:
            os.close(self._lock)

    @property
    def size(self) -> int:
        """Its size on disk."""
        with self._mutex:
            pages = self._database.execute("PRAGMA page_count").fetchone()[0]
            free = self._database.execute("PRAGMA freelist_count").fetchone()[0]
            size = self._database.execute("PRAGMA page_size").fetchone()[0]
            return int((pages - free) * size)

    @property
    def sequence(self) -> int:
        """How many entries were ever made."""
        return self._head[0]

    @contextlib.contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Have what is written in the block on disk when it ends, all or nothing."""
        with self._mutex:
            head = self._head
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except BaseException as cause:
                self._head = head
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                if isinstance(cause, sqlite3.Error | OSError):
                    raise unavailable(_reason(cause)) from cause
                raise

    def fact(self, name: str, value: str | None = None) -> str | None:
        """Return a remembered fact; with ``value``, remember it."""
        if value is not None:
            with self.change() as database:
                database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
        row = self._one("SELECT value FROM facts WHERE name = ?", name)
        return str(row[0]) if row else None

    def find(self, question: str) -> Stored | None:
        """Return the answer that a question got."""
        row = self._one("SELECT sequence, digest, told, answer FROM entries WHERE question = ?", question)
        return Stored(row[0], row[1], json.loads(row[2]), row[3]) if row else None

    def described(self, sequence: int) -> dict[str, Any]:
        """Return what an entry says of itself, for the node's officer."""
        row = self._one("SELECT content FROM entries WHERE sequence = ?", sequence)
        found: dict[str, Any] = json.loads(row[0]) if row else {}
        return found

    def contents(self, name: str) -> Iterator[dict[str, Any]]:
        """Return what the answers say of themselves that were not purged and have a certain entry, oldest first."""
        with self._mutex:
            statement = "SELECT content FROM entries WHERE told <> '{}' AND instr(content, ?) > 0 ORDER BY sequence"
            rows = self._database.execute(statement, (json.dumps(name),)).fetchall()
        found = (json.loads(content) for (content,) in rows)
        return (content for content in found if name in content)

    def append(
        self,
        database: sqlite3.Connection,
        question: str,
        content: dict[str, Any],
        *,
        told: dict[str, Any],
        answer: bytes | None,
        until: float,
        sketches: dict[str, Sketches],
        linked: LinkedRow | None = None,
    ) -> Stored:
        """Write an entry within ``change``. ``until`` is when it may be purged."""
        sequence = self._head[0] + 1
        told_text = json.dumps(told, sort_keys=True)
        parts = {domain: _packed(found) for domain, found in sketches.items()}
        text = json.dumps(
            {
                **content,
                "question": question,
                "sequence": sequence,
                "previous": self._head[1],
                "told_sha256": _sha256(told_text.encode()),
                "answer_sha256": _sha256(answer) if answer is not None else None,
                "sketches_sha256": {domain: part.digest for domain, part in parts.items()},
                **({"linked_sha256": linked.digest} if linked is not None else {}),
            },
            sort_keys=True,
        )
        digest = _sha256(text.encode())
        database.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
            (sequence, question, told_text, answer, until, text, digest),
        )
        for domain, part in parts.items():
            row = (sequence, domain, part.rows, part.kinds, part.coarse)
            database.execute("INSERT INTO sketches VALUES (?, ?, ?, ?, ?)", row)
            chunks = [(sequence, domain, number, data) for number, data in enumerate(part.fine)]
            database.executemany("INSERT INTO fine VALUES (?, ?, ?, ?)", chunks)
        if linked is not None:
            part_of = (linked.family, linked.permit, linked.researcher, linked.shape, linked.marks)
            database.execute("INSERT INTO linked VALUES (?, ?, ?, ?, ?, ?)", (sequence, *part_of))
        self._head = (sequence, digest)
        return Stored(sequence, digest, told, answer)

    def linked(self, family: str, permit: str, researcher: str) -> tuple[int, list[LinkedRow]]:
        """Return the parts of a linked table that a permit or researcher has, oldest first; and its newest entry."""
        with self._mutex:
            newest = self._one("SELECT coalesce(max(entry), 0) FROM linked WHERE family = ?", family)
            rows = self._database.execute(
                "SELECT family, permit, researcher, shape, marks FROM linked "
                "WHERE family = ? AND (permit = ? OR researcher = ?) ORDER BY entry",
                (family, permit, researcher),
            )
            return int(newest[0]), [LinkedRow(*row) for row in rows.fetchall()]

    def kept(self) -> Iterator[Kept]:
        """Return what an index is made of, oldest first.

        Raises:
            ArchipelError: LEDGER_UNAVAILABLE when it is not what was written.
        """
        with self._mutex:
            rows = self._database.execute("SELECT entry, domain, rows, kinds, coarse FROM sketches ORDER BY entry")
            for entry, domain, number, kinds, sums in rows.fetchall():
                fine = np.zeros((number, BUCKETS), np.uint32)
                yield Kept(entry, domain, _sketches(fine, kinds), _sums(sums, number, COARSE))

    def fine(self, entry: int, domain: str, row: int) -> Sums:
        """Return one sketch of an entry."""
        found = self._one(
            "SELECT data FROM fine WHERE entry = ? AND domain = ? AND chunk = ?", entry, domain, row // CHUNK_ROWS
        )
        if found is None:
            raise unavailable("a part of it is missing")
        chunk = np.frombuffer(zlib.decompress(found[0]), np.uint32).reshape(-1, BUCKETS)
        sums: Sums = chunk[row % CHUNK_ROWS]
        return sums

    def usage(self, permit: str, *, since: float = 0.0) -> Usage:
        """Return what a permit used, with the refusals since a time."""
        row = self._one("SELECT questions, cells, locked, because FROM permits WHERE permit = ?", permit)
        refused = self._one("SELECT count(*) FROM refusals WHERE permit = ? AND at >= ?", permit, since)
        questions, cells, locked, because = row or (0, 0, None, "")
        return Usage(permit, questions, cells, locked, because, int(refused[0]) if refused else 0)

    def usages(self) -> list[Usage]:
        """Return what every permit used."""
        with self._mutex:
            rows = self._database.execute("SELECT permit FROM permits UNION SELECT permit FROM refusals ORDER BY 1")
            return [self.usage(str(row[0])) for row in rows.fetchall()]

    def charge(self, database: sqlite3.Connection, permit: str, *, questions: int, cells: int) -> None:
        """Count what a permit uses, within ``change``."""
        database.execute(
            "INSERT INTO permits (permit, questions, cells) VALUES (?, ?, ?) ON CONFLICT (permit) DO UPDATE "
            "SET questions = questions + excluded.questions, cells = cells + excluded.cells",
            (permit, questions, cells),
        )

    def lock(self, database: sqlite3.Connection, permit: str, *, at: float | None, because: str) -> None:
        """Lock a permit, or with ``at`` None unlock it and forget its refusals, within ``change``."""
        database.execute(
            "INSERT INTO permits (permit, locked, because) VALUES (?, ?, ?) ON CONFLICT (permit) DO UPDATE "
            "SET locked = excluded.locked, because = excluded.because",
            (permit, at, because),
        )
        if at is None:
            database.execute("DELETE FROM refusals WHERE permit = ?", (permit,))

    def purge(self, now: float) -> int:
        """Remove answers and sketches whose time is over; their place in the chain stays. Returns how many."""
        with self.change() as database:
            rows = database.execute(
                "SELECT sequence FROM entries WHERE until < ? AND told <> '{}'", (now,)
            ).fetchall()  # what was purged tells nothing any more
            for (sequence,) in rows:
                for statement in ("DELETE FROM sketches", "DELETE FROM fine", "DELETE FROM linked"):
                    database.execute(f"{statement} WHERE entry = ?", (sequence,))
                database.execute(
                    "UPDATE entries SET told = '{}', answer = NULL, question = 'purged ' || sequence "
                    "WHERE sequence = ?",
                    (sequence,),
                )
        return len(rows)

    def _verified(self) -> tuple[int, str]:
        """Check the chain of entries; return how many there are and the hash of the last."""
        previous, count = GENESIS, 0
        rows = self._database.execute("SELECT sequence, content, digest FROM entries ORDER BY sequence")
        for sequence, content, digest in rows:
            count += 1
            known = json.loads(content)
            if sequence != count or known["sequence"] != count or known["previous"] != previous:
                raise unavailable("an entry was removed, added or moved")
            if _sha256(content.encode()) != digest:
                raise unavailable("an entry was altered")
            previous = digest
        return count, previous

    def verify(self) -> int:
        """Check also what the entries hold; return their number.

        Raises:
            ArchipelError: LEDGER_UNAVAILABLE when something was altered or removed.
        """
        with self._mutex:
            count, _ = self._verified()
            rows = self._database.execute("SELECT sequence, content, told, answer FROM entries").fetchall()
            for sequence, content, told, answer in rows:
                known = json.loads(content)
                if told == "{}":
                    continue  # purged
                domains = self._database.execute("SELECT domain FROM sketches WHERE entry = ?", (sequence,)).fetchall()
                digests = {str(domain): self._digest_of(sequence, str(domain)) for (domain,) in domains}
                if (
                    _sha256(told.encode()) != known["told_sha256"]
                    or (_sha256(answer) if answer is not None else None) != known["answer_sha256"]
                    or digests != known["sketches_sha256"]
                    or self._linked_digest(sequence) != known.get("linked_sha256")
                ):
                    raise unavailable(f"what entry {sequence} holds was altered")
            return count

    def _linked_digest(self, sequence: int) -> str | None:
        row = self._database.execute(
            "SELECT family, permit, researcher, shape, marks FROM linked WHERE entry = ?", (sequence,)
        ).fetchone()
        return LinkedRow(*row).digest if row else None

    def digest_at(self, sequence: int) -> str | None:
        """Return the hash of an entry."""
        row = self._one("SELECT digest FROM entries WHERE sequence = ?", sequence)
        return str(row[0]) if row else None

    def _digest_of(self, entry: int, domain: str) -> str:
        row = self._database.execute(
            "SELECT kinds, coarse FROM sketches WHERE entry = ? AND domain = ?", (entry, domain)
        ).fetchone()
        fine = self._database.execute(
            "SELECT data FROM fine WHERE entry = ? AND domain = ? ORDER BY chunk", (entry, domain)
        ).fetchall()
        return _sha256(row[0], row[1], *(part for (part,) in fine))

    def _one(self, statement: str, *values: Any) -> Any:
        with self._mutex:
            try:
                return self._database.execute(statement, values).fetchone()
            except sqlite3.Error as cause:
                raise unavailable(_reason(cause)) from cause


@dataclass(frozen=True, slots=True)
class _Packed:
    rows: int
    kinds: bytes
    coarse: bytes
    fine: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        return _sha256(self.kinds, self.coarse, *self.fine)


_KINDS = np.dtype([("family", "i1"), ("origin", "i1"), ("minimum", "<i4"), ("persons", "<i8")])


def _packed(sketches: Sketches) -> _Packed:
    kinds = np.zeros(len(sketches), _KINDS)
    for name in _KINDS.names or ():
        kinds[name] = getattr(sketches, name)
    fine = np.ascontiguousarray(sketches.fine)
    # Small groups are mostly zeros; large ones do not compress, and level 1 soon notices.
    chunks = tuple(zlib.compress(fine[at : at + CHUNK_ROWS].tobytes(), 1) for at in range(0, len(fine), CHUNK_ROWS))
    return _Packed(len(sketches), kinds.tobytes(), coarse(fine).tobytes(), chunks)


def _sketches(fine: Sums, kinds: bytes) -> Sketches:
    found = np.frombuffer(kinds, _KINDS)
    return Sketches(fine, found["family"], found["persons"], found["origin"], found["minimum"])


def _sums(data: bytes, rows: int, columns: int) -> Sums:
    return np.frombuffer(data, np.uint32).reshape(rows, columns)


def _secret(directory: Path) -> bytes:
    """Return the node's key for sketches; a new one only for a new ledger."""
    path = directory / SECRET
    if path.exists():
        found = path.read_bytes()
        if len(found) != 32:
            raise unavailable("its secret is damaged")
        return found
    if (directory / DATABASE).exists():
        raise unavailable("its secret is missing")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        sink.write(made := os.urandom(32))
        sink.flush()
        os.fsync(sink.fileno())
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return made


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sha256(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _reason(cause: OSError | sqlite3.Error) -> str:
    if isinstance(cause, BlockingIOError):
        return "another process uses it"
    if isinstance(cause, sqlite3.Error):
        return f"{cause.sqlite_errorname if hasattr(cause, 'sqlite_errorname') else type(cause).__name__}"
    return cause.strerror or type(cause).__name__


def unavailable(reason: str) -> errors.ArchipelError:
    """Return the error of a ledger that cannot be used."""
    return errors.error(errors.LEDGER_UNAVAILABLE, f"The node's ledger of earlier answers cannot be used: {reason}.")


@dataclass(frozen=True, slots=True)
class Overview:
    """A ledger as its operator looks at it, while the agent may hold it."""

    entries: int
    purged: int
    bytes: int
    usages: tuple[Usage, ...]


def overview(directory: Path, *, verify: bool = False) -> Overview:
    """Read a ledger without changing it; with ``verify`` check all of it.

    Raises:
        ArchipelError: LEDGER_UNAVAILABLE when there is none, it cannot be read, or something was altered or removed.
    """
    path = directory / DATABASE
    if not path.exists():
        raise unavailable(f"there is none in {directory}")
    store = LedgerStore.__new__(LedgerStore)
    store._mutex, store._lock = threading.RLock(), -1
    try:
        store._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            entries = store.verify() if verify else store._verified()[0]
            purged = store._one("SELECT count(*) FROM entries WHERE told = '{}'")
            return Overview(entries, int(purged[0]), store.size, tuple(store.usages()))
        finally:
            store.close()
    except sqlite3.Error as cause:
        raise unavailable(_reason(cause)) from cause
