"""Data in memory: dataframes of any kind, arrays, and lists of arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import DataError, InputError
from .assemble import panel_from_table, static_words
from .frequency import parse_frequency
from .layout import Layout, find_layout
from .options import DataOptions
from .panel import Panel, panel_of
from .source import Source, columns_of, with_columns
from .table import FILE, ID, LARGEST, LINE, TIME, Table, numbers, series_codes, word_codes
from .times import TimeProblem, parse_times

_SAMPLE = 200


def source_in_memory(data: Any, options: DataOptions, columns: dict[str, Any] | None = None) -> Source:
    """The series of a dataframe, of an array (n,) or (n, S) with a series a column, or of a list of arrays (n,).

    Raises:
        DataError: what is wrong with the table, by its row; or an array holds what is no finite number.
        InputError: it is none of these.
    """
    if isinstance(data, Panel):
        return Source(data, {}, "series in memory")
    arrays = _arrays(data)
    if arrays is not None:
        frequency = None if options.frequency is None else parse_frequency(options.frequency)
        return Source(
            panel_of(arrays, frequency=frequency, dated=False), {"kind": "plain", "words": {}}, "series in memory"
        )
    options = with_columns(options, columns or {})
    frame = _columns(data)
    names = list(frame)
    sample = list(zip(*(_cells(column[:_SAMPLE]) for column in frame.values()), strict=True))
    if not sample:
        raise DataError("X: expected rows of values, got an empty table.")
    layout = find_layout("X", names, sample, options)
    if layout.kind == "m4":
        raise InputError("X: expected a row a time, got a table with a series a row; give the arrays of a list.")
    table = _table(frame, layout)
    words = static_words(table, (columns or {}).get("words"))
    return Source(panel_from_table(table, options, words), columns_of(layout, words), layout.said())


def _arrays(data: Any) -> list[NDArray[np.float64]] | None:
    if isinstance(data, list | tuple):
        made = [_array(part) for part in data] if all(_is_numbers(part) for part in data) else None
        if made is None and data and all(isinstance(value, int | float) for value in data):
            made = [_array(data)]
        if made is None or not made:
            raise InputError(
                "X: expected a table, an array, or a list of arrays of numbers, got a list of other things."
            )
    elif isinstance(data, np.ndarray):
        if data.ndim not in (1, 2) or not np.issubdtype(data.dtype, np.number):
            raise InputError(f"X: expected numbers (n,) or (n, series), got {data.dtype} {data.shape}.")
        made = [_array(column) for column in (data[:, None] if data.ndim == 1 else data).T]
    else:
        return None
    for index, values in enumerate(made):
        wrong = np.flatnonzero(~(np.abs(values) <= LARGEST))
        if len(wrong):
            raise DataError(
                f"X: series {index + 1}, value {int(wrong[0]) + 1}: expected a finite number of at most {LARGEST:g}, "
                f"got {values[wrong[0]]}; fill it in before."
            )
        if not len(values):
            raise DataError(f"X: series {index + 1}: expected values, got none.")
    return made


def _is_numbers(part: Any) -> bool:
    if isinstance(part, list | tuple):
        return bool(part) and all(isinstance(value, int | float) for value in part)
    return isinstance(part, np.ndarray) and part.ndim == 1 and np.issubdtype(part.dtype, np.number)


def _array(part: Any) -> NDArray[np.float64]:
    return np.ascontiguousarray(part, dtype=np.float64)


def _columns(data: Any) -> dict[str, Any]:
    """The columns of a table by name: arrays of numbers, or lists."""
    if isinstance(data, dict):
        made = {str(name): column if isinstance(column, np.ndarray) else list(column) for name, column in data.items()}
        lengths = {name: len(column) for name, column in made.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"X: expected columns of one length, got {lengths}.")
        return made
    import narwhals

    index = getattr(data, "index", None)
    if getattr(index, "nlevels", 1) > 1 or str(getattr(index, "dtype", "")).startswith(("datetime", "period")):
        raise InputError("X: expected times and names in columns, got them in the index; give X.reset_index().")
    try:
        frame: Any = narwhals.from_native(data, eager_only=True)
    except TypeError as error:
        raise InputError(
            "X: expected a table (a dict of columns, or one of pandas, polars, pyarrow, ...), an array, or a list of "
            f"arrays, got {type(data).__name__}."
        ) from error
    found: dict[str, Any] = {}
    for name in frame.columns:
        column = frame[name]
        if not column.dtype.is_numeric():
            found[str(name)] = column.to_list()
            continue
        values = column.to_numpy()  # whole numbers stay whole: years and names of series may be among them
        whole = values.dtype.kind in "iu"
        found[str(name)] = values if whole else column.cast(narwhals.Float64).to_numpy()
    return found


def _cells(column: Any) -> list[str]:
    """A column as text, a missing value as an empty cell."""
    if isinstance(column, np.ndarray) and np.issubdtype(column.dtype, np.datetime64):
        return ["" if np.isnat(value) else str(value.astype("datetime64[s]")) for value in column]
    return ["" if value is None or value != value else str(value) for value in column]


def _table(frame: dict[str, Any], layout: Layout) -> Table:
    lines = list(range(len(next(iter(frame.values())))))
    codes: dict[str, dict[str, int]] = {}
    made: list[Any] = [lines, np.zeros(len(lines))]
    kinds: tuple[str, ...] = (LINE, FILE)
    zone = ""
    if layout.time:
        try:
            times, zone = parse_times(_cells(frame[layout.time]))
        except TimeProblem as error:
            raise DataError(f"X: row {error.index}: column {layout.time!r}: {error}.") from None
        made.append(times.astype(np.int64))
        kinds = (*kinds, TIME)
    if layout.id:
        names, known = _cells(frame[layout.id]), codes.setdefault(layout.id, {})
        made.append(series_codes(names, known, lambda row: f"X: row {row}: column {layout.id!r}"))
        kinds = (*kinds, ID)
    made += [word_codes(_cells(frame[name]), codes.setdefault(name, {})) for name in layout.static]
    for name in layout.numbers:
        made.append(_numbers(frame[name], lines, name))
    order = (*kinds, *layout.static, *layout.numbers)
    rows = np.stack([np.asarray(column, dtype=np.float64) for column in made], 1)
    words = {name: tuple(codes[name]) for name in layout.static}
    return Table("X", layout, rows, order, zone, tuple(codes.get(layout.id or "", {})), words, ("",))


def _numbers(column: Any, lines: Sequence[int], name: str) -> NDArray[np.float64]:
    if not (isinstance(column, np.ndarray) and np.issubdtype(column.dtype, np.number)):
        return numbers(_cells(column), lines, "X", name)
    values = np.asarray(column, dtype=np.float64)
    wrong = np.flatnonzero(np.abs(values) > LARGEST)
    if len(wrong):
        raise DataError(
            f"X: row {int(wrong[0])}: column {name!r}: expected a finite number of at most {LARGEST:g}, got "
            f"{values[wrong[0]]}; mend it."
        )
    return values
