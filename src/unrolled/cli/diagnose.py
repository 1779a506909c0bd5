"""Show how far back the memory of a run, or of a cell, reaches."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..core import InputError
from ..inspection import Diagnosis, diagnose
from ..inspection.text import paragraph
from ..tasks.cells import is_own, plain_name
from ..tasks.looking import batch_of_run
from ..tasks.pictures import check_picture, save_picture
from ..training.progress import printable
from .explain import DTYPES, Sizes, cell_names, made_for


@dataclass(frozen=True)
class Looking:
    """What is looked at, and with what."""

    data: list[Path]  # none: the run's own
    weights: str
    cell: str | None  # of one's own, for a run that was made with it
    steps: int
    batch_size: int


def show(choice: str, looking: Looking, sizes: Sizes, dtype: str, output: Path | None, *, as_json: bool) -> int:
    """Print what is found, and draw it.

    Args:
        choice: a run folder; or a cell, with random weights and data.
        looking: at what.
        sizes: those of a cell's constructor.
        dtype: of a cell.
        output: a picture to write.
        as_json: for programs.
    """
    picture = None if output is None else check_picture(output, "--output")
    is_run = Path(choice).is_dir()
    found, data = _of_run(choice, looking, sizes) if is_run else _of_cell(choice, looking, sizes, dtype)
    if picture is not None:
        save_picture(found.plot(), picture)
    if as_json:
        print(json.dumps({**found.to_dict(), "data": data}))
    else:
        print(printable("\n".join([str(found), "", *paragraph(f"Looked at: {data}.")])))
    return 0


def _of_run(choice: str, looking: Looking, sizes: Sizes) -> tuple[Diagnosis, str]:
    for name, value in (("--input-size", sizes.input_size), ("--hidden-size", sizes.hidden_size)):
        if value is not None:
            raise InputError(f"{name}: expected none with a run, whose model has its sizes, got {value}; leave it out.")
    batch = batch_of_run(
        choice,
        looking.data,
        cell=looking.cell,
        weights=looking.weights,
        rows=looking.batch_size,
        steps=looking.steps,
    )
    found = diagnose(batch.model, batch.x, lengths=batch.lengths, loss=batch.loss)
    return replace(found, name=choice, loss=batch.loss_name), batch.data


def _of_cell(choice: str, looking: Looking, sizes: Sizes, dtype: str) -> tuple[Diagnosis, str]:
    if dtype not in DTYPES:
        raise InputError(f"--dtype: expected one of {', '.join(DTYPES)}, got {dtype!r}.")
    if looking.data:
        raise InputError(f"--data: expected a run folder with it, which tells how to read the data, got {choice!r}.")
    if not is_own(choice) and plain_name(choice) not in map(plain_name, cell_names()):
        raise InputError(
            "RUN: expected the folder of a run, as `unrolled train` makes it, or a cell: "
            f"{', '.join(cell_names())}, or path.py:ClassName; got {choice!r}, and there is no such folder."
        )
    torch.manual_seed(0)
    cell, features = made_for(choice, sizes)
    kind: torch.dtype = getattr(torch, dtype)
    cell, steps, rows = cell.to(kind), looking.steps, looking.batch_size
    if features is None:
        found = diagnose(cell, state=cell.initial_state(rows), steps=steps)
        return found, "weights as they are first drawn"
    found = diagnose(cell, torch.randn(steps, rows, features).to(kind))
    return found, "random numbers, with weights as they are first drawn; train, and look at the run"
