"""What differentially private answers have told, on disk: the budget of each permit, and the answers. SQLite.

An answer is paid for before it is computed, and kept before it leaves: a crash in between costs budget and gives none
back. One process holds the file at a time. Every change is on disk when a method returns.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from archipel import errors
from archipel.policy_privacy import PrivacyBudget

FOLDER = "privacy"
DATABASE = "privacy.db"
SECRET = "secret"
LOCK = "LOCK"
SECRET_BYTES = 32
_ROUNDING = 1e-9
"""Sums of epsilon may be over the budget by this part of it: ten times 0.1 is 1."""

_TABLES = """
CREATE TABLE IF NOT EXISTS spent (
    sequence INTEGER PRIMARY KEY, permit TEXT NOT NULL, request TEXT NOT NULL, question TEXT NOT NULL,
    epsilon REAL NOT NULL, delta REAL NOT NULL, at REAL NOT NULL, researcher TEXT NOT NULL, why TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS spent_by ON spent (permit, request);
CREATE TABLE IF NOT EXISTS answers (question TEXT PRIMARY KEY, answer BLOB NOT NULL, threshold INTEGER NOT NULL);
"""

_SPENT = "SELECT permit, count(*), sum(epsilon), sum(delta) FROM spent GROUP BY permit ORDER BY permit"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a permit has spent at this node, in all answers."""

    permit: str
    answers: int = 0
    epsilon: float = 0.0
    delta: float = 0.0


@dataclass(frozen=True, slots=True)
class Payment:
    """Who pays how much for which question."""

    permit: str
    researcher: str
    request: str
    question: str
    epsilon: float
    delta: float


class PrivacyStore:
    """The budgets of one node. Safe to use from several threads; one process."""

    def __init__(self, directory: Path, budget: PrivacyBudget | None, *, at_least: int = 0) -> None:
        """Open it. The audit log names ``at_least`` so many payments: an older copy would give budget back.

        Raises:
            ArchipelError: LEDGER_UNAVAILABLE when it cannot be opened, is in use or lacks payments.
        """
        self.budget = budget
        self._mutex = threading.RLock()
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as cause:
            raise _unavailable("its folder cannot be made") from cause
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            known = (directory / DATABASE).exists()
            self.secret = _secret(directory / SECRET, made=not known)
            self._database = sqlite3.connect(directory / DATABASE, check_same_thread=False, isolation_level=None)
        except (OSError, sqlite3.Error) as cause:
            self.close()
            raise _unavailable("it is in use, or cannot be read") from cause
        try:
            os.chmod(directory / DATABASE, 0o600)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")  # WAL is synced at every commit
            self._database.executescript(_TABLES)
            last = self._one("SELECT max(sequence) FROM spent")
        except sqlite3.Error as cause:
            self.close()
            raise _unavailable("it cannot be read") from cause
        if (last[0] or 0) < at_least:
            self.close()
            raise _unavailable("it lacks what the audit log says was spent")

    def close(self) -> None:
        """Close it; idempotent."""
        with self._mutex:
            if hasattr(self, "_database"):
                with contextlib.suppress(sqlite3.Error):
                    self._database.close()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def find(self, question: str) -> tuple[bytes, int] | None:
        """Return what a question was answered, and from how many persons on groups were shown."""
        row = self._one("SELECT answer, threshold FROM answers WHERE question = ?", question)
        return (row[0], int(row[1])) if row and row[0] is not None else None

    def has_paid(self, permit: str, question: str) -> bool:
        """Whether a permit has paid for a question."""
        row = self._one("SELECT count(*) FROM spent WHERE permit = ? AND question = ? AND why = ''", permit, question)
        return bool(row[0])

    def pay(self, payment: Payment, now: float) -> int:
        """Take what an answer costs, and return the number of the payment.

        Raises:
            ArchipelError: BUDGET_EXHAUSTED, or BAD_REQUEST when the request paid for another question already.
        """
        with self._change() as database:
            other = self._one(
                "SELECT count(*) FROM spent WHERE permit = ? AND request = ? AND question <> ?",
                *(payment.permit, payment.request, payment.question),
            )
            if other[0]:
                raise errors.error(
                    errors.BAD_REQUEST,
                    "One request for a differentially private answer gets one answer from each node.",
                    hint="Ask each in a query of its own.",
                )
            self._afford(payment)
            return self._enter(database, payment, now, "")

    def fine(self, payment: Payment, most: float, now: float) -> int:
        """Take what is left to ``most`` epsilon for a statement that failed: that it did may tell of a person."""
        with self._change() as database:
            left = max(0.0, most - payment.epsilon)
            taken = Payment(payment.permit, payment.researcher, payment.request, payment.question, left, 0.0)
            return self._enter(database, taken, now, "the statement failed")

    def keep(self, question: str, answer: bytes, threshold: int) -> tuple[bytes, int]:
        """Keep an answer, and return it; one that was kept meanwhile is returned instead."""
        with self._change() as database:
            database.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", (question, answer, threshold))
        found = self.find(question)
        if found is None:
            raise _unavailable("it did not keep an answer")
        return found

    def spent(self) -> list[Spent]:
        """Return what every permit has spent."""
        with self._mutex:
            return [Spent(*row) for row in self._database.execute(_SPENT).fetchall()]

    def remaining(self, permit: str) -> float:
        """Return how much epsilon a permit has left here; it depends on no data."""
        if self.budget is None:
            return 0.0
        used = sum(spent.epsilon for spent in self.spent() if spent.permit == permit)
        left = self.budget.epsilon_per_permit - used
        if self.budget.epsilon_in_all:
            left = min(left, self.budget.epsilon_in_all - sum(spent.epsilon for spent in self.spent()))
        return max(0.0, left)

    def _afford(self, payment: Payment) -> None:
        if self.budget is None:
            raise errors.error(
                errors.POLICY_REFUSED,
                "This node has no budget for differential privacy.",
                hint="Its holder sets one by the key node.privacy of the policy.",
            )
        used = next((s for s in self.spent() if s.permit == payment.permit), Spent(payment.permit))
        over = 1 + _ROUNDING
        left = self.remaining(payment.permit)
        deltas = used.delta + payment.delta > self.budget.delta_per_permit * over
        if payment.epsilon > left + _ROUNDING * self.budget.epsilon_per_permit or deltas:
            told = "no delta" if deltas else f"an epsilon of {left:.6g}"
            raise errors.error(
                errors.BUDGET_EXHAUSTED,
                f"Of what differentially private answers may tell under this permit {told} is left at this node.",
                hint="Repeat an earlier question, which costs nothing, or ask with a smaller epsilon.",
            )

    def _enter(self, database: sqlite3.Connection, payment: Payment, now: float, why: str) -> int:
        row = (payment.permit, payment.request, payment.question, payment.epsilon, payment.delta, now)
        done = database.execute(
            "INSERT INTO spent (permit, request, question, epsilon, delta, at, researcher, why) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, payment.researcher, why),
        )
        return int(done.lastrowid or 0)

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except BaseException as cause:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                if isinstance(cause, sqlite3.Error | OSError):
                    raise _unavailable("it cannot be written") from cause
                raise

    def _one(self, sql: str, *values: object) -> tuple[Any, ...]:
        with self._mutex:
            try:
                row = self._database.execute(sql, values).fetchone()
            except sqlite3.Error as cause:
                raise _unavailable("it cannot be read") from cause
        return row if row is not None else (None,)


def overview(directory: Path) -> list[Spent]:
    """Return what every permit has spent, of a record that an agent may hold.

    Raises:
        ArchipelError: LEDGER_UNAVAILABLE when it cannot be read.
    """
    path = directory / DATABASE
    if not path.exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            return [Spent(*row) for row in database.execute(_SPENT)]
    except sqlite3.Error as cause:
        raise _unavailable("it cannot be read") from cause


def _secret(path: Path, *, made: bool) -> bytes:
    """Return the secret under which persons are hashed and noise is made; a new store makes one."""
    if made and not path.exists():
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
    found = path.read_bytes()
    if len(found) != SECRET_BYTES:
        raise OSError("the secret is not whole")
    return found


def _unavailable(reason: str) -> errors.ArchipelError:
    return errors.error(
        errors.LEDGER_UNAVAILABLE,
        f"The node's record of what private answers have told cannot be used: {reason}.",
        hint="The operator looks after the folder 'privacy' of state_dir.",
    )
