"""The three years that the made-up world lasts, counted in days from their start."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

START_YEAR, END_YEAR = 2021, 2023
DAY_ZERO = int(np.datetime64(f"{START_YEAR}-01-01", "D").astype(np.int64))
"""Days from the Unix epoch to the first day of the world."""
DAYS = int(np.datetime64(f"{END_YEAR + 1}-01-01", "D").astype(np.int64)) - DAY_ZERO
NEVER = 100_000
"""A day after all days: the death of those who live on."""

_FIRST_MONTH, _LAST_MONTH = 1850, 2060


def day_of(year: npt.NDArray[Any], month: npt.NDArray[Any], day: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the day, counted from the start of the world, of a calendar date (day may run over the month's end)."""
    months = (year.astype(np.int64) - 1970) * 12 + (month.astype(np.int64) - 1)
    days: npt.NDArray[np.int64] = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days + (day.astype(np.int64) - 1 - DAY_ZERO)


def months_of(days: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return months since January 1970."""
    dates = (days.astype(np.int64) + DAY_ZERO).astype("datetime64[D]")
    months: npt.NDArray[np.int64] = dates.astype("datetime64[M]").astype(np.int64)
    return months


def years_of(days: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return calendar years."""
    return months_of(days) // 12 + 1970


def first_of_month(months: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the first day, counted from the start of the world, of months since January 1970."""
    days: npt.NDArray[np.int64] = (
        months.astype(np.int64).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    )
    return days - DAY_ZERO


def season(winter: float) -> npt.NDArray[np.float64]:
    """Return the cumulative distribution over the days of the world, with a yearly wave that peaks in mid-January."""
    day = np.arange(DAYS)
    wave = 1.0 + winter * np.cos((day - 15) * (2 * np.pi / 365.25))
    total: npt.NDArray[np.float64] = np.cumsum(wave)
    total /= total[-1]
    return total


def _month_words(first: int, last: int) -> list[str]:
    return [f"{year}{month:02d}" for year in range(first, last) for month in range(1, 13)]


MONTH_WORDS = _month_words(_FIRST_MONTH, _LAST_MONTH)
"""'YYYYMM' texts; ``month_code`` gives the position in it."""


def month_code(days: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return positions in MONTH_WORDS."""
    return months_of(days) - (_FIRST_MONTH - 1970) * 12
