"""How often each researcher, and each permit, has asked: what the policy's rate limits are measured by.

Counted are questions as researchers signed them, not tasks: one question may need several statements here. Since it is
the coordinator who cuts a question into tasks, one signature pays for so many of them only.
"""

from __future__ import annotations

import threading
from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from archipel import errors
from archipel.policy_node import RateLimits, RateRules

TASKS_A_QUESTION = 32
"""Tasks after which a signed question counts once more. Most need one to five at a node; what needs more than this
many counts more often."""
LONGEST_S = 86_400
FEWEST_LOOKED_THROUGH = 1000

Subject = tuple[str, str]


class Rates:
    """Counts questions. Safe to use from several threads; time comes in."""

    def __init__(self, limits: RateLimits) -> None:
        self._rules: Mapping[str, RateRules] = {"researcher": limits.researcher, "permit": limits.permit}
        self._mutex = threading.Lock()
        self._asked: dict[Subject, list[float]] = {}
        self._tasks: dict[str, tuple[float, int]] = {}
        self._look_through_at = FEWEST_LOOKED_THROUGH

    @property
    def unlimited(self) -> bool:
        """Whether there is nothing to count."""
        return not any(rules.limits() for rules in self._rules.values())

    def take(self, researcher: str, permit_id: str, request_sha256: str, now: float) -> None:
        """Count a task of a question.

        Raises:
            ArchipelError: RATE_LIMITED, with the time from which the next one is taken. It is not counted.
        """
        if self.unlimited:
            return
        with self._mutex:
            self._forget(now)
            since, tasks = self._tasks.get(request_sha256, (now, 0))
            if tasks % TASKS_A_QUESTION == 0:
                subjects = self._subjects(researcher, permit_id)
                for subject in subjects:
                    self._check(subject, now)
                for subject in subjects:
                    insort(self._asked.setdefault(subject, []), now)  # threads may come out of turn
            self._tasks[request_sha256] = (since, tasks + 1)

    def restore(self, records: Iterable[Mapping[str, Any]], now: float) -> None:
        """Count what the audit log tells of the last day, so that a restart makes nobody's slate clean."""
        if self.unlimited:
            return
        for record in records:
            facts = [str(record.get(key, "")) for key in ("researcher", "permit", "request_sha256")]
            try:
                time = float(record["time"])
            except (KeyError, TypeError, ValueError):
                continue
            if not (now - LONGEST_S < time <= now and all(facts)) or record.get("code") == errors.RATE_LIMITED.name:
                continue
            researcher, permit_id, request_sha256 = facts
            since, tasks = self._tasks.get(request_sha256, (time, 0))
            if tasks % TASKS_A_QUESTION == 0:
                for subject in self._subjects(researcher, permit_id):
                    insort(self._asked.setdefault(subject, []), time)
            self._tasks[request_sha256] = (since, tasks + 1)

    def _subjects(self, researcher: str, permit_id: str) -> list[Subject]:
        named = {"researcher": researcher, "permit": permit_id}
        return [(kind, named[kind]) for kind, rules in self._rules.items() if rules.limits()]

    def _check(self, subject: Subject, now: float) -> None:
        asked = self._asked.get(subject, [])
        kind = subject[0]
        reached = []
        for most, seconds, word in self._rules[kind].limits():
            if len(asked) - bisect_right(asked, now - seconds) >= most:
                reached.append((asked[-most] + seconds, most, word))
        if reached:
            again_s, most, word = max(reached)
            whose = "this researcher" if kind == "researcher" else "this permit"
            raise errors.error(
                errors.RATE_LIMITED,
                f"The node answers at most {most} questions of {whose} within one {word}; the next is taken from "
                f"{datetime.fromtimestamp(again_s, UTC):%Y-%m-%d %H:%M:%S} UTC.",
                rule="rate-limit",
            )

    def _forget(self, now: float) -> None:
        for subject, asked in list(self._asked.items()):
            del asked[: bisect_right(asked, now - LONGEST_S)]
            if not asked:
                del self._asked[subject]
        if len(self._tasks) >= self._look_through_at:
            self._tasks = {key: kept for key, kept in self._tasks.items() if kept[0] > now - LONGEST_S}
            self._look_through_at = max(FEWEST_LOOKED_THROUGH, 2 * len(self._tasks))
