"""The ledger: what this node has answered before, and what it therefore must not answer any more.

It knows, of every group that was released about persons, a sketch of who they are (``ledger_sketch``), across permits,
researchers and questions. A new answer is compared with all of them before it leaves. The same question over the same
data gets the answer that it got. Permits have budgets here, and are locked when they try to take differences too often.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from archipel import errors
from archipel.permit import Permit
from archipel.policy_ledger import LedgerRules
from node_agent import ledger_sketch, stored_table
from node_agent.ledger_sketch import CELL, WHOLE, Index, Sketches, Sums
from node_agent.ledger_store import LedgerStore, LinkedRow, Stored, Usage, unavailable
from node_agent.seeds import seed_of

log = logging.getLogger(__name__)

LEDGER_FOLDER = "ledger"

REFUSED = "Together with an earlier answer this one would tell about fewer persons than the threshold."
"""Always this text: how many they are, and which answer it was, stands only in the node's audit log."""

OTHER_QUANTILES = "Quantiles of this column were answered by another expression before."
OTHER_QUANTILES_HINT = "Ask for quantiles of the same expression as before, and compute with what you get."

MOST_BUCKETS = 192
"""Where more persons than this are wanted, so many buckets apart are enough: that is about 350 persons."""
NEWEST = 1024
"""Earlier groups of which any two are taken together."""
COMPARED = 100_000
"""New groups times earlier ones that are taken together in pairs."""
DAY_S = 86_400.0
KEPT_CHUNKS = 512


