"""The ends of series that were in memory, kept in the run folder: what a forecast of what comes next needs."""

import json
from typing import Any

import numpy as np

from ...training.run_folder import RunFolder
from ..running import damaged
from .frequency import Frequency
from .panel import Panel, panel_of

FILE = "ends.json"
_MOST = 2_000_000  # values that are kept


def ends_of(panel: Panel, context: int) -> dict[str, str]:
    """The file with the last steps of each series, and all that is known ahead; none where that is too much."""
    kept = np.minimum(panel.lengths, context + 1)
    if int(kept.sum()) * (1 + panel.past.shape[1] + panel.future.shape[1]) > _MOST:
        return {}
    rows: list[dict[str, Any]] = []
    for index, name in enumerate(panel.names):
        begin = int(panel.lengths[index] - kept[index])
        offset, future = int(panel.offsets[index]), int(panel.future_offsets[index])
        rows.append(
            {
                "name": name,
                "start": int(panel.starts[index]) + begin,
                "phase": int(panel.phases[index]),
                "values": panel.series(index)[begin:].tolist(),
                "past": panel.past[offset + begin : int(panel.offsets[index + 1])].tolist(),
                "future": panel.future[future + begin : int(panel.future_offsets[index + 1])].tolist(),
                "static": panel.static[index].tolist(),
            }
        )
    return {FILE: json.dumps({"zone": panel.zone, "dated": panel.dated, "series": rows}) + "\n"}


def panel_of_ends(folder: RunFolder, frequency: Frequency | None) -> Panel | None:
    """The panel that a run keeps; None where it keeps none.

    Raises:
        CheckpointError: the file is damaged.
    """
    if not (folder.path / FILE).exists():
        return None
    try:
        kept = json.loads(folder.read_text(FILE))
        rows = kept["series"]
        return panel_of(
            [np.array(row["values"], dtype=np.float64) for row in rows],
            [row["name"] for row in rows],
            frequency=frequency,
            starts=[row["start"] for row in rows],
            phases=[row["phase"] for row in rows],
            past=[_matrix(row["past"]) for row in rows],
            future=[_matrix(row["future"]) for row in rows],
            static=_matrix([row["static"] for row in rows]),
            zone=kept["zone"],
            dated=kept["dated"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(folder, f"{FILE}: {error}") from error


def _matrix(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, dtype=np.float64).reshape(len(rows), -1 if rows and rows[0] else 0)
