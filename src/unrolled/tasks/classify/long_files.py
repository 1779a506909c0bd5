"""Numeric sequences with a class, a row for each step: a table with the columns id, time, features ..., label."""

from collections.abc import Iterator
from datetime import datetime
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
    labels = {str(row.values.get(data.label, "")).strip() for row in rows}
    if len(labels) > 1:
        raise DataError(
            f"{place}: expected one label for the rows of sequence {name!r}, got {', '.join(sorted(labels)[:5])}."
        )
    label = labels.pop() or None
    if label is None and labelled:
        raise DataError(f"{place}: {data.label}: expected a label, got none; fill it in, or leave the sequence out.")
    times = [_time(row, data.time) for row in rows]
    order = sorted(range(len(rows)), key=times.__getitem__)
    for before, after in pairwise(order):
        if times[before] == times[after]:
            raise DataError(
                f"{rows[after].place}: expected each {data.time} of sequence {name!r} once, got "
                f"{rows[after][data.time]!r} twice; keep one row, or the mean of both."
            )
    values = np.array([[_number(rows[at], column) for column in columns] for at in order])
    return Series(finite(values, f"{place}: sequence {name!r}"), label, f"{place}: sequence {name!r}")


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


def _time(row: Row, column: str) -> Any:
    """A number of its own, or the seconds of a date."""
    value = row[column]
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        raise DataError(
            f"{row.place}: {column}: expected a number or a date such as 2024-05-01T12:00, got {value!r}."
        ) from None