@dataclass(frozen=True, slots=True)
class Answer:
    """What leaves, before it is packed: the released rows, how many groups were withheld, fewest persons of one."""

    output: pa.Table
    withheld: int
    fewest: int | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer and its entry in the ledger; ``repeated`` when it was given before."""

    answer: Answer
    sequence: int
    digest: str
    repeated: bool

    def facts(self) -> dict[str, Any]:
        """Return what the audit record of the release says of it."""
        return {"ledger": {"entry": self.sequence, "sha256": self.digest, "repeated": self.repeated}}


@dataclass(frozen=True, slots=True)
class Close:
    """Two groups, or a group and two others together, that fewer persons than allowed tell apart."""

    domain: str
    persons: int
    limit: int
    relation: str
    entries: tuple[int, ...]
    family: str


@dataclass(slots=True)
class _Known:
    """The index of one person domain; where each of its rows stands on disk."""

    index: Index = field(default_factory=Index)
    entries: list[tuple[int, int]] = field(default_factory=list)
    """(first row of the index, entry)."""

    def place(self, row: int) -> tuple[int, int]:
        """Return the entry of a row and the row in it."""
        low, high = 0, len(self.entries)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.entries[middle][0] <= row else (low, middle)
        start, entry = self.entries[low]
        return entry, row - start


class Ledger:
    """The ledger of one node. Safe to use from several threads; one process holds it."""

    def __init__(self, directory: Path, rules: LedgerRules | None = None, *, released: Mapping[int, str] | None = None):
        """Open it. ``released`` are entries by number, with their hashes, that the audit log names.

        Raises:
            ArchipelError: LEDGER_UNAVAILABLE when it cannot be opened, was altered, or lacks what was released.
        """
        self.rules = rules or LedgerRules()
        self._mutex = threading.RLock()
        self._known: dict[str, _Known] = {}
        self._store = LedgerStore(directory)
        try:
            for sequence, digest in (released or {}).items():
                if self._store.digest_at(sequence) != digest:
                    raise unavailable("it lacks an answer that the audit log says was released")
            self._load()
        except BaseException:
            self._store.close()
            raise

    def close(self) -> None:
        """Close it; idempotent."""
        self._store.close()

    @property
    def store(self) -> LedgerStore:
        """What is on disk."""
        return self._store

    def seed(self) -> pa.Table:
        """Return the key under which persons are hashed, as the table that the statements of populations read."""
        return seed_of(self._store.secret, b"ledger seed")

    def admit(self, permit: Permit) -> None:
        """Make sure that a permit is not locked.

        Raises:
            ArchipelError: PERMIT_LOCKED.
        """
        used = self._store.usage(permit.permit_id)
        if used.locked is not None:
            raise errors.error(errors.PERMIT_LOCKED, "The permit is locked at this node.")

    def afford(self, permit: Permit, cells: int = 0) -> None:
        """Make sure that a permit's budget allows one more question with so many groups.

        Raises:
            ArchipelError: BUDGET_EXHAUSTED.
        """
        used = self._store.usage(permit.permit_id)
        questions = min(self.rules.max_queries, permit.max_queries or self.rules.max_queries)
        most = min(self.rules.max_cells, permit.max_cells or self.rules.max_cells)
        if used.questions >= questions or used.cells + cells > most:
            raise errors.error(errors.BUDGET_EXHAUSTED, "The permit has used up what it may ask of this node.")

    def linked(self, family: str, permit: str, researcher: str) -> tuple[int, list[LinkedRow]]:
        """Return a linked table's newest entry by number, and what a permit or researcher has of it, oldest first."""
        return self._store.linked(family, permit, researcher)

    def mark_key(self) -> bytes:
        """Return the key under which groups are hashed."""
        return hashlib.sha256(b"archipel ledger groups" + self._store.secret).digest()

    def compare(
        self,
        sketches: Mapping[str, Sketches],
        minimum: int,
        *,
        permit: Permit,
        now: float,
        note: Callable[[dict[str, Any]], None],
    ) -> None:
        """Make sure that no group is too close to earlier ones; ``note`` is told why it is refused.

        Raises:
            ArchipelError: DIFFERENCING_REFUSED.
        """
        with self._mutex:
            close = self._closest(sketches, minimum) if self.rules.differences == "refuse" else None
            if close is not None:
                note({"ledger_refusal": self._told(close)})
                self._refuse(permit, close, now)

    def recall(self, question: str) -> Recorded | None:
        """Return what a question was answered."""
        found = self._store.find(question)
        return _recorded(found, repeated=True) if found is not None and found.answer is not None else None

    def knows_whole(self, question: str) -> bool:
        """Whether it is known who is in a table; ``question`` is that table in one state."""
        return self._store.find(question) is not None

    def enter_whole(self, question: str, table: str, domain: str, sketches: Sketches, now: float) -> None:
        """Remember who is in a table."""
        with self._mutex:
            if self._store.find(question) is not None:
                return
            self._room(now)
            content = {"kind": "whole", "table": table, "time": round(now, 3)}
            with self._store.change() as database:
                stored = self._store.append(
                    database,
                    question,
                    content,
                    told={"kind": "whole"},
                    answer=None,
                    until=now + self.rules.keep_days * DAY_S,
                    sketches={domain: sketches} if len(sketches) else {},
                )
            if len(sketches):
                self._remember(stored.sequence, domain, sketches)

    def enter(
        self,
        question: str,
        answer: Answer,
        sketches: Mapping[str, Sketches],
        minimum: int,
        *,
        permit: Permit,
        about: Mapping[str, Any],
        now: float,
        note: Callable[[dict[str, Any]], None],
        linked: LinkedRow | None = None,
        seen: int = 0,
        quantiles: tuple[tuple[str, str], ...] = (),
    ) -> Recorded | None:
        """Decide about an answer and, if it may leave, write it down. What was answered meanwhile is given instead.

        ``about`` says who asked what, for the officer who looks at a later refusal; ``note`` is told why it is refused.
        An answer that is part of a linked table was compared with its entries up to ``seen``; when there are others
        since, nothing is written and None returned.

        Raises:
            ArchipelError: DIFFERENCING_REFUSED, BUDGET_EXHAUSTED, PERMIT_LOCKED or LEDGER_UNAVAILABLE.
        """
        with self._mutex:
            found = self._store.find(question)
            if found is not None and found.answer is not None:
                return _recorded(found, repeated=True)
            self.admit(permit)
            self.afford(permit, answer.output.num_rows)
            self._room(now)
            if linked is not None and self._store.linked(linked.family, "", "")[0] != seen:
                return None
            askers = (f"permit {permit.permit_id}", f"researcher {about.get('researcher')}")
            self._same_quantiles(askers, quantiles, note)
            self.compare(sketches, minimum, permit=permit, now=now, note=note)
            told = {"withheld": answer.withheld, "fewest": answer.fewest, "rows": answer.output.num_rows}
            with self._store.change() as database:
                stored = self._store.append(
                    database,
                    question,
                    {
                        "kind": "answer",
                        "permit": permit.permit_id,
                        "time": round(now, 3),
                        **about,
                        **({"quantiles": quantiles} if quantiles else {}),
                    },
                    told=told,
                    answer=stored_table.packed(answer.output),
                    until=permit.expires + self.rules.keep_days * DAY_S,
                    sketches={domain: found for domain, found in sketches.items() if len(found)},
                    linked=linked,
                )
                self._store.charge(database, permit.permit_id, questions=1, cells=answer.output.num_rows)
            self._counted_by |= {(asker, column): mark for asker in askers for column, mark in quantiles}
            for domain, found_sketches in sketches.items():
                self._remember(stored.sequence, domain, found_sketches)
            return Recorded(answer, stored.sequence, stored.digest, repeated=False)

    def unlock(self, permit: str) -> None:
        """Unlock a permit and forget its refusals."""
        with self._mutex, self._store.change() as database:
            self._store.lock(database, permit, at=None, because="")

    def usages(self) -> list[Usage]:
        """Return what every permit used."""
        return self._store.usages()

    def purge(self, now: float) -> int:
        """Forget what need not be kept any more; return how many entries."""
        with self._mutex:
            number = self._store.purge(now)
            if number:
                self._load()
            return number

    def _load(self) -> None:
        self._known = {}
        self._counted_by: dict[tuple[str, str], str] = {}
        for content in self._store.contents("quantiles"):
            askers = (f"permit {content['permit']}", f"researcher {content.get('researcher')}")
            self._counted_by |= {(asker, column): mark for asker in askers for column, mark in content["quantiles"]}
        self._fine = lru_cache(maxsize=KEPT_CHUNKS)(self._store.fine)
        for kept in self._store.kept():
            self._remember(kept.entry, kept.domain, kept.sketches, kept.coarse)

    def _same_quantiles(
        self, askers: tuple[str, ...], quantiles: tuple[tuple[str, str], ...], note: Callable[[dict[str, Any]], None]
    ) -> None:
        """Make sure that a permit's and a researcher's quantiles of a column are all of one expression over it.

        The cells of x and of x + 1 are about the same persons, whom sketches do not tell apart, and differ by few.
        """
        if self.rules.differences != "refuse":
            return
        for asker in askers:
            for column, mark in quantiles:
                if self._counted_by.get((asker, column), mark) != mark:
                    note({"ledger_refusal": {"differs_from": "quantiles by another expression", "column": column}})
                    raise errors.error(errors.DIFFERENCING_REFUSED, OTHER_QUANTILES, hint=OTHER_QUANTILES_HINT)

    def _closest(self, sketches: Mapping[str, Sketches], minimum: int) -> Close | None:
        for domain, new in sketches.items():
            if not len(new):
                continue
            known = self._known.get(domain, _Known())
            close = next(self._close_pairs(domain, new, known, minimum), None)
            if close is None:
                close = next(self._close_sums(domain, new, known, minimum), None)
            if close is not None:
                return close
        return None

    def _close_pairs(self, domain: str, new: Sketches, known: _Known, minimum: int) -> Iterator[Close]:
        own = Index()
        own.add(new)
        told = known.index.known(new)
        for row, earlier in known.index.near(new, minimum):
            if told[row]:
                continue  # the same group was released before: nothing is learnt from it again
            entry, place = known.place(earlier)
            other = self._fine(entry, domain, place)
            limit = _limit(minimum, known.index.minimum(earlier))
            family = int(new.family[row])
            persons = _apart(new.fine[row], other, limit, family, (own, known.index))
            if persons:
                whole = known.index.origin(earlier) == WHOLE
                relation = "all of a table" if whole else "an earlier answer"
                yield Close(domain, persons, limit, relation, (entry,), _FAMILIES[family])
        for row, other_row in own.near(new, minimum):
            if other_row >= row or _are_siblings(new, row, other_row):
                continue
            limit, family = _limit(minimum, 0), int(new.family[row])
            persons = _apart(new.fine[row], new.fine[other_row], limit, family, (own, known.index))
            if persons:
                yield Close(domain, persons, limit, "another group of the answer", (), _FAMILIES[family])

    def _close_sums(self, domain: str, new: Sketches, known: _Known, minimum: int) -> Iterator[Close]:
        new = new.take(np.flatnonzero(~known.index.known(new)))  # who is known to be in a group tells nothing again
        if not len(new):
            return
        size = len(known.index)
        known.index.add(new)
        try:
            newest = max(64, min(NEWEST, COMPARED // len(new)))
            for row, one, other, sign in known.index.sums_of_two(new, (0, 1), newest):
                if not self._may_be_compared(known.index, int(new.origin[row]), (one, other), size):
                    continue
                parts, entries = [new.fine[row]], []
                for earlier in (one, other):
                    if earlier >= size:
                        parts.append(new.fine[earlier - size])
                    else:
                        entry, place = known.place(earlier)
                        parts.append(self._fine(entry, domain, place))
                        entries.append(entry)
                limit = max(_limit(minimum, known.index.minimum(earlier)) for earlier in (one, other))
                rest = ledger_sketch.combined(np.stack(parts), (1, -1, -sign))
                persons, family = int(np.count_nonzero(rest)), int(new.family[row])
                if 0 < persons < limit and not known.index.holds(rest, family):
                    relation = "two earlier groups together" if sign == 1 else "the difference of two earlier groups"
                    yield Close(domain, persons, limit, relation, tuple(entries), _FAMILIES[family])
        finally:
            known.index.truncate(size)

    def _may_be_compared(self, index: Index, origin: int, others: tuple[int, int], size: int) -> bool:
        """Whether three groups are to be compared: everybody in a table only with a new and an earlier group.

        Else all groups of an answer beside a few withheld persons would be refused: their total is not asked for.
        """
        wholes = [row for row in others if index.origin(row) == WHOLE]
        if not wholes:
            return True
        rest = [row for row in others if index.origin(row) == CELL and row < size]
        return origin == CELL and len(rest) == 1

    def _told(self, close: Close) -> dict[str, Any]:
        """Return what the audit log says of a refusal, for the node's officer only."""
        return {
            "differs_from": close.relation,
            "persons_at_least": close.persons,
            "limit": close.limit,
            "measured_by": close.family,
            "person_domain": close.domain,
            "earlier": [
                {key: value for key, value in self._store.described(entry).items() if key in _OF_EARLIER}
                for entry in close.entries
            ],
        }

    def _refuse(self, permit: Permit, close: Close, now: float) -> None:
        since = now - self.rules.lock_window_hours * 3600
        with self._store.change() as database:
            database.execute("INSERT INTO refusals VALUES (?, ?, ?)", (permit.permit_id, now, close.relation))
            number = self._store.usage(permit.permit_id, since=since).refusals
            if number >= self.rules.lock_after:
                reason = f"{number} differences refused within {self.rules.lock_window_hours:g} hours"
                self._store.lock(database, permit.permit_id, at=now, because=reason)
                log.error("the permit %s is locked: %s", permit.permit_id, reason)
        raise errors.error(errors.DIFFERENCING_REFUSED, REFUSED)

    def _room(self, now: float) -> None:
        if self._store.size > self.rules.max_bytes and not (
            self.purge(now) and self._store.size < self.rules.max_bytes
        ):
            log.error("the ledger is full: purge it, or raise max_bytes")
            raise unavailable("it is full")

    def _remember(self, entry: int, domain: str, sketches: Sketches, sums: Sums | None = None) -> None:
        known = self._known.setdefault(domain, _Known())
        known.entries.append((len(known.index), entry))
        known.index.add(sketches, sums)


_FAMILIES = {0: "persons", 1: "rows or values"}
_OF_EARLIER = frozenset({"kind", "permit", "researcher", "query", "time", "table", "sequence"})


def _apart(one: Sums, other: Sums, limit: int, family: int, released: tuple[Index, ...]) -> int:
    """Return how many persons tell two groups apart if they are fewer than allowed, otherwise 0.

    A difference that is itself a group that was released tells nothing new: a sum of two groups less one of them.
    """
    persons = ledger_sketch.apart(one, other)
    if not 0 < persons < limit:
        return 0
    rest = ledger_sketch.combined(np.stack([one, other]), (1, -1))
    if np.count_nonzero(rest) != persons:
        return persons  # it is a difference from a multiple
    return 0 if any(index.holds(rest, family) for index in released) else persons


def _are_siblings(new: Sketches, row: int, other: int) -> bool:
    """Whether two sketches are who is in two groups of one answer.

    Such groups have different rows. That nearly the same persons are in both, in two years, say, is no difference of
    sums; where a join puts the same rows into both, their rows and values are compared, too.
    """
    return bool(new.family[row] == 0 and new.origin[row] == CELL and new.origin[other] == CELL)


def _limit(minimum: int, earlier: int) -> int:
    return min(max(minimum, earlier), MOST_BUCKETS)


def _recorded(found: Stored, *, repeated: bool) -> Recorded:
    output = stored_table.unpacked(found.answer)
    answer = Answer(output, int(found.told["withheld"]), found.told["fewest"])
    return Recorded(answer, found.sequence, found.digest, repeated)


__all__ = ["CELL", "Answer", "Ledger", "Recorded"]
