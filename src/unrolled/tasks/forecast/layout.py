"""Which column of a table is what: named by the user, or guessed where it is obvious, and said."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...core import DataError, InputError
from .options import DataOptions
from .times import FORMS, TimeProblem, brief, is_time, parse_times

_TIME = ("timestamp", "datetime", "date", "time", "ds", "month", "week", "day", "quarter", "year", "hour")
_SURELY_TIME = ("timestamp", "datetime", "date", "time", "ds")
_SECONDS = 1e8  # a number above it may be a time in seconds from 1970
_ID = ("unique_id", "item_id", "series_id", "series", "id", "symbol", "item", "store", "name", "sensor")
_TARGET = ("target", "y", "value", "values", "demand", "sales", "price")
_TRUTH = {"true": 1.0, "false": 0.0}
_MISSING = ("", "na", "nan", "null", "none", "n/a", "-", "?")
ALL = "all"


@dataclass(frozen=True)
class Layout:
    """The columns of a table by what they are."""

    kind: str  # long, wide, m4 or plain
    columns: tuple[str, ...]
    time: str | None = None
    id: str | None = None
    targets: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    header: bool = True

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that must hold numbers."""
        return (*self.targets, *self.past, *self.future)

    def said(self) -> str:
        """What was found, in words."""
        if self.kind == "m4":
            return "a series a row, as M4 writes them"
        if self.kind == "plain":
            return "one column of numbers"
        parts = [f"time {self.time}" if self.time else "no time", f"id {self.id}" if self.id else ""]
        parts.append(f"target {', '.join(self.targets)}")
        for name, columns in (("past", self.past), ("future", self.future), ("static", self.static)):
            parts.append(f"{name} covariates {', '.join(columns)}" if columns else "")
        return "; ".join(part for part in parts if part)


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.strip().lower() in _MISSING


def number_of(cell: str) -> float:
    """A number, 1 for true and 0 for false, NaN where there is no value.

    Raises:
        ValueError: it is something else.
    """
    try:
        return float(cell)
    except ValueError:
        if is_missing(cell):
            return float("nan")
        if (truth := _TRUTH.get(cell.strip().lower())) is not None:
            return truth
        raise


def is_number(cell: str) -> bool:
    """Whether a cell is a number, true or false, or missing."""
    try:
        number_of(cell)
    except ValueError:
        return False
    return True


def names_of(option: str | None) -> tuple[str, ...]:
    """The columns that an option names, with commas between them."""
    return tuple(name.strip() for name in option.split(",") if name.strip()) if option else ()


def find_layout(name: str, header: Sequence[str], sample: Sequence[Sequence[str]], options: DataOptions) -> Layout:
    """What each column is.

    Args:
        name: of the table, for errors.
        header: its first row.
        sample: the rows after it, the first ones.
        options: the user's names of columns.

    Raises:
        DataError: a column that is named does not exist, or the target is not obvious.
        InputError: a column is to be two things.
    """
    columns = tuple(cell.strip() for cell in header)
    if _is_m4(columns, sample, options):
        return Layout("m4", columns)
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        raise DataError(
            f"{name}:1: expected commas between the fields, or tabs in a file that ends with .tsv, got "
            f"{brief(columns[0])}; write the table so."
        )
    if len(columns) == 1:
        return Layout("plain", columns, targets=columns, header=not is_number(columns[0]))
    if all(is_number(cell) or is_time(cell) for cell in columns):
        raise DataError(
            f"{name}:1: expected a header with the names of the columns, got {', '.join(columns)[:80]}; write one."
        )
    twice = {column for column in columns if columns.count(column) > 1}
    if twice:
        raise DataError(f"{name}:1: expected columns of different names, got {', '.join(sorted(twice))} twice.")
    past, future, static = map(
        names_of, (options.past_covariates, options.future_covariates, options.static_covariates)
    )
    _check_named(name, columns, options, (*past, *future, *static))
    cells = {column: [row[place] for row in sample if place < len(row)] for place, column in enumerate(columns)}
    taken = {*past, *future, *static, *(t for t in names_of(options.target) if t != ALL)}
    taken |= {column for column in (options.id, options.time) if column}
    free = [column for column in columns if column not in taken]
    time = options.time or _guess_time(free, cells)
    if time is None:
        _check_times(name, free, cells)
    free = [column for column in free if column != time]
    series = options.id or _guess_id(free, cells, cells.get(time, []) if time else [])
    free = [column for column in free if column != series]
    targets = _targets(name, free, cells, options, series)
    layout = Layout("long" if series else "wide", columns, time, series, targets, past, future, static)
    if series and len(targets) > 1:
        raise InputError(f"--target: expected one column in a table with the id {series}, got {', '.join(targets)}.")
    if static and not series:
        raise InputError("--static-covariates: expected a table with --id, which names the series that they describe.")
    named = [column for column in (time, series, *targets, *past, *future, *static) if column]
    double = {column for column in named if named.count(column) > 1}
    if double:
        raise InputError(f"{', '.join(sorted(double))}: expected each column to be one thing, got it named twice.")
    return layout


