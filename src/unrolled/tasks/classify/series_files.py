"""Numeric sequences with a class, from the files that people have: .npz arrays, and .ts of the time series archive."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import DataError
from ..reading import lines_of, open_binary

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Series:
    """One sequence (T, F), its class if it is told, and where it stands in its file."""

    values: Floats
    label: str | None
    place: str
    columns: tuple[str, ...] = ()  # the names of the features, where they have some


def read_npz(path: Path, part: str = "train") -> Iterator[Series]:
    """The sequences of an .npz file with the arrays x and y, and maybe lengths.

    x is (N, T, F) or (N, T), y (N,) numbers or names, lengths (N,) the valid steps of each. A file may hold two parts:
    x_train and x_test (y_train ...), or x and x_test.

    Args:
        path: the file; nothing pickled in it is read.
        part: ``"train"`` or ``"test"``, of a file with two.

    Raises:
        DataError: it is no such file, an array is missing or has another shape, or a number is not finite.
    """
    try:
        with open_binary(path) as opened, np.load(opened, allow_pickle=False) as file:
            names = set(file.files)
            suffix = _suffix(path, names, part)
            x, y, lengths = (_array(path, file, f"{name}{suffix}", names) for name in ("x", "y", "lengths"))
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: expected an .npz file of numpy.savez with x and y, got another or a damaged one."
        ) from (error)
    assert x is not None  # for it decided the suffix
    if x.ndim not in (2, 3) or not len(x) or not x.shape[-1] or x.dtype.kind not in "fiub":
        raise DataError(
            f"{path}: x{suffix}: expected numbers (N, T, F) or (N, T), got {x.dtype} {x.shape}; reshape the array."
        )
    if x.ndim == 2:
        x = x[:, :, None]
    if y is not None and (y.shape != (len(x),) or y.dtype.kind not in "iuUSb"):
        raise DataError(
            f"{path}: y{suffix}: expected {len(x)} whole numbers or names, one a sequence of x{suffix}, "
            f"got {y.dtype} {y.shape}; save it with as many, for example as y{suffix}.astype(int)."
        )
    if lengths is not None and (
        lengths.shape != (len(x),) or lengths.dtype.kind not in "iu" or lengths.min() < 1 or lengths.max() > x.shape[1]
    ):
        raise DataError(
            f"{path}: lengths{suffix}: expected {len(x)} whole numbers from 1 to {x.shape[1]}, one a sequence, "
            f"got {lengths.dtype} {lengths.shape}"
            + (f" with values from {lengths.min()} to {lengths.max()}." if lengths.size else ".")
        )
    for row in range(len(x)):
        values = x[row] if lengths is None else x[row, : lengths[row]]
        label = None if y is None else _name(y[row])
        if label == "":
            raise DataError(f"{path}: y{suffix}[{row}]: expected a label, got an empty name; fill it in.")
        yield Series(finite(values, f"{path}: x{suffix}[{row}]"), label, f"{path}: x{suffix}[{row}]")


def _suffix(path: Path, names: set[str], part: str) -> str:
    wanted: tuple[str, ...] = ("_test",) if part == "test" and "x_test" in names else ("_train", "")
    for suffix in (*wanted, "", "_test"):
        if f"x{suffix}" in names:
            return suffix
    raise DataError(
        f"{path}: expected an array named x (or x_train, x_test), got {', '.join(sorted(names)) or 'none'}."
    )


def _array(path: Path, file: Any, name: str, names: set[str]) -> Any:
    if name not in names:
        return None
    try:
        return file[name]
    except ValueError as error:
        raise DataError(
            f"{path}: {name}: expected an array of numbers or names, got pickled Python objects, which may run any "
            f"program and are never read; save it again, for example as {name}.astype(str)."
        ) from error


def _name(label: object) -> str:
    return str(label, errors="replace") if isinstance(label, bytes) else str(label)


def finite(values: Any, place: str) -> Floats:
    """The numbers (T, F) as float32.

    Raises:
        DataError: there is no step, or a number is NaN, infinite, or too large; the place is named.
    """
    if not len(values):
        raise DataError(f"{place}: expected a sequence of at least one step, got none; leave it out.")
    if not values.shape[1]:
        raise DataError(f"{place}: expected at least one number at each step, got none.")
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(found).all():
        step, feature = np.argwhere(~np.isfinite(found))[0]
        raise DataError(
            f"{place}: expected finite numbers, got {np.asarray(values)[step, feature]} at step {step}, "
            f"feature {feature}; fill it in, or leave the sequence out."
        )
    return found


def read_ts(path: Path) -> Iterator[Series]:
    """The sequences of a .ts file, the text format of the time series classification archive.

    After lines that begin with # and @ there is one sequence a line: its dimensions, separated by colons, each a list
    of numbers separated by commas, and last its class. Lengths may differ from line to line.

    Raises:
        DataError: the file is not of this form, a number is missing (?) or not finite; the line is named.

    Reference:
        Bagnall et al. 2018, The UEA multivariate time series classification archive, arXiv:1811.00075.
    """
    labelled, inside = True, False
    for number, line in enumerate(lines_of(path), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if inside:
            yield _sequence(path, number, text, labelled)
        elif text.lower().startswith("@data"):
            inside = True
        elif match := re.match(r"@(\w+)\s*(\S*)", text):
            labelled = _header(path, number, match.group(1).lower(), match.group(2).lower(), labelled)
        else:
            raise DataError(f"{path}: line {number}: expected @data before the sequences, got {text[:40]!r}.")
    if not inside:
        raise DataError(f"{path}: expected a line @data and sequences after it, got none.")


def _header(path: Path, number: int, name: str, value: str, labelled: bool) -> bool:
    if name == "timestamps" and value == "true":
        raise DataError(
            f"{path}: line {number}: expected sequences without time stamps, got @timeStamps true; "
            "write them as a CSV file with the columns id, time and label."
        )
    return value != "false" if name == "classlabel" else labelled


def _sequence(path: Path, number: int, text: str, labelled: bool) -> Series:
    place = f"{path}: line {number}"
    parts = text.split(":")
    label = parts.pop().strip() if labelled else None
    if not parts or label == "":
        raise DataError(f"{place}: expected dimensions and a class, separated by colons, got {text[:40]!r}.")
    try:
        columns = [np.array(part.split(","), dtype=np.float64) for part in parts]
    except ValueError as error:
        missing = "a missing number (?)" if "?" in text else str(error)
        raise DataError(f"{place}: expected numbers separated by commas, got {missing}; fill it in.") from error
    steps = {len(column) for column in columns}
    if len(steps) > 1:
        raise DataError(
            f"{place}: expected dimensions of one length, got lengths from {min(steps)} to {max(steps)}; "
            "every step needs a number of each dimension."
        )
    return Series(finite(np.stack(columns, 1), place), label, place)
