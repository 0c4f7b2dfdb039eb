"""Whose turn it is: which queries run and which wait. Pure data, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace

from archipel import errors


@dataclass(frozen=True, slots=True)
class Admission:
    """Which queries run and which wait, first come first served."""

    max_running: int
    max_queued: int
    running: frozenset[str] = frozenset()
    queued: tuple[str, ...] = ()

    @property
    def full(self) -> bool:
        """Whether no query can be taken now."""
        return len(self.running) >= self.max_running and len(self.queued) >= self.max_queued

    def take(self, query_id: str) -> tuple[Admission, tuple[str, ...]]:
        """Take a query; return also the queries whose turn has come.

        Raises:
            ArchipelError: TOO_MANY_QUERIES.
        """
        if self.full:
            text = f"{len(self.running)} queries run and {len(self.queued)} wait: no more are taken now."
            raise errors.error(errors.TOO_MANY_QUERIES, text)
        return replace(self, queued=(*self.queued, query_id))._next()

    def release(self, query_id: str) -> tuple[Admission, tuple[str, ...]]:
        """Forget a query that has ended, wherever it stood; return also the queries whose turn has come."""
        queued = tuple(q for q in self.queued if q != query_id)
        return replace(self, running=self.running - {query_id}, queued=queued)._next()

    def _next(self) -> tuple[Admission, tuple[str, ...]]:
        free = max(0, self.max_running - len(self.running))
        turn, rest = self.queued[:free], self.queued[free:]
        return replace(self, running=self.running | set(turn), queued=rest), turn