def _is_m4(columns: Sequence[str], sample: Sequence[Sequence[str]], options: DataOptions) -> bool:
    numbered = all(re.fullmatch(r"V\d+", column) for column in columns) and len(columns) > 1
    named = any((options.time, options.id, options.target))
    return numbered and not named and all(row and not is_number(row[0]) for row in sample)


def _check_named(name: str, columns: Sequence[str], options: DataOptions, covariates: Sequence[str]) -> None:
    named = [("--time", options.time), ("--id", options.id)]
    named += [("--target", target) for target in names_of(options.target) if target != ALL]
    named += [("--past-covariates, --future-covariates, --static-covariates", column) for column in covariates]
    for option, column in named:
        if column and column not in columns:
            raise DataError(f"{name}: {option}: expected one of the columns {', '.join(columns)}, got {column!r}.")


def _guess_time(free: Sequence[str], cells: dict[str, list[str]]) -> str | None:
    for known in _TIME:
        for column in free:
            if column.lower() == known and any(map(_may_be_time, cells[column])):
                return column
    return next((column for column in free if cells[column] and all(map(is_time, cells[column]))), None)


def _check_times(name: str, free: Sequence[str], cells: dict[str, list[str]]) -> None:
    """Raise DataError where a column must be that of the times by its name, but is not written as they are."""
    for column in free:
        told = [cell for cell in cells[column] if not is_missing(cell)]
        if column.lower() in _SURELY_TIME and told and not (is_number(told[0]) and abs(number_of(told[0])) < _SECONDS):
            raise DataError(
                f"{name}:2: column {column!r}: expected times such as {FORMS}, got {brief(told[0])}; write them so, or "
                "name another column with --time."
            )


def _may_be_time(cell: str) -> bool:
    return is_time(cell) or (cell.strip().isdigit() and len(cell.strip()) in (4, 8))


def _guess_id(free: Sequence[str], cells: dict[str, list[str]], times: Sequence[str]) -> str | None:
    for known in _ID:
        for column in free:
            if column.lower() == known:
                return column
    texts = [column for column in free if not _mostly_numbers(cells[column])]
    return texts[0] if len(texts) == 1 and _of_several(times) else None


def _mostly_numbers(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers; a cell that is none is an error, told with its row when it is read."""
    return not cells or 2 * sum(map(is_number, cells)) > len(cells)


def _of_several(times: Sequence[str]) -> bool:
    """Whether times do not rise all along, as those of several series."""
    try:
        found, _ = parse_times(times)
    except TimeProblem:
        return False
    return bool((found[1:] <= found[:-1]).any())


def _targets(
    name: str, free: Sequence[str], cells: dict[str, list[str]], options: DataOptions, series: str | None
) -> tuple[str, ...]:
    numbers = tuple(column for column in free if _mostly_numbers(cells[column]))
    wanted = names_of(options.target)
    if wanted and ALL not in wanted:
        return wanted
    if wanted and numbers:
        return numbers
    for known in _TARGET:
        for column in numbers:
            if column.lower() == known:
                return (column,)
    if len(numbers) == 1:
        return numbers
    if not numbers:
        raise DataError(
            f"{name}: expected a column of numbers to forecast, got {', '.join(free) or 'none'}; see --target."
        )
    several = "" if series else ", several with commas between, or all"
    raise DataError(
        f"{name}: expected --target to say which column to forecast, got {', '.join(numbers)[:200]}; name one{several}."
    )
