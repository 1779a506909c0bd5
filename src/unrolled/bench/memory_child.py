"""The process of ``memory.py``: build, do a tiny step, remember the peak so far, do the whole step, print the rest."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from .options import Shape
from .ours import gated_cell, ours
from .peers.torch_nn import torch_nn
from .problem import Problem, gated
from .sides import Side

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes() -> int:
    """The most memory that this process has held, in bytes.

    Linux keeps it for each program; ``ru_maxrss`` also counts what the parent held when it started this one.
    """
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget_peak() -> None:
    """Let the peak be what is held now, where the system can: imports may have held more for a moment."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return


def measure(kind: str, shape: Shape, every: int | None, of_input: bool) -> int:
    """Bytes that the training step added."""
    small = replace(shape, T=2, B=1)
    # kernels, threads, the libraries' own buffers, and what is imported when it is first used
    _side(kind, gated("lstm", small), every and 1, of_input).run()
    side = _side(kind, gated("lstm", shape), every, of_input)
    forget_peak()
    before = peak_bytes()
    result = side.run()
    after = peak_bytes()
    del result
    return after - before


def _side(kind: str, given: Problem, every: int | None, of_input: bool) -> Side:
    if kind == "torch.nn":
        return torch_nn("lstm", given, training=True)
    return ours(gated_cell("lstm", given), given, training=True, checkpoint_every=every, of_input=of_input)


def main(text: str) -> None:
    """Print the bytes, as JSON."""
    wanted: dict[str, Any] = json.loads(text)
    torch.set_num_threads(wanted["threads"])
    print(json.dumps({"bytes": measure(wanted["kind"], Shape(**wanted["shape"]), wanted["every"], wanted["of_input"])}))


if __name__ == "__main__":
    main(sys.argv[1])
