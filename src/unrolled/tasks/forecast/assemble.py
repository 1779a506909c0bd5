"""From rows to series: grouped by what they name, checked for gaps and holes, filled where that is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import DataError
from .frequency import Frequency, Whole, infer_frequency, parse_frequency
from .layout import is_missing
from .options import DataOptions
from .panel import Panel, panel_of
from .table import ID, TIME, Table, numbers, raw_rows

_MOST = 100_000_000  # steps that a series may have with its gaps filled
_LETTERS = {"Y": "yearly", "Q": "quarterly", "M": "monthly", "W": "weekly", "D": "daily", "H": "hourly"}


@dataclass(frozen=True)
class Group:
    """The rows of one series in a table, in the order in which they stand, and the step that each is."""

    table: Table
    name: str
    rows: Whole  # (n,)
    steps: Whole  # (n,) from 0, rising
    start: int
    phase: int

    def place(self, index: int) -> str:
        """Where a row of the group stands, for errors."""
        own = f", series {self.name}" if self.table.layout.id else ""
        return f"{self.table.place(int(self.rows[index]))}{own}"

    def column(self, name: str, fill: str, end: int | None = None) -> NDArray[np.float64]:
        """A column over all steps up to ``end``, its holes filled.

        Raises:
            DataError: there are holes that are not to be filled.
        """
        values = self.raw(name)[:end]
        holes = np.flatnonzero(np.isnan(values))
        if not len(holes):
            return values
        first = int(holes[0])
        row = self.place(min(int(np.searchsorted(self.steps, first)), len(self.rows) - 1))
        if fill == "none":
            raise DataError(
                f"{row}: column {name!r}: expected a number, got a missing value; "
                "use --fill forward, linear or zero, or mend the table."
            )
        known = np.flatnonzero(~np.isnan(values))
        if fill == "zero":
            return np.nan_to_num(values, nan=0.0)
        if not len(known) or (fill == "forward" and known[0] > 0):
            raise DataError(
                f"{row}: column {name!r}: expected a number to fill forward from, got a missing value at the beginning "
                "of the series; use --fill zero, or leave these rows out."
            )
        every = np.arange(len(values))
        if fill == "forward":
            return np.asarray(values[known[np.searchsorted(known, every, side="right") - 1]])
        return np.interp(every, known, values[known])

    def raw(self, name: str) -> NDArray[np.float64]:
        """A column over all steps, NaN where nothing is told."""
        spread = np.full(int(self.steps[-1]) + 1, np.nan)
        spread[self.steps] = self.table.column(name)[self.rows]
        return spread


def panel_from_table(table: Table, options: DataOptions, words: dict[str, list[str]]) -> Panel:
    """The series of a long or wide table, or of one column.

    Args:
        table: its rows.
        options: the frequency, and what to fill.
        words: of the static covariates, as :func:`static_words` makes them.

    Raises:
        DataError: times are missing, double, unsorted or irregular, or values are missing; the row is named.
    """
    layout = table.layout
    frequency = None if options.frequency is None else parse_frequency(options.frequency)
    if layout.time and frequency is None:
        frequency = _found(table)
    made: dict[str, list[Any]] = {name: [] for name in ("names", "values", "starts", "phases", "past", "future", "row")}
    for group in _groups(table, frequency, options.fill):
        for target in layout.targets:
            raw = group.raw(target)
            end = _end(raw) if layout.future else len(raw)
            if end == 0:
                raise DataError(f"{group.place(0)}: column {target!r}: expected numbers, got missing values only.")
            made["names"].append(group.name if layout.id else target)
            made["values"].append(group.column(target, options.fill, end))
            made["starts"].append(group.start)
            made["phases"].append(group.phase)
            made["past"].append(_stack([group.column(name, options.fill, end) for name in layout.past], end))
            made["future"].append(_stack([group.column(name, options.fill) for name in layout.future], len(raw)))
            made["row"].append(_static(group, words))
    return panel_of(
        made["values"],
        made["names"],
        frequency=frequency,
        starts=made["starts"],
        phases=made["phases"],
        past=made["past"],
        future=made["future"],
        static=np.array(made["row"]).reshape(len(made["row"]), -1),
        zone=table.zone,
        dated=layout.time is not None,
    )


def _stack(columns: list[NDArray[np.float64]], length: int) -> NDArray[np.float64]:
    return np.stack(columns, 1) if columns else np.zeros((length, 0))


def _end(values: NDArray[np.float64]) -> int:
    """Where the values end: what is missing after that is the future, of which covariates may be known."""
    known = np.flatnonzero(~np.isnan(values))
    return int(known[-1]) + 1 if len(known) else 0


def _grouped(table: Table) -> Iterator[tuple[str, Whole]]:
    if not table.layout.id:
        yield "1", np.arange(len(table.rows))
        return
    codes = table.column(ID).astype(np.int64)
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(table.ids)), side="right")
    begin = 0
    for name, end in zip(table.ids, ends, strict=True):
        yield name, order[begin:end]
        begin = int(end)


def _times(table: Table, rows: Whole) -> NDArray[Any]:
    return np.asarray(table.column(TIME)[rows]).astype(np.int64).astype("datetime64[s]")


def _found(table: Table) -> Frequency:
    """The frequency that most of the first series have."""
    counts: dict[Frequency, int] = {}
    for place, (_, rows) in enumerate(_grouped(table)):
        found = infer_frequency(np.sort(_times(table, rows[:100_000])))
        if found is not None:
            counts[found] = counts.get(found, 0) + len(rows)
        if place >= 100:
            break
    if not counts:
        raise DataError(
            f"{table.place(0)}: expected at least two times in a series, got one; give longer series, or --frequency."
        )
    return max(counts, key=lambda frequency: counts[frequency])


def _groups(table: Table, frequency: Frequency | None, fill: str) -> Iterator[Group]:
    for name, rows in _grouped(table):
        if frequency is None or not table.layout.time:
            yield Group(table, name, rows, np.arange(len(rows)), 0, 0)
            continue
        times = _times(table, rows)
        _check_order(table, name, rows, times)
        numbers_, phases = frequency.number(times), frequency.phase(times)
        steps = numbers_ - numbers_[0]
        group = Group(table, name, rows, steps, int(numbers_[0]), int(phases.max()))
        _check_steps(group, times, frequency, phases, fill)
        yield group


def _check_order(table: Table, name: str, rows: Whole, times: NDArray[Any]) -> None:
    moved = np.diff(times).astype(np.int64)
    wrong = np.flatnonzero(moved <= 0)
    if not len(wrong):
        return
    place = int(wrong[0]) + 1
    where = Group(table, name, rows, rows, 0, 0).place(place)
    if moved[place - 1] == 0:
        remedy = "leave one of them out" if table.layout.id else "leave one out, or name the column of the series, --id"
        raise DataError(f"{where}: expected one row a time, got {_shown(times[place])} twice; {remedy}.")
    raise DataError(
        f"{where}: expected rising times, got {_shown(times[place])} after {_shown(times[place - 1])}; "
        "sort the rows by time."
    )


def _check_steps(group: Group, times: NDArray[Any], frequency: Frequency, phases: Whole, fill: str) -> None:
    uneven = np.flatnonzero(~frequency.even(phases))
    still = np.flatnonzero(np.diff(group.steps) < 1) + 1
    odd = np.concatenate([uneven, still])
    if len(odd):
        place = int(odd.min())
        raise DataError(
            f"{group.place(place)}: expected a time of the frequency {str(frequency)!r}, got {_shown(times[place])} "
            f"after {_shown(times[place - 1])}; mend the time, or give another --frequency."
        )
    gaps = np.flatnonzero(np.diff(group.steps) > 1)
    if len(gaps) and fill == "none":
        place = int(gaps[0]) + 1
        raise DataError(
            f"{group.place(place)}: expected the time after {_shown(times[place - 1])} (frequency {str(frequency)!r}), "
            f"got {_shown(times[place])}, and so a gap; use --fill forward, linear or zero, or another --frequency."
        )
    if group.steps[-1] >= _MOST:
        raise DataError(
            f"{group.place(0)}: expected a series of at most {_MOST:,} steps with its gaps filled, got "
            f"{group.steps[-1] + 1:,}; give a longer --frequency."
        )


def _shown(time: Any) -> str:
    return str(time).removesuffix("T00:00:00").replace("T", " ")


def static_words(table: Table, kept: dict[str, list[str]] | None = None) -> dict[str, list[str]]:
    """The words of each static covariate, those that are kept or else sorted; none for one that holds numbers only."""
    found: dict[str, list[str]] = {}
    for name, words in table.words.items():
        if kept and name in kept:
            found[name] = kept[name]
            continue
        try:
            [float(word) for word in words]
            found[name] = []
        except ValueError:
            found[name] = sorted(words)
    return found


def _static(group: Group, words: dict[str, list[str]]) -> list[float]:
    """The numbers that describe a series: those of numeric columns, and 1 for each word that is its own."""
    row: list[float] = []
    for name, known in words.items():
        codes = group.table.column(name)[group.rows]
        other = np.flatnonzero(codes != codes[0])
        if len(other):
            raise DataError(
                f"{group.place(int(other[0]))}: column {name!r}: expected one value in a whole series, got another; "
                "name it with --past-covariates or --future-covariates."
            )
        word = group.table.words[name][int(codes[0])]
        if known:
            row += [float(word == one) for one in known]  # a word that is new is none of them
        else:
            row += numbers([word], [0], group.place(0), name).tolist()
            if np.isnan(row[-1]):
                raise DataError(f"{group.place(0)}: column {name!r}: expected a number, got a missing value.")
    return row


def read_m4(paths: list[Path], options: DataOptions) -> Panel:
    """A series a row: its name, then its values; a name that comes again goes on with its series.

    Raises:
        DataError: a row has no values, or a value is no number; it is named.
    """
    found: dict[str, list[NDArray[np.float64]]] = {}
    for path in paths:
        for number, (line, (name, *cells)) in enumerate(raw_rows(path)):
            if number == 0:
                continue
            while cells and is_missing(cells[-1]):
                cells.pop()
            values = numbers(cells, [line] * len(cells), str(path), name)
            holes = np.flatnonzero(np.isnan(values))
            if len(holes):
                raise DataError(
                    f"{path}:{line}: series {name}: expected numbers, got a missing value at V{holes[0] + 2}."
                )
            if not len(values):
                raise DataError(f"{path}:{line}: series {name}: expected values, got none.")
            found.setdefault(name, []).append(values)
    if not found:
        raise DataError(f"{paths[0]}: expected rows of values under the header, got the header only.")
    letters = {name[:1].upper() for name in found}
    guessed = _LETTERS.get(letters.pop()) if len(letters) == 1 else None
    text = options.frequency or guessed
    frequency = parse_frequency(text) if text else None
    series = [np.concatenate(parts) for parts in found.values()]
    return panel_of(series, list(found), frequency=frequency, dated=False)
