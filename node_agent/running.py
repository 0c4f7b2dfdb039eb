"""The tasks that run now, by permit and researcher, so that an operator's word reaches them."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache

from archipel import errors, permit
from node_agent.audit import AuditLog
from node_agent.cancellation import Cancellation
from node_agent.ledger import Ledger
from node_agent.switches import Instruction, Switches

log = logging.getLogger(__name__)

AUDITED = "instructions"
"""The ledger's fact: how many instructions stand in the audit log."""


@dataclass(slots=True)
class Running:
    """Who runs what. Safe to use from several threads."""

    switches: Switches | None = None
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _taking: threading.Lock = field(default_factory=threading.Lock)
    _tasks: MutableMapping[Cancellation, tuple[str, str]] = field(default_factory=weakref.WeakKeyDictionary)
    """Permit and researcher of every task that somebody still holds: until its last frame is sent."""

    def announce(self, cancellation: Cancellation, permit_token: str) -> None:
        """Take in a task that is not authorised yet: what it says of itself is enough to stop it by."""
        name = (_claimed if len(permit_token) <= permit.MAX_KEPT_CHARS else _claimed.__wrapped__)(permit_token)
        with self._mutex:
            self._tasks.setdefault(cancellation, (name, ""))

    def enter(self, cancellation: Cancellation, permit_id: str, researcher: str) -> None:
        """Take a task in.

        Raises:
            ArchipelError: OPERATOR_STOPPED.
        """
        with self._mutex:
            self._tasks[cancellation] = (permit_id, researcher)
        self.check(permit_id, researcher)

    def check(self, permit_id: str, researcher: str) -> None:
        """Make sure that nobody has stopped a permit or a researcher.

        Raises:
            ArchipelError: OPERATOR_STOPPED.
        """
        if self.switches is not None:
            self.switches.check(permit_id, researcher)

    def enforce(self, audit: AuditLog, ledger: Ledger | None, now: float) -> None:
        """Do what the operator has told since: stop tasks, unlock permits, and write it down.

        Raises:
            ArchipelError: AUDIT_UNAVAILABLE or LEDGER_UNAVAILABLE; tasks are stopped all the same.
        """
        if self.switches is None:
            return
        instructions = self.switches.refresh()
        stopped = self.switches.stopped()
        with self._mutex:
            tasks = list(self._tasks.items())
        for cancellation, (permit_id, researcher) in tasks:
            reason = stopped.reason(permit_id, researcher)
            if reason and cancellation.reason is None:
                cancellation.stop(errors.error(errors.OPERATOR_STOPPED, reason))
        if ledger is not None:
            with self._taking:
                self._write_down(instructions, audit, ledger, now)

    def _write_down(self, instructions: tuple[Instruction, ...], audit: AuditLog, ledger: Ledger, now: float) -> None:
        written = int(ledger.store.fact(AUDITED) or 0)
        for given in instructions[written:]:
            content: dict[str, str | float] = {
                "time": round(now, 3),
                "given": given.time,
                "action": given.action,
                "subject": given.subject,
                "name": given.name,
                "because": given.because,
                "by": given.by,
            }
            audit.append("operator", content)
            if given.action == "unlock":
                ledger.unlock(given.name)
            ledger.store.fact(AUDITED, str(given.number))
            log.warning("the operator told: %s %s %s", given.action, given.subject, given.name)


@lru_cache(maxsize=256)
def _claimed(permit_token: str) -> str:
    """Return which permit a token says that it is; the same one comes with every task of a project."""
    try:
        return str(permit.read_unverified(permit_token).get("permit_id", ""))
    except errors.ArchipelError:
        return ""
