"""Remembers what the border check allowed: the check is a pure function, so the same question has the same decision.

Refusals are not remembered. Who asks, and whether they may, is checked anew for every task; only the decision about the
statement under one permit and one state of the node's tables is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from archipel import certificate, errors
from archipel.border import check
from archipel.border.decision import BorderContext, Release
from archipel.certificate import Certificate
from archipel.permit import Permit
from archipel.request import Privacy
from archipel.schema import COORDINATOR, Column, Form, Table
from node_agent.order import TaskOrder

KEPT = 512
MAX_SQL_CHARS = 64 * 1024
"""Longer statements are decided anew each time, so that what is kept stays small."""

Inputs = tuple[tuple[str, tuple[Column, ...]], ...]
Received = tuple[tuple[str, Table], ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was found over one state of the node's tables."""

    tables: tuple[Table, ...]
    decide: Callable[[str, Inputs, Permit, Received, str, Privacy | None, bool], Release]
    certify: Callable[[str, Inputs, Permit, Received, Certificate], None]


class Decisions:
    """Decides statements of one node. Safe to use from several threads."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._mutex = threading.Lock()
        self._kept = self._over((), KEPT)

    def decide(
        self,
        sql: str,
        tables: tuple[Table, ...],
        inputs: Mapping[str, tuple[Column, ...]],
        permit: Permit,
        *,
        received: Mapping[str, Table] | None = None,
        destination: str = COORDINATOR,
        privacy: Privacy | None = None,
        intersected: bool = False,
    ) -> Release:
        """Return the release of ``sql`` to ``destination``, under ``permit``, with ``privacy`` a private one.

        It may read the node's ``tables``, a task's ``inputs`` and what was ``received`` from other nodes. What is
        ``intersected`` goes of persons only whom the destination has, too.

        Raises:
            ArchipelError: the border check refuses it.
        """
        given = _listed_tables(received or {})
        decide = self._for(sql, tables).decide
        return decide(sql, _listed(inputs), permit, given, destination, privacy, intersected)

    def check_certificates(
        self,
        order: TaskOrder,
        tables: tuple[Table, ...],
        inputs: Mapping[str, tuple[Column, ...]],
        permit: Permit,
        received: Mapping[str, Table],
    ) -> None:
        """Make sure that what the planner certified of a task is so. The border check decided without it.

        Raises:
            ArchipelError: BORDER_REFUSED for a certificate that does not hold, or is for another destination.
        """
        if not order.certificates:
            return
        wanted = [(output.nodes, output.part_column) for output in order.outputs] or [((COORDINATOR,), "")]
        if [(given.destinations, given.part_column) for given in order.certificates] != wanted:
            raise errors.error(errors.BORDER_REFUSED, "The task's certificates are for other destinations.")
        kept = self._for(order.sql, tables)
        for given in dict.fromkeys(order.certificates):
            try:
                kept.certify(order.sql, _listed(inputs), permit, _listed_tables(received), given)
            except certificate.Rejected as cause:
                text = f"The certificate of the task does not hold: {cause}."
                raise errors.error(errors.BORDER_REFUSED, text) from None

    def _for(self, sql: str, tables: tuple[Table, ...]) -> _Kept:
        """Return what is remembered over ``tables``; a long statement gets a memory of its own."""
        if len(sql) > MAX_SQL_CHARS:
            return self._over(tables, 0)
        with self._mutex:
            # The engine hands out the same objects until it is opened anew; then nothing of before holds.
            known = self._kept.tables
            if len(tables) != len(known) or any(a is not b for a, b in zip(tables, known, strict=True)):
                self._kept = self._over(tables, KEPT)
            return self._kept

    def _over(self, tables: tuple[Table, ...], size: int) -> _Kept:
        @lru_cache(maxsize=size)
        def decided(
            sql: str,
            inputs: Inputs,
            permit: Permit,
            received: Received,
            destination: str,
            privacy: Privacy | None,
            intersected: bool,
        ) -> Release:
            context = self._context(tables, inputs, permit, received, destination, privacy)
            return check(sql, replace(context, intersected=intersected))

        @lru_cache(maxsize=size)
        def certified(sql: str, inputs: Inputs, permit: Permit, received: Received, given: Certificate) -> None:
            certificate.check(
                given,
                sql,
                self._node,
                {table.name.lower(): table for table in tables} | dict(received),
                permit,
                received=frozenset(name for name, _ in received),
                inputs=frozenset(name for name, _ in inputs),
            )

        return _Kept(tables, decided, certified)

    def _context(
        self,
        tables: tuple[Table, ...],
        inputs: Inputs,
        permit: Permit,
        received: Received,
        destination: str,
        privacy: Privacy | None,
    ) -> BorderContext:
        if destination == self._node:
            tables = tuple(_own(table, destination) for table in tables)
        return BorderContext(
            node=self._node,
            tables={table.name.lower(): table for table in tables},
            inputs=dict(inputs),
            permit=permit,
            received=dict(received),
            destination=destination,
            for_ledger=True,
            privacy=privacy,
        )


def _own(table: Table, node: str) -> Table:
    """Return a table as its own node may get it back: nothing leaves the holder, whatever its policy says of others."""
    forms = {**dict(table.policy.peer_forms), node: Form.ROWS}
    return replace(table, policy=replace(table.policy, peer_forms=tuple(forms.items())))


def _listed(inputs: Mapping[str, tuple[Column, ...]]) -> Inputs:
    return tuple(sorted((name.lower(), tuple(columns)) for name, columns in inputs.items()))


def _listed_tables(received: Mapping[str, Table]) -> Received:
    return tuple(sorted(((name.lower(), table) for name, table in received.items()), key=lambda part: part[0]))
