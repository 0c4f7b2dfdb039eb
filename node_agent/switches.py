"""Kill switches: what the node's operator has stopped, and what was unlocked, as lines in a file of the node's own.

``archipel node stop`` and the like append an instruction; the agent reads the file before every task and twice a
second, stops what runs, and writes each instruction into its audit log. The file is only ever appended to. What cannot
be read stops everything, and so does a file that has lost lines.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import pwd
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from archipel import errors

log = logging.getLogger(__name__)

FILE = "instructions.jsonl"
CHECK_S = 0.25
"""How often the agent looks: what is stopped has stopped well within a second."""

Action = Literal["stop", "resume", "unlock"]
Subject = Literal["all", "permit", "researcher"]


@dataclass(frozen=True, slots=True)
class Instruction:
    """What an operator told the node. ``name`` is the permit's or researcher's; empty for all."""

    number: int
    time: float
    action: Action
    subject: Subject
    name: str
    because: str
    by: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """What is stopped now. ``broken`` when that is not known: then everything is."""

    everything: bool = False
    permits: frozenset[str] = frozenset()
    researchers: frozenset[str] = frozenset()
    broken: bool = False

    def reason(self, permit: str, researcher: str) -> str:
        """Return why a permit's or researcher's tasks do not run; empty when they do."""
        if self.broken:
            return "The node cannot read what its operator has stopped, so it answers nothing."
        if self.everything:
            return "The node's operator has stopped this node."
        if permit in self.permits:
            return "The node's operator has stopped this permit."
        if researcher in self.researchers:
            return "The node's operator has stopped this researcher."
        return ""


def account() -> str:
    """Return whose process this is: the account's name, or its number, since a container's user often has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def signed(by: str) -> str:
    """Return who does something: the name that a person gives, with the account, which several may share.

    >>> signed("") == account(), signed(" Dr Roux ") == f"Dr Roux ({account()})"
    (True, True)
    """
    return f"{by.strip()} ({account()})" if by.strip() else account()


class Switches:
    """The instructions of one node. Safe to use from several threads and processes."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._mutex = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._known: tuple[Instruction, ...] = ()
        self._stopped = Stopped()
        self._read = 0

    def give(
        self, action: Action, subject: Subject, name: str, because: str, *, now: float, by: str = ""
    ) -> Instruction:
        """Append an instruction and have it on disk when this returns.

        Raises:
            ArchipelError: CONFIG_INVALID when the file cannot be written or read.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                number = len(_parsed(file.read())) + 1
                given = Instruction(number, round(now, 3), action, subject, name, because, signed(by))
                file.write(json.dumps(asdict(given), ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except (OSError, ValueError, KeyError, TypeError) as cause:
            text = f"The node's instructions in {self._path} cannot be written: {_reason(cause)}."
            raise errors.error(errors.CONFIG_INVALID, text) from cause
        return given

    def refresh(self) -> tuple[Instruction, ...]:
        """Read the file if it changed; return all instructions."""
        with self._mutex:
            try:
                found = self._path.stat()
                seen = (found.st_ino, found.st_size, found.st_mtime_ns)
                if seen != self._seen:
                    known = _parsed(self._path.read_bytes())
                    if len(known) < self._read:
                        raise ValueError("lines are missing")
                    self._known, self._seen, self._read = known, seen, len(known)
                    self._stopped = _folded(known)
            except FileNotFoundError:
                if self._read:
                    self._break("it is gone")
            except (OSError, ValueError, KeyError, TypeError) as cause:
                self._break(_reason(cause))
            return self._known

    def expect(self, number: int) -> None:
        """Take it that so many instructions were there once: a file with fewer of them is not believed."""
        with self._mutex:
            self._read = max(self._read, number)
            self._seen = None

    def stopped(self) -> Stopped:
        """Return what is stopped now."""
        self.refresh()
        return self._stopped

    def check(self, permit: str, researcher: str) -> None:
        """Make sure that a task may run.

        Raises:
            ArchipelError: OPERATOR_STOPPED.
        """
        reason = self.stopped().reason(permit, researcher)
        if reason:
            raise errors.error(errors.OPERATOR_STOPPED, reason)

    def _break(self, why: str) -> None:
        if not self._stopped.broken:
            log.critical("everything is stopped: the operator's instructions cannot be read: %s", why)
        self._seen, self._stopped = None, Stopped(broken=True)


def _parsed(data: bytes) -> tuple[Instruction, ...]:
    found = []
    for number, line in enumerate(data.splitlines(), start=1):
        given = Instruction(**json.loads(line))
        if given.number != number or given.action not in get_args(Action) or given.subject not in get_args(Subject):
            raise ValueError("a line is not one of Archipel's")
        found.append(given)
    if data and not data.endswith(b"\n"):
        raise ValueError("the last line is cut short")
    return tuple(found)


def _folded(instructions: Iterable[Instruction]) -> Stopped:
    stopped: dict[Subject, set[str]] = {"all": set(), "permit": set(), "researcher": set()}
    for given in instructions:
        if given.action == "stop":
            stopped[given.subject].add(given.name)
        elif given.action == "resume":
            stopped[given.subject].discard(given.name)
    return Stopped(bool(stopped["all"]), frozenset(stopped["permit"]), frozenset(stopped["researcher"]))


def _reason(cause: Exception) -> str:
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return str(cause) if type(cause) is ValueError else "a line is damaged"
