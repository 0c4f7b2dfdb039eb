"""Questions that wait for a person, and what that person decided: files in ``state_dir/approvals``.

    pending/<digest>.json   the agent writes what is asked
    inbox/<digest>.json     a person decides there (``archipel node approve``), whether the agent runs or not
    decided/<digest>.json   the agent has read the decision, written it into the audit log, and obeys it

A question is named by the SHA-256 of its canonical JSON: who asks, under which permit, the researcher's SQL, the very
SQL that the engine would run, what it reads and whom its output goes to. A decision names that digest. When a statement
is about to run its question is made anew from what would really run, so that a decision holds for it and for nothing
else. Whoever can write the folder can decide: it belongs to the agent's user, like the audit log.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from archipel import errors
from archipel.policy_node import Approval
from node_agent.audit import AuditLog

log = logging.getLogger(__name__)

FOLDER = "approvals"
DAY_S = 86_400
APPROVED_DAYS = 7
"""How long the approval of a statement holds when nothing else is said: the same question gets an answer again."""
MOST_PENDING_OF_A_PERMIT = 100
MOST_PENDING_BYTES = 8 * 1024 * 1024
"""Of one permit: a statement may be a megabyte long."""
PENDING_DAYS = 30
"""Questions on which nobody has decided are forgotten after so long."""
DECIDED_DAYS = 30
"""Decisions are kept so long after they have ceased to hold; the audit log keeps them for good."""
SHOWN_DIGITS = 12
FEWEST_DIGITS = 6

APPROVED, REFUSED = "approved", "refused"


@dataclass(frozen=True, slots=True)
class Question:
    """What is decided on. Everything in it is part of its digest."""

    node: str
    covers: Approval
    """``every-query``: this statement; ``first-use``: all statements of the researcher, permit and tables."""
    researcher: str
    project: str
    purpose: str
    permit_id: str
    permit_sha256: str
    permit_expires: int
    researcher_sql: str
    sql: str
    """What the engine would run: the statement as the border check has rewritten it."""
    destinations: tuple[str, ...]
    form: str
    rule: str
    min_persons: int
    tables: tuple[str, ...]
    """Tables that a decision is needed for, sorted, in lower case."""
    columns: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Tables handed in beside the statement: the digest of their content, or the nodes that sealed them."""

    def digest(self) -> str:
        """Return the question's name."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Question:
        """Return the question in a file's content; raises KeyError or TypeError when it is none."""
        lists = {key: tuple(content[key]) for key in ("destinations", "tables", "columns")}
        return cls(**{**content, **lists})


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided on a question."""

    digest: str
    decision: str
    by: str
    because: str
    time: float
    expires: float


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision with its question and the hash of the record in the audit log that tells of it."""

    question: Question
    decision: Decision
    audit_record: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A question that nobody has decided on."""

    question: Question
    time: float


class Approvals:
    """The agent's side: asks, and obeys. Safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        """Read what was decided before.

        Raises:
            ArchipelError: CONFIG_INVALID when the folder cannot be made or read.
        """
        self._desk = Desk(directory)
        self._mutex = threading.Lock()
        try:
            self._desk.create()
            self._decided = {decided.decision.digest: decided for decided in self._desk.decided()}
            self._pruned = 0.0
        except OSError as cause:
            raise errors.error(errors.CONFIG_INVALID, f"{directory} cannot be used: {cause.strerror}.") from cause

    def take(self, audit: AuditLog, now: float) -> None:
        """Read new decisions, and write each into the audit log before anything obeys it.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE.
        """
        with self._mutex:
            for path in self._desk.inbox():
                self._take(path, audit, now)
            if now - self._pruned > DAY_S:
                self._prune(now)

    def standing(self, question: Question, now: float) -> tuple[Decided | None, tuple[str, ...]]:
        """Return the decision that holds for a question, and the tables on which one is missing.

        On a first use each table needs an approval, from one question or several; a refusal holds for questions that
        read at least its tables, until each of these is approved later.
        """
        with self._mutex:
            in_force = [decided for decided in self._decided.values() if now < decided.decision.expires]
        if question.covers != "first-use":
            digest = question.digest()
            exact = next((decided for decided in in_force if decided.decision.digest == digest), None)
            return exact, () if exact is not None else question.tables
        uses = sorted((d for d in in_force if _same_use(d.question, question)), key=lambda d: d.decision.time)
        approved = {table: d for d in uses if d.decision.decision == APPROVED for table in d.question.tables}
        for refused in (d for d in uses if d.decision.decision == REFUSED):
            since, tables = refused.decision.time, refused.question.tables
            again = all(t in approved and approved[t].decision.time > since for t in tables)
            if set(tables) <= set(question.tables) and not again:
                return refused, ()
        missing = tuple(table for table in question.tables if table not in approved)
        return (None if missing else approved[question.tables[0]]), missing

    def waiting(self) -> int:
        """Return how many questions wait for a decision."""
        return len(self._desk.pending())

    def ask(self, question: Question, now: float) -> None:
        """Put a question where a person will find it, and say so in the log; the same one twice stands there once.

        Raises:
            ArchipelError: NODE_BUSY when too many wait already, NODE_RESOURCES when it cannot be written.
        """
        with self._mutex:
            try:
                if self._desk.ask(question, now):
                    log.warning("a question waits for a decision: archipel node approve --show %s", shown(question))
            except OSError as cause:
                log.error("a question cannot be held for a decision: %s", cause.strerror)
                raise errors.error(errors.NODE_RESOURCES, "The node cannot hold the question for a decision.") from None

    def _take(self, path: Path, audit: AuditLog, now: float) -> None:
        try:
            decision = Decision(**_read(path))
            question = self._desk.question(decision.digest)
            if path.stem != decision.digest or question is None or decision.decision not in {APPROVED, REFUSED}:
                raise ValueError
        except (OSError, ValueError, TypeError, KeyError):
            log.error("a decision in %s fits no question: it is put aside", path.name)
            with contextlib.suppress(OSError):
                path.replace(path.with_suffix(".bad"))
            return
        record = audit.append("decision", _facts(question, decision, now))
        self._decided[decision.digest] = Decided(question, decision, record)
        try:
            self._desk.settle(self._decided[decision.digest])
        except OSError as cause:  # it is obeyed, and read again at the next start
            log.error("a decision cannot be moved to those that were read: %s", cause.strerror)

    def _prune(self, now: float) -> None:
        """Forget decisions that have long ceased to hold."""
        self._pruned = now
        for digest, decided in list(self._decided.items()):
            if decided.decision.expires < now - DECIDED_DAYS * DAY_S:
                del self._decided[digest]
                self._desk.forget(digest)


class Desk:
    """The folder itself, for the agent and for the person who decides."""

    def __init__(self, directory: Path) -> None:
        self._pending = directory / "pending"
        self._inbox = directory / "inbox"
        self._decided = directory / "decided"

    def create(self) -> None:
        """Make the folders."""
        for folder in (self._pending, self._inbox, self._decided):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def pending(self) -> list[Pending]:
        """Return what waits for a decision, oldest first; what does not hold its own digest is left out."""
        found = []
        for path in self._files(self._pending):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                content = _read(path)
                question = Question.of(content["question"])
                if question.digest() == path.stem and not (self._inbox / path.name).exists():
                    found.append(Pending(question, float(content["time"])))
        return sorted(found, key=lambda waiting: (waiting.time, waiting.question.digest()))

    def decided(self) -> list[Decided]:
        """Return what was decided and read by the agent, oldest first."""
        found = []
        for path in self._files(self._decided):
            try:
                content = _read(path)
                decided = Decided(
                    Question.of(content["question"]), Decision(**content["decision"]), content["audit_record"]
                )
                if decided.question.digest() != path.stem or decided.decision.digest != path.stem:
                    raise ValueError
            except (OSError, ValueError, TypeError, KeyError):
                log.error("%s is no decision: nothing is allowed by it", path.name)
                continue
            found.append(decided)
        return sorted(found, key=lambda d: (d.decision.time, d.decision.digest))

    def unread(self) -> list[Decision]:
        """Return decisions that the agent has not read yet."""
        found = []
        for path in self.inbox():
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append(Decision(**_read(path)))
        return found

    def inbox(self) -> list[Path]:
        """Return the files of new decisions."""
        return self._files(self._inbox)

    def question(self, digest: str) -> Question | None:
        """Return a question by its whole digest, whether it waits or was decided on; None when its text was altered."""
        for folder in (self._pending, self._decided):
            path = folder / f"{digest}.json"
            if path.exists():
                question = Question.of(_read(path)["question"])
                if question.digest() == digest:
                    return question
        return None

    def find(self, beginning: str) -> Question:
        """Return the one question whose digest begins so.

        Raises:
            ArchipelError: BAD_REQUEST when there is none, or several.
        """
        folded = beginning.strip().lower()
        known = {path.stem for folder in (self._pending, self._decided) for path in self._files(folder)}
        found = sorted(digest for digest in known if digest.startswith(folded)) if len(folded) >= FEWEST_DIGITS else []
        question = self.question(found[0]) if len(found) == 1 else None
        if question is None:
            what = "several questions begin" if len(found) > 1 else "no question begins"
            raise errors.error(
                errors.BAD_REQUEST,
                f"On this node {what} with '{beginning}'.",
                hint=f"'archipel node approve --list' shows what waits; at least {FEWEST_DIGITS} digits are needed.",
            )
        return question

    def ask(self, question: Question, now: float) -> bool:
        """Write a question down, if it does not stand there; return whether it was new.

        Raises:
            OSError: it cannot be written.
            ArchipelError: NODE_BUSY when too many of the permit wait.
        """
        path = self._pending / f"{question.digest()}.json"
        if path.exists():
            return False
        count = size = 0
        for waiting in self.pending():
            other = self._pending / f"{waiting.question.digest()}.json"
            if waiting.time < now - PENDING_DAYS * DAY_S:
                other.unlink(missing_ok=True)
            elif waiting.question.permit_id == question.permit_id:
                count, size = count + 1, size + other.stat().st_size
        if count >= MOST_PENDING_OF_A_PERMIT or size > MOST_PENDING_BYTES:
            raise errors.error(
                errors.NODE_BUSY, "Too many questions of this permit wait for a decision at the node already."
            )
        _write(path, {"time": now, "question": asdict(question)})
        return True

    def decide(self, decision: Decision) -> None:
        """Write a decision for the agent to read. Raises OSError."""
        _write(self._inbox / f"{decision.digest}.json", asdict(decision))

    def settle(self, decided: Decided) -> None:
        """Keep a decision that stands in the audit log. Raises OSError."""
        name = f"{decided.decision.digest}.json"
        content = {
            "question": asdict(decided.question),
            "decision": asdict(decided.decision),
            "audit_record": decided.audit_record,
        }
        _write(self._decided / name, content)
        (self._inbox / name).unlink(missing_ok=True)
        for path in self._files(self._pending):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                waiting = Question.of(_read(path)["question"])
                if path.name == name or (
                    decided.question.covers == waiting.covers == "first-use"
                    and _same_use(decided.question, waiting)
                    and set(waiting.tables) <= set(decided.question.tables)
                ):
                    path.unlink(missing_ok=True)

    def forget(self, digest: str) -> None:
        """Remove a decision that was read, if it can be removed."""
        with contextlib.suppress(OSError):
            (self._decided / f"{digest}.json").unlink(missing_ok=True)

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        return sorted(folder.glob("*.json")) if folder.is_dir() else []


def shown(question: Question) -> str:
    """Return the beginning of a question's digest, by which people name it."""
    return question.digest()[:SHOWN_DIGITS]


def _same_use(decided: Question, asked: Question) -> bool:
    """Whether a decision on the first use of a permit is about the use that is asked for."""
    return (
        decided.covers == asked.covers == "first-use"
        and decided.researcher == asked.researcher
        and decided.permit_sha256 == asked.permit_sha256
        and decided.node == asked.node
    )


def _facts(question: Question, decision: Decision, now: float) -> dict[str, Any]:
    """Return what the audit log is told of a decision."""
    return {
        "time": round(now, 3),
        "researcher": question.researcher,
        "project": question.project,
        "purpose": question.purpose,
        "permit": question.permit_id,
        "approval": decision.digest,
        "decision": decision.decision,
        "decided_by": decision.by,
        "decided_at": decision.time,
        "because": decision.because,
        "holds_until": decision.expires,
        "question": asdict(question),
    }


def _read(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError
    return content


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as sink:
        json.dump(content, sink, ensure_ascii=True, indent=1)
        sink.flush()
        os.fsync(sink.fileno())
    temporary.replace(path)
    with _opened(path.parent) as folder:
        os.fsync(folder)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
