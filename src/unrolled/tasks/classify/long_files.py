"""Numeric sequences with a class, a row for each step: a table with the columns id, time, features ..., label."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ...core import DataError
from ..reading import Row, read_rows
from .options import DataOptions
from .series_files import Series, finite


def read_long(path: Path, data: DataOptions, labelled: bool) -> Iterator[Series]:
    """The sequences of a table, the rows of each standing together, in the order of their times.

    Every column but those of the sequence, the time and the label is a feature.

    Raises:
        DataError: a column is missing, a field is no finite number, a sequence comes twice, has a time twice, or has
            more than one label; the row is named.
    """
    required = [data.sequence, data.time, *([data.label] if labelled else [])]
    known: set[str] = set()
    current: list[Row] = []
    for row in read_rows(path, required):
        if current and row[data.sequence] != current[0][data.sequence]:
            yield _sequence(current, data, labelled)
            current = []
        if not current:
            name = str(row[data.sequence])
            if name in known:
                raise DataError(
                    f"{row.place}: expected the rows of sequence {name!r} to stand together, got others between them; "
                    f"sort the table by {data.sequence}."
                )
            known.add(name)
        current.append(row)
    if current:
        yield _sequence(current, data, labelled)


def _sequence(rows: list[Row], data: DataOptions, labelled: bool) -> Series:
    others = (data.sequence, data.time, data.label)
    columns = [name for name in rows[0].values if name not in others]
    place, name = rows[0].place, rows[0][data.sequence]
    if not columns:
        raise DataError(f"{place}: expected columns of numbers beside {', '.join(others)}, got none.")
    for row in rows:
        if row.values.keys() != rows[0].values.keys():
            raise DataError(
                f"{row.place}: expected the columns {', '.join(map(repr, rows[0].values))} as in {place}, "
                f"got {', '.join(map(repr, row.values))}; give every row the same ones."
            )
    given = (row.values.get(data.label) for row in rows)
    labels = {"" if label is None else str(label).strip() for label in given}
    if len(labels) > 1:
        raise DataError(
            f"{place}: expected one label for the rows of sequence {name!r}, got {', '.join(sorted(labels)[:5])}."
        )
    label = labels.pop() or None
    if label is None and labelled:
        raise DataError(f"{place}: {data.label}: expected a label, got none; fill it in, or leave the sequence out.")
    times = _times(rows, data.time)
    order = sorted(range(len(rows)), key=times.__getitem__)
    for before, after in pairwise(order):
        if times[before] == times[after]:
            raise DataError(
                f"{rows[after].place}: expected each {data.time} of sequence {name!r} once, got "
                f"{rows[after][data.time]!r} twice; keep one row, or the mean of both."
            )
    values = np.array([[_number(rows[at], column) for column in columns] for at in order])
    where = f"{place}: sequence {name!r}"
    return Series(finite(values, where), label, where, tuple(columns))


def _number(row: Row, column: str) -> float:
    value = row.values.get(column)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise DataError(
            f"{row.place}: {column}: expected a number, got {value!r}; fill it in, or leave the column out."
        ) from None
    if not np.isfinite(number):
        raise DataError(f"{row.place}: {column}: expected a finite number, got {value!r}; fill it in.")
    return number


_LOCAL = "a date without a time zone"


def _times(rows: list[Row], column: str) -> list[Any]:
    """What the rows are sorted by: numbers, or dates, all of one kind."""
    found = [_time(row, column) for row in rows]
    kinds = [_kind(time) for time in found]
    for row, kind in zip(rows, kinds, strict=True):
        if kind != kinds[0]:
            raise DataError(
                f"{row.place}: {column}: expected {kinds[0]} as in {rows[0].place}, got {row[column]!r}; "
                "write the times of a sequence in one way."
            )
    return [time.replace(tzinfo=UTC) if kinds[0] == _LOCAL else time for time in found]


def _kind(time: Any) -> str:
    if not isinstance(time, datetime):
        return "a number"
    return _LOCAL if time.tzinfo is None else "a date with a time zone"


def _time(row: Row, column: str) -> Any:
    """A number, whole ones exactly (nanoseconds have 19 digits), or a date."""
    text = str(row[column])
    readers: tuple[Callable[[str], Any], ...] = (int, _finite, datetime.fromisoformat)
    for read in readers:
        with suppress(ValueError):
            return read(text)
    raise DataError(
        f"{row.place}: {column}: expected a number or a date such as 2024-05-01T12:00, got {row[column]!r}."
    )


def _finite(text: str) -> float:
    number = float(text)
    if not np.isfinite(number):
        raise ValueError(text)
    return number
