"""From what the user names to a panel: files, data in memory, or the made series."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core import DataError
from .assemble import panel_from_table, read_m4, static_words
from .example import NAME, made_demand
from .layout import Layout
from .options import DataOptions
from .panel import Panel
from .table import layout_of, read_table


@dataclass(frozen=True)
class Source:
    """Series, and what was found about where they stood."""

    panel: Panel
    columns: dict[str, Any]  # to read another table alike: names of columns, words of static covariates
    said: str


def read_source(paths: Sequence[Path], options: DataOptions, columns: dict[str, Any] | None = None) -> Source:
    """The series of these files; of none, the made ones.

    Args:
        paths: tables of one layout, read one after the other.
        options: which columns are what.
        columns: of the run that these are for, in place of what would be guessed.

    Raises:
        DataError: a file cannot be used.
    """
    if not paths:
        return Source(made_demand(), {}, f"{NAME} (a holiday is known ahead)")
    for path in paths:
        if path.is_dir():
            raise DataError(f"{path}: expected a file, got a folder; name the files in it.")
    options = with_columns(options, columns or {})
    layout = layout_of(paths[0], options)
    if layout.kind == "m4":
        return Source(read_m4(list(paths), options), {"kind": "m4"}, layout.said())
    table = read_table(paths, layout)
    words = static_words(table, (columns or {}).get("words"))
    return Source(panel_from_table(table, options, words), columns_of(layout, words), layout.said())


def columns_of(layout: Layout, words: dict[str, list[str]]) -> dict[str, Any]:
    """What to keep of a layout, to read another table alike."""
    kept: dict[str, Any] = {"kind": layout.kind, "words": words}
    if layout.kind == "plain":
        return kept
    return {**kept, "time": layout.time, "id": layout.id, "target": ",".join(layout.targets)}


def with_columns(options: DataOptions, columns: dict[str, Any]) -> DataOptions:
    """Options whose columns are those that a run found."""
    found = {name: columns[name] for name in ("time", "id", "target") if columns.get(name) is not None}
    given = {name for name in ("time", "id") if getattr(options, name) is not None}
    return options.model_copy(update={name: value for name, value in found.items() if name not in given})
