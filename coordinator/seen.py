"""Which requests were taken in this life of the coordinator, so that the store need not be asked about every new one.

What is said here spares a look-up, it decides nothing: that a request counts once is what the store holds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from archipel.tokens import CLOCK_SKEW_S
from coordinator.asked import RequestKey

MOST_KEPT = 100_000


@dataclass(slots=True)
class SeenRequests:
    """``since`` is the time, Unix seconds, from which every request that was taken is known here."""

    since: float
    most_kept: int = MOST_KEPT
    _keys: set[RequestKey] = field(default_factory=set)
    _order: deque[tuple[RequestKey, float]] = field(default_factory=deque)

    def may_be_stored(self, key: RequestKey, issued: float) -> bool:
        """Whether the store may hold a request: it was taken in this life, or can have been before.

        A request is not taken when it was issued more than ``CLOCK_SKEW_S`` ahead of the coordinator's clock.
        """
        return key in self._keys or issued <= self.since + CLOCK_SKEW_S

    def add(self, key: RequestKey, taken: float) -> None:
        """Note a request that is taken at ``taken``; the oldest are forgotten when there are too many."""
        self._keys.add(key)
        self._order.append((key, taken))
        while len(self._order) > self.most_kept:
            oldest, then = self._order.popleft()
            self._keys.discard(oldest)
            self.since = max(self.since, then)
