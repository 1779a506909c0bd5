"""Steps of time: which they are, their number from any date, their seasons, their place in the calendar."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import InputError

Times = NDArray[np.datetime64]  # in seconds
Whole = NDArray[np.int64]

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAY = 86400
_OF_MONTH = 32 * _DAY  # more seconds than any month has
UNITS = (*_SECONDS, "business day", *_MONTHS)
_WORDS = {
    **{name: (unit, 1) for unit in UNITS for name in (unit, f"{unit}s")},
    "secondly": ("second", 1),
    "hourly": ("hour", 1),
    "daily": ("day", 1),
    "weekly": ("week", 1),
    "monthly": ("month", 1),
    "quarterly": ("quarter", 1),
    "yearly": ("year", 1),
    "annual": ("year", 1),
    "business days": ("business day", 1),
    "minutely": ("minute", 1),
    # the short names of other libraries
    "s": ("second", 1),
    "t": ("minute", 1),
    "min": ("minute", 1),
    "h": ("hour", 1),
    "d": ("day", 1),
    "b": ("business day", 1),
    "w": ("week", 1),
    "m": ("month", 1),
    "ms": ("month", 1),
    "me": ("month", 1),
    "q": ("quarter", 1),
    "qs": ("quarter", 1),
    "qe": ("quarter", 1),
    "y": ("year", 1),
    "ys": ("year", 1),
}


@dataclass(frozen=True)
class Frequency:
    """One step of time: so many of a unit."""

    unit: str
    every: int = 1

    def __str__(self) -> str:
        return self.unit if self.every == 1 else f"{self.every} {self.unit}s"

    @property
    def seconds(self) -> int | None:
        """Of one step, where all steps are equally long."""
        return _SECONDS[self.unit] * self.every if self.unit in _SECONDS else None

    def number(self, times: Times) -> Whole:
        """Which step, counted from 1970, each time lies in."""
        seconds = times.astype("datetime64[s]").astype(np.int64)
        if self.seconds is not None:
            return np.asarray(np.floor_divide(seconds, self.seconds))
        if self.unit == "business day":
            days = times.astype("datetime64[D]")
            return np.asarray(np.busday_count(np.datetime64("1970-01-01"), days), dtype=np.int64)
        months = times.astype("datetime64[M]").astype(np.int64)
        return np.asarray(np.floor_divide(months, _MONTHS[self.unit] * self.every))

    def begin(self, numbers: Whole) -> Times:
        """When these steps begin."""
        if self.seconds is not None:
            return np.asarray(numbers * self.seconds).astype("datetime64[s]")
        if self.unit == "business day":
            first = np.datetime64("1970-01-01")
            return np.asarray(np.busday_offset(first, numbers, roll="forward")).astype("datetime64[s]")
        return np.asarray(numbers * _MONTHS[self.unit] * self.every).astype("datetime64[M]").astype("datetime64[s]")

    def phase(self, times: Times) -> Whole:
        """Where in its step each time stands: seconds, and before them the month of a step of several months."""
        if self.unit not in _MONTHS:
            return np.asarray((times.astype("datetime64[s]") - self.begin(self.number(times))).astype(np.int64))
        months = times.astype("datetime64[M]")
        inside = (times.astype("datetime64[s]") - months.astype("datetime64[s]")).astype(np.int64)
        which = np.mod(months.astype(np.int64), _MONTHS[self.unit] * self.every)
        return np.asarray(which * _OF_MONTH + inside)

    def even(self, phases: Whole) -> NDArray[np.bool_]:
        """Which phases are that of the first; the day of a month may differ, as the last one of each does."""
        told = phases // _OF_MONTH if self.unit in _MONTHS else phases
        return np.asarray(told == told[0])

    def times(self, numbers: Whole, phase: int) -> Times:
        """The times of steps whose series stands at ``phase``; ends of months stay ends of months."""
        if self.unit not in _MONTHS:
            return np.asarray(self.begin(numbers) + np.timedelta64(phase, "s"), dtype="datetime64[s]")
        which, inside = divmod(phase, _OF_MONTH)
        months = (numbers * _MONTHS[self.unit] * self.every + which).astype("datetime64[M]")
        last = (months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
        whole, rest = divmod(inside, _DAY)
        days = np.minimum(months.astype("datetime64[D]") + np.timedelta64(whole, "D"), last)
        return np.asarray(days.astype("datetime64[s]") + np.timedelta64(rest, "s"), dtype="datetime64[s]")

    def seasons(self) -> tuple[int, ...]:
        """Steps of the periods that are usual at this frequency, the shortest first."""
        periods = {
            "second": (60, 3600),
            "minute": (_DAY, 7 * _DAY) if self.every >= 5 else (3600, _DAY),
            "hour": (_DAY, 7 * _DAY),
            "day": (7 * _DAY,),
            "week": (52 * 7 * _DAY,),
        }
        if self.unit in periods:
            step = self.seconds or 1
            found = tuple(period // step for period in periods[self.unit] if period % step == 0)
        else:
            whole = {"business day": 5, "month": 12, "quarter": 4, "year": 1}[self.unit]
            found = (whole // self.every,) if whole % self.every == 0 else ()
        return tuple(season for season in found if season > 1)

    def calendar(self, numbers: Whole, *, year: bool = True) -> NDArray[np.float32]:
        """Where in the hour, day, week and year steps lie, as sines and cosines: (N, K).

        Args:
            numbers: of the steps (N,).
            year: whether to tell the place in the year, which is learnt only from more than a year.
        """
        begin = self.begin(numbers)
        seconds = begin.astype(np.int64)
        step = self.seconds or _DAY
        angles: list[NDArray[Any]] = []
        if self.unit == "second":
            angles.append(seconds % 3600 / 3600)
        if self.unit in ("second", "minute", "hour") and step < _DAY:
            day = seconds % _DAY / _DAY
            angles += [day, 2 * day]
        if self.unit in ("second", "minute", "hour", "day", "business day") and step < 7 * _DAY:
            week = (seconds - 4 * _DAY) % (7 * _DAY) / (7 * _DAY)  # from Monday; 1970 began with a Thursday
            angles += [week, 2 * week, 3 * week]
        if year and not (self.unit == "year" or (self.unit == "month" and self.every % 12 == 0)):
            first = begin.astype("datetime64[Y]")
            of_year = (begin - first.astype("datetime64[s]")).astype(np.float64) / (365.2425 * _DAY)
            angles += [of_year, 2 * of_year]
        if not angles:
            return np.zeros((len(numbers), 0), dtype=np.float32)
        turned = 2 * np.pi * np.stack(angles, 1)
        return np.concatenate([np.sin(turned), np.cos(turned)], 1).astype(np.float32)


def parse_frequency(text: str) -> Frequency:
    """A frequency by name: ``hourly``, ``15 minutes``, ``D``, ``business day``, ...

    Raises:
        InputError: it names none.
    """
    found = re.fullmatch(r"\s*(\d*)\s*([a-z ]+?)\s*", text.lower())
    unit = _WORDS[found[2]][0] if found and found[2] in _WORDS else ""
    every = int(found[1] or 1) if found and len(found[1]) <= 6 else 0
    if not unit or not every or (unit == "business day" and every > 1):
        raise InputError(
            f"--frequency: expected seconds, minutes, hours, days, business days, weeks, months, quarters or years, "
            f"with a number before it where there are several in a step, such as '15 minutes', but of business days "
            f"one, got {text!r}."
        )
    return Frequency(unit, every)


def infer_frequency(times: Times) -> Frequency | None:
    """The step of rising times: the difference that is most common; None of fewer than two times.

    Months, quarters and years where all times stand on the same day of their month, or on its last; business days
    where a series of days leaves out every Saturday and Sunday.
    """
    if len(times) < 2:
        return None
    seconds = times.astype("datetime64[s]").astype(np.int64)
    step = _most_common(np.diff(seconds))
    if step >= 28 * _DAY and _same_day_of_month(times):
        months = _most_common(np.diff(times.astype("datetime64[M]").astype(np.int64)).astype(np.int64))
        if months % 12 == 0:
            return Frequency("year", months // 12)
        return Frequency("quarter", months // 3) if months % 3 == 0 else Frequency("month", months)
    if step == _DAY and len(times) > 5 and bool(np.is_busday(times.astype("datetime64[D]")).all()):
        return Frequency("business day")
    unit = next(unit for unit in ("week", "day", "hour", "minute", "second") if step % _SECONDS[unit] == 0)
    return Frequency(unit, step // _SECONDS[unit])


def _most_common(differences: Whole) -> int:
    """The most common difference, the smallest of several."""
    found, counts = np.unique(differences[differences > 0], return_counts=True)
    return int(found[np.argmax(counts)]) if len(found) else 1


def _same_day_of_month(times: Times) -> bool:
    days = times.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    of_month = (days - months.astype("datetime64[D]")).astype(np.int64)
    last = ((months + 1).astype("datetime64[D]") - days).astype(np.int64) == 1
    same_or_last = (of_month == of_month.max()) | (last & (of_month < of_month.max()))
    return bool(same_or_last.all())
