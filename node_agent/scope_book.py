"""Over which nodes a question's totals were made: kept on disk, so that none is ever made over others.

Two totals of one question over different nodes differ by the numbers of a single node or of a few. So a node takes part
in a round only if it never took part in one over other nodes of the same rows, under whichever permit, or of the same
tables under the same permit: the second holds a differently written question of the same researcher, too. What a node
releases by itself counts as a total over that node alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archipel import errors

BOOK_FILE = "rounds.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """That totals of ``population`` (a digest) and ``tables``, under ``permit_id``, were over ``nodes``.

    The population is empty for what the node released by itself, and so is who added up.
    """

    permit_id: str
    tables: tuple[str, ...]
    population: str
    nodes: tuple[str, ...]
    aggregator: str = ""

    @classmethod
    def of(
        cls, permit_id: str, tables: Iterable[str], population: str, nodes: Sequence[str], aggregator: str = ""
    ) -> Entry:
        """Return the entry of a question, whose text of rows is ``population``."""
        digest = hashlib.sha256(population.encode()).hexdigest() if population else ""
        return cls(permit_id, tuple(sorted(table.lower() for table in tables)), digest, tuple(nodes), aggregator)

    def excludes(self, other: Entry) -> bool:
        """Whether the one must not be where the other is."""
        if self.nodes == other.nodes:
            return False
        same_rows = bool(self.population) and self.population == other.population
        same_tables = self.permit_id == other.permit_id and not set(self.tables).isdisjoint(other.tables)
        return same_rows or same_tables

    def compared_elsewhere(self, other: Entry) -> bool:
        """Whether totals of the same tables were added up by another node, which alone knows them to compare with."""
        both = self.aggregator and other.aggregator and self.aggregator != other.aggregator
        return bool(both) and not set(self.tables).isdisjoint(other.tables)


@dataclass(slots=True)
class RoundBook:
    """The entries of a node, in a file. Safe to use from several threads; without a file they live in memory."""

    path: Path | None = None
    _entries: dict[Entry, None] | None = None
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, entry: Entry, *, may_add_up: Collection[str] = ()) -> None:
        """Write an entry down, which is on disk when this returns; one that is there already is not repeated.

        ``may_add_up`` are the nodes that policy lets add up now: who may not any more binds nobody.

        Raises:
            ArchipelError: POLICY_REFUSED when an earlier entry excludes it; AUDIT_UNAVAILABLE when the file fails.
        """
        with self._mutex:
            entries = self._read()
            if entry in entries:
                return
            if any(entry.excludes(other) for other in entries):
                raise errors.error(
                    errors.POLICY_REFUSED,
                    "Under this permit, or of the same rows, there was an answer over other nodes.",
                    hint="Ask with the threshold_scope and the nodes of before: two answers would give the difference.",
                )
            before = {o.aggregator for o in entries if entry.compared_elsewhere(o)}.intersection(may_add_up)
            if before:
                raise errors.error(
                    errors.POLICY_REFUSED,
                    "Totals of these tables were added up by another node, which compares them.",
                    hint=f"The permit must name node '{min(before)}', as those did that had totals before.",
                )
            self._append(entry)
            entries[entry] = None

    def _read(self) -> dict[Entry, None]:
        if self._entries is None:
            try:
                lines = self.path.read_text(encoding="utf-8").splitlines() if self.path and self.path.exists() else []
                found = [json.loads(line) for line in lines]
                self._entries = {
                    Entry(
                        e["permit"], tuple(e["tables"]), e["population"], tuple(e["nodes"]), e.get("aggregator", "")
                    ): None
                    for e in found
                }
            except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as cause:
                raise _unavailable() from cause
        return self._entries

    def _append(self, entry: Entry) -> None:
        if self.path is None:
            return
        told = {
            "permit": entry.permit_id,
            "tables": entry.tables,
            "population": entry.population,
            "nodes": entry.nodes,
            "aggregator": entry.aggregator,
        }
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, (json.dumps(told) + "\n").encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as cause:
            raise _unavailable() from cause


def _unavailable() -> errors.ArchipelError:
    return errors.error(errors.AUDIT_UNAVAILABLE, "The node cannot read or write down which totals it took part in.")
