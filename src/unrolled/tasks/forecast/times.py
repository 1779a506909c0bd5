"""Times as people write them: ISO dates and times, months, quarters and years."""

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from .frequency import Times

_ZONE = re.compile(r"(?<=\d)\s*(Z|z|UTC|[+-]\d\d:?\d\d)$")
_ISO = re.compile(r"\d{4}(-\d\d?(-\d\d?([T ]\d\d?(:\d\d(:\d\d(\.0*)?)?)?)?)?)?")
_IN_PLACE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?")
_QUARTER = re.compile(r"(\d{4})-?Q([1-4])")
_WRITTEN = ("%b %d %Y", "%B %d %Y", "%d %b %Y", "%d %B %Y", "%b %Y", "%B %Y", "%Y%m%d")
_SHOWN = 60  # characters of a cell
FORMS = "2024-01-31, 2024-01-31 23:00:00, 2024-01, 2024Q1 or 2024"


def brief(cell: str) -> str:
    """A cell as an error shows it: in quotes, and not all of a long one."""
    return repr(cell) if len(cell) <= _SHOWN else f"{cell[:_SHOWN]!r}... ({len(cell):,} characters)"


class TimeProblem(ValueError):
    """A cell that is no time, by its index among those that were given."""

    def __init__(self, index: int, message: str):
        super().__init__(message)
        self.index = index


def parse_times(cells: Sequence[str], zone: str | None = None) -> tuple[Times, str]:
    """Times in seconds, as the clock of their zone shows them, and the zone, empty where none is told.

    Args:
        cells: as they stand in a table.
        zone: of the cells before these, if there were any.

    Raises:
        TimeProblem: a cell is none, or of another zone than the others.
    """
    found = np.empty(len(cells), dtype="datetime64[s]")
    quick: list[str] = []
    for index, cell in enumerate(cells):
        text = cell.strip()
        if not text:
            raise TimeProblem(index, f"expected a time, got an empty cell; write it as {FORMS}")
        told = _ZONE.search(text) if ":" in text or text[-1] in "Zz" else None
        own = _zone_name(told[1]) if told else ""
        if zone is None:
            zone = own
        elif own != zone:
            raise TimeProblem(
                index,
                f"expected a time of the zone {zone or 'none'!r} as before, got {brief(cell)}; "
                "convert all times to UTC",
            )
        if told:
            text = text[: told.start()]
        if "/" in text and text[:4].isdigit():
            text = text.replace("/", "-")
        quick.append(text if _ISO.fullmatch(text) else _unusual(index, cell, text))
    whole = [text if _IN_PLACE.fullmatch(text) else _padded(text) for text in quick]
    try:
        return np.array(whole, dtype="datetime64[s]"), zone or ""
    except ValueError:  # one of them, sought one by one
        pass
    for index, text in enumerate(whole):
        try:
            found[index] = np.datetime64(text, "s")
        except ValueError:
            raise TimeProblem(
                index, f"expected a time, got {brief(cells[index])}, which is no day; write {FORMS}"
            ) from None
    return found, zone or ""


def is_time(cell: str) -> bool:
    """Whether a cell can be read as a time that no one would take for another number."""
    try:
        parse_times([cell])
    except TimeProblem:
        return False
    return not re.fullmatch(r"\d+", cell.strip())


def _padded(text: str) -> str:
    """An ISO time whose parts may lack their zeros."""
    day, _, clock = text.replace("T", " ").partition(" ")
    parts = [part.zfill(2) for part in day.split("-")]
    return "-".join(parts) + (f"T{':'.join(p.zfill(2) for p in clock.split(':'))}" if clock else "")


def _zone_name(text: str) -> str:
    if text.upper() in ("Z", "UTC") or text.replace(":", "") in ("+0000", "-0000"):
        return "Z"
    return text if ":" in text else f"{text[:3]}:{text[3:]}"


def _unusual(index: int, cell: str, text: str) -> str:
    quarter = _QUARTER.fullmatch(text)
    if quarter:
        return f"{quarter[1]}-{3 * int(quarter[2]) - 2:02}"
    for form in _WRITTEN:
        try:
            return datetime.strptime(text, form).strftime("%Y-%m-%d")
        except ValueError:
            continue
    if re.match(r"\d{4}-\d\d-\d\d[T ].*\.\d*[1-9]", text):
        raise TimeProblem(index, f"expected whole seconds, got {brief(cell)}; round the times")
    raise TimeProblem(index, f"expected a time such as {FORMS}, got {brief(cell)}")
