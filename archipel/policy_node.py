"""The part of a policy that holds for a whole node: who decides, when, how often, and whose objection is applied."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from archipel import configuration
from archipel.policy_ledger import LedgerRules
from archipel.policy_privacy import PrivacyBudget

Approval = Literal["auto", "first-use", "every-query"]
"""Whether a person at the node decides: never, once for each researcher, permit and table, or on every statement."""

APPROVALS: tuple[Approval, ...] = get_args(Approval)
"""From the mildest to the strictest."""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[str, ...] = get_args(Day)

DAY_MINUTES = 24 * 60
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00")


def one_or_several(written: dict[str, Any]) -> None:
    """Let a JSON Schema know that a list of one may be written without being a list."""
    listed = {key: written.pop(key) for key in ("items", "minItems", "maxItems", "type") if key in written}
    written["anyOf"] = [listed["items"], listed]


def _time_of_day(written: dict[str, Any]) -> None:
    """Let a JSON Schema know how a time is written."""
    for key in ("minimum", "maximum"):
        written.pop(key, None)
    written |= {"type": "string", "pattern": f"^({_TIME.pattern})$"}


class HoursRules(configuration.Section):
    """Hours in which questions about protected tables are answered."""

    days: tuple[Day, ...] = Field(min_length=1, max_length=7)
    """On which days of the week: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`."""
    from_: int = Field(alias="from", ge=0, le=DAY_MINUTES, json_schema_extra=_time_of_day)
    """When they begin, as `08:00`."""
    to: int = Field(ge=0, le=DAY_MINUTES, json_schema_extra=_time_of_day)
    """When they end, as `18:00`; earlier than `from` is on the next day, and `24:00` is midnight."""
    time_zone: str = Field(min_length=1, max_length=64)
    """The time zone by its name, such as `Europe/Paris`."""

    @field_validator("from_", "to", mode="before")
    @classmethod
    def _minutes(cls, given: Any) -> Any:
        """Return minutes since midnight."""
        found = _TIME.fullmatch(given) if isinstance(given, str) else None
        if found is None:
            raise ValueError("a time of day is written as 08:00, at most 24:00")
        hour, minute = found[0].split(":")
        return int(hour) * 60 + int(minute)

    @field_validator("days")
    @classmethod
    def _each_once(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(days)) < len(days):
            raise ValueError("a day stands twice")
        return days

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            raise ValueError(f"there is no time zone {name!r} here; one is named as Europe/Paris") from None
        return name

    @model_validator(mode="after")
    def _some_time(self) -> HoursRules:
        if self.from_ == self.to:
            raise ValueError("'from' and 'to' are the same; a whole day is from 00:00 to 24:00")
        return self

    def windows(self, now: datetime) -> list[tuple[datetime, datetime]]:
        """Return beginning and end of each window from a day ago to eight days ahead."""
        zone = ZoneInfo(self.time_zone)
        today = now.astimezone(zone).date()
        found = []
        for offset in range(-1, 9):
            day = today + timedelta(days=offset)
            if DAYS[day.weekday()] not in self.days:
                continue
            midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
            length = self.to if self.to > self.from_ else self.to + DAY_MINUTES
            # Wall-clock arithmetic: on a day on which clocks are set, the hours are those on the wall.
            found.append((midnight + timedelta(minutes=self.from_), midnight + timedelta(minutes=length)))
        return found

    def text(self) -> str:
        """Return the hours as people say them."""
        return f"{', '.join(self.days)} {_clock(self.from_)} to {_clock(self.to)} ({self.time_zone})"


class RateRules(configuration.Section):
    """Most questions within a minute, an hour and a day; what is absent is not limited."""

    minute: int | None = Field(default=None, ge=1, le=1_000_000)
    """Most questions within 60 seconds."""
    hour: int | None = Field(default=None, ge=1, le=1_000_000)
    """Most questions within 3,600 seconds."""
    day: int | None = Field(default=None, ge=1, le=1_000_000)
    """Most questions within 24 hours."""

    def limits(self) -> tuple[tuple[int, int, str], ...]:
        """Return the limits as (questions, seconds, word)."""
        spans = ((self.minute, 60, "minute"), (self.hour, 3600, "hour"), (self.day, 86_400, "day"))
        return tuple((most, seconds, word) for most, seconds, word in spans if most is not None)


class RateLimits(configuration.Section):
    """How often may be asked; what is absent is not limited."""

    researcher: RateRules = RateRules()
    """Most questions of one researcher, under all permits together."""
    permit: RateRules = RateRules()
    """Most questions under one permit, of all its researchers together."""


class OppositionRules(configuration.Section):
    """A list of persons who object to the use of their data for research."""

    person_domain: str = Field(min_length=1)
    """Whose identifiers the list holds: the `person_domain` of tables in node.yaml."""
    source: str = Field(min_length=1)
    """The source in node.yaml where the list is."""
    file: str | None = None
    """For a source of kind files: the file in its folder, or a pattern with *."""
    table: str | None = None
    """For a source of kind duckdb: the table in it."""
    column: str = Field(min_length=1)
    """The column of the list that holds the identifiers."""

    @field_validator("file")
    @classmethod
    def _in_the_folder(cls, file: str | None) -> str | None:
        if file is not None and ("/" in file or ".." in file or not file):
            raise ValueError("it is a name in the source's folder, not a path")
        return file

    @model_validator(mode="after")
    def _one_place(self) -> OppositionRules:
        if (self.file is None) == (self.table is None):
            raise ValueError("a list is a 'file' of a source of kind files, or a 'table' of a source of kind duckdb")
        return self


class NodeRules(configuration.Section):
    """What holds for the whole node."""

    approval: Approval = "every-query"
    """Whether a person at the node decides on questions about protected tables: `auto`, nobody; `first-use`, on the
    first question of each researcher, permit and table; `every-query`, on every statement."""
    working_hours: tuple[HoursRules, ...] = Field(default=(), max_length=20, json_schema_extra=one_or_several)
    """When questions about protected tables are answered; one or several. Absent: at any time."""
    rate_limits: RateLimits = RateLimits()
    """How often may be asked. Absent: not limited."""
    ledger: LedgerRules = LedgerRules()
    """What earlier answers forbid, how much one permit may ask, and how long answers are kept."""
    privacy: PrivacyBudget | None = None
    """How much differentially private answers may tell in all. Absent: there are none."""
    opposition: tuple[OppositionRules, ...] = Field(default=(), max_length=20, json_schema_extra=one_or_several)
    """Lists of persons whose rows take part in nothing; one or several."""

    @field_validator("working_hours", "opposition", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, Mapping) else given

    def open_at(self, now_s: float) -> bool:
        """Whether questions about protected tables are answered at a time (Unix seconds)."""
        now = datetime.fromtimestamp(now_s, UTC)
        return not self.working_hours or any(
            start.timestamp() <= now_s < end.timestamp()
            for hours in self.working_hours
            for start, end in hours.windows(now)
        )

    def next_opening(self, now_s: float) -> datetime:
        """Return when hours begin next after a time, in the time zone of the policy."""
        now = datetime.fromtimestamp(now_s, UTC)
        starts = [start for hours in self.working_hours for start, _ in hours.windows(now)]
        return min((s for s in starts if s.timestamp() > now_s), key=datetime.timestamp)


def strictest(modes: list[Approval]) -> Approval:
    """Return the strictest of several; ``auto`` for none.

    >>> strictest(["auto", "every-query", "first-use"])
    'every-query'
    """
    return max(modes, key=APPROVALS.index, default="auto")


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
