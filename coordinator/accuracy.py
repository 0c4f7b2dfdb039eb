"""How well results are known that were worked out from rows in cells: one sentence for each. Pure."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa

from coordinator.plan import VALUES, Interval, Plan

_FIRST_MOMENT = datetime.datetime(1970, 1, 1)

Ends = tuple[float | None, float | None]


def told(plan: Plan, outputs: Mapping[str, pa.Table | Mapping[str, pa.Table]]) -> Iterator[str]:
    """Yield what must be said of results that are intervals; ``outputs`` are those of the plan's stages.

    Nothing is said of a result that is exact in every group.
    """
    sources = {exchange.exchange_id: exchange.source for exchange in plan.exchanges}
    for interval in plan.intervals:
        table = outputs.get(sources.get(interval.exchange_id, ""))
        if isinstance(table, pa.Table):
            found = _of_values(interval, table) if interval.kind == VALUES else _sentence(interval, table)
            if found is not None:
                yield found


def _sentence(interval: Interval, table: pa.Table) -> str | None:
    columns = [table.column(name).to_pylist() for name in (interval.total, interval.lower, interval.upper)]
    groups: list[Ends] = [(low, high) for total, low, high in zip(*columns, strict=True) if total]
    wide = [(low, high) for low, high in groups if not _is_point(low, high)]
    if not wide:
        return None
    closed = [(high - low, low, high) for low, high in wide if low is not None and high is not None]
    whole = len(groups) == 1
    text = f"{interval.text} is known to lie in an interval" + (
        "" if whole else f" in {len(wide)} of {len(groups)} groups"
    )
    if closed:
        _, low, high = max(closed)
        text += f", {'' if whole else 'at most '}from {_spelled(low, interval)} to {_spelled(high, interval)}"
    if len(wide) > len(closed):
        text += ", with an open end" if whole else f"; in {len(wide) - len(closed)} of them it has an open end"
        text += _open_end(wide[0], interval) if whole else ""
    return f"{text}. The result is its middle, or the end that is known."


def _of_values(interval: Interval, table: pa.Table) -> str | None:
    """Return the sentence about estimates: between which values the exact one lies, where it is known least well."""
    total, low, high = (_values(table.column(name)) for name in (interval.total, interval.lower, interval.upper))
    groups = [(first, last) for rows, first, last in zip(total, low, high, strict=True) if rows]
    widths = [_place(last) - _place(first) for first, last in groups]
    wide = [i for i, (first, last) in enumerate(groups) if first != last and not _is_point(_place(first), _place(last))]
    if not wide:
        return None
    first, last = groups[max(wide, key=lambda i: widths[i] if math.isfinite(widths[i]) else math.inf)]
    ends = f"from {_shown(first)} to {_shown(last)}"
    if len(groups) == 1:
        return f"{interval.text} is an estimate: the exact value lies in the interval {ends}."
    return (
        f"{interval.text} is an estimate in {len(wide)} of {len(groups)} groups: the exact values lie in intervals, "
        f"the widest {ends}."
    )


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):  # of nanoseconds there are no Python values
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return list(column.to_pylist())


def _place(value: Any) -> float:
    """Return where a value lies among those of its type."""
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=datetime.UTC).timestamp()
    if isinstance(value, datetime.date):
        return float(value.toordinal())
    if isinstance(value, datetime.time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    return float(value)


def _shown(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _open_end(ends: Ends, interval: Interval) -> str:
    low, high = ends
    if low is None and high is None:
        return " on both sides"
    return f": at most {_spelled(high, interval)}" if high is not None else f": at least {_spelled(low, interval)}"


def _is_point(low: float | None, high: float | None) -> bool:
    if low is None or high is None:
        return False
    return low == high or (math.isnan(low) and math.isnan(high))


def _spelled(end: float | None, interval: Interval) -> str:
    """Return an end as it would be written in SQL."""
    if end is None or not math.isfinite(end):
        return "an unknown value"
    if interval.kind == "decimal":
        return str(Decimal(round(end)).scaleb(-interval.scale))
    try:
        if interval.kind == "date":
            return str((_FIRST_MOMENT + datetime.timedelta(days=end)).date())
        if interval.kind == "timestamp":
            return str(_FIRST_MOMENT + datetime.timedelta(microseconds=round(end)))
    except OverflowError:
        return "an unknown time"
    return f"{end:.10g}"
