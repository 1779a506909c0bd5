"""``run``: the whole benchmark, group by group."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import torch

from ..compiler.runtime import thread_count
from ..core import InputError
from . import every_cell, special
from .machine import machine
from .options import QUICK_STEP_SIZES, STEP_SIZES, Options, Shape
from .peak import measure
from .peers import missing_peers, versions
from .peers.jax_scan import threads_used
from .races import CELLS, TITLES, Found, OwnCell, failure, gated_race, loop_race, own_race, run_race
from .results import Results
from .single import single_step
from .threads import held_to


class Watcher:
    """Is told how the benchmark goes; every method may be overridden."""

    def started(self, results: Results, count: int) -> None:
        """The machine is known, and so many comparisons are to come."""

    def begins(self, title: str) -> None:
        """A comparison begins."""

    def ended(self) -> None:
        """It has ended."""


@dataclass(frozen=True)
class Job:
    """Something to measure; it yields what it finds."""

    group: str
    title: str
    work: Callable[[], Found]


def run(options: Options | None = None, *, cell: OwnCell | None = None, watcher: Watcher | None = None) -> Results:
    """Measure; Ctrl-C ends it early, with what was found until then.

    Args:
        options: what to measure, by default all but the group "cells", which takes some minutes.
        cell: a cell of the user's, one more group.
        watcher: is told how it goes.

    Returns:
        What was found; ``complete`` says whether it is all that was asked for.

    Raises:
        InputError: the group "cell" was asked for without one.
        UnsupportedStep: kernels cannot be compiled on this machine.

    Example:
        >>> from unrolled.bench import Options, Shape, run
        >>> found = run(Options(groups=("gru",), shapes=(Shape(3, 2, 4),), seconds=0))
        >>> sorted({row.mode for row in found.rows}), found.complete
        (['inference', 'training'], True)
    """
    options = options or Options(groups=tuple(name for name in Options().groups if cell or name != "cell"))
    watcher = watcher or Watcher()
    if "cell" in options.groups and cell is None:
        raise InputError("cell: expected a cell for the group 'cell', got None.")
    with held_to(options.threads):
        missing = missing_peers()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        results = Results(now, machine(), versions(), _threads(missing), missing)
        began = time.perf_counter()
        jobs = list(_jobs(options, cell, tuple(missing)))
        try:
            watcher.started(results, len(jobs))
            watcher.begins("the processor's peak")
            results.peak = measure()
            for job in jobs:
                watcher.begins(job.title)
                _do(job, results)
                watcher.ended()
            results.complete = True
        except KeyboardInterrupt:
            results.complete = False
        if "jax" not in missing:
            results.threads["jax"] = threads_used()
        results.seconds = time.perf_counter() - began
    return results


def _do(job: Job, results: Results) -> None:
    try:
        for item in job.work():
            results.add([item])
    except Exception as error:  # noqa: BLE001 (the other comparisons are worth having)
        results.add([failure(job.group, job.title, "", error)])


def _threads(missing: dict[str, str]) -> dict[str, int | None]:
    """Of every library; jax's are counted when they are there."""
    count = torch.get_num_threads()
    found: dict[str, int | None] = {"unrolled": thread_count(), "torch": count}
    if "onnxruntime" not in missing:
        found["onnxruntime"] = count
    if "jax" not in missing:
        found["jax"] = None
    return found


def _jobs(options: Options, cell: OwnCell | None, missing: tuple[str, ...]) -> Iterator[Job]:
    """In the order of the table."""
    seconds, quick = options.seconds, options.quick
    for group in options.groups:
        if group in TITLES:
            for training in (False, True):
                for shape in options.shapes:
                    mode = "training" if training else "inference"
                    work = partial(_gated, group, shape, seconds, training, missing)
                    yield Job(group, f"{TITLES[group]} {mode} {shape}", work)
        elif group in CELLS:
            for name in CELLS[group]:
                for shape in options.shapes:
                    yield Job(group, f"{name} training {shape}", partial(_loop, group, name, shape, seconds))
        elif group == "cell":
            assert cell is not None
            for shape in options.shapes:
                yield Job(group, f"{cell.name} training {shape}", partial(_own, cell, shape, seconds))
        elif group == "cells":
            for name in every_cell.names():
                for shape in options.cells_shapes:
                    yield Job(group, f"{name} training {shape}", partial(every_cell.measure, name, shape, seconds))
        elif group == "step":
            for size in QUICK_STEP_SIZES if quick else STEP_SIZES:
                yield Job(group, f"LSTM step 1x1x{size}", partial(single_step, size, seconds))
        else:
            yield Job(group, SPECIAL[group][0], partial(SPECIAL[group][1], seconds, quick=quick))


def _gated(kind: str, shape: Shape, seconds: float, training: bool, missing: tuple[str, ...]) -> Found:
    return run_race(gated_race(kind, shape, training=training, missing=missing), seconds)


def _loop(group: str, name: str, shape: Shape, seconds: float) -> Found:
    return run_race(loop_race(group, name, shape), seconds)


def _own(cell: OwnCell, shape: Shape, seconds: float) -> Found:
    return run_race(own_race(cell, shape), seconds)


SPECIAL = {
    "share": ("LSTM, share of the peak", special.share),
    "bf16": ("LSTM in bfloat16", special.bfloat16),
    "memory": ("memory of a training step", special.memory),
    "linear": ("growth with T and B", special.linear),
}
