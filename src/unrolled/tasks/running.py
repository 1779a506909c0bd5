"""Training a task into a run folder, going on with it, and opening what was trained: the same for every task."""

import platform
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from .. import __version__
from ..core import CheckpointError, DataError, InputError
from ..training.checkpoint import load_checkpoint
from ..training.loop import measure_steps
from ..training.loop import train as run_training
from ..training.options import TrainingOptions
from ..training.problem import Observer, Outcome, Problem
from ..training.randomness import seed_everything
from ..training.run_folder import RunFolder
from .cells import is_own
from .options import TaskOptions

WEIGHTS = ("best", "last")


class Data(Protocol):
    """What a task has read: checked, divided, and turned into what its problem learns from."""

    @property
    def record(self) -> dict[str, Any]:
        """What config.json says about the data, under names of the task's own: paths, sizes, hashes."""

    @property
    def files(self) -> dict[str, str]:
        """Text files of the run folder, such as the vocabulary: all that a prediction needs besides the weights."""


Opts = TypeVar("Opts", bound=TaskOptions)
D = TypeVar("D", bound=Data)


class Task(ABC, Generic[Opts, D]):
    """A job that people have: how its data become something to learn. It has no state of its own."""

    name: ClassVar[str]
    options: type[Opts]

    @abstractmethod
    def read(self, source: Any, options: Opts, saved: RunFolder | None = None) -> D:
        """Read, check and divide the data.

        Args:
            source: paths, or data in memory; None for those that ``saved`` was made with, which must not have changed.
            options: settled ones.
            saved: the run that is gone on with, or begun from: vocabularies and scales are its own.

        Raises:
            DataError: the data cannot be used; the file and the row are named.
        """

    @abstractmethod
    def problem(self, data: D, options: Opts) -> Problem:
        """The model and what it learns from; everything has been seeded just before, and it is the same each time."""


@dataclass(frozen=True)
class Training(Generic[D]):
    """A training run that has ended, or was interrupted."""

    folder: Path
    outcome: Outcome
    data: D


def train(
    task: Task[Opts, D],
    source: Any,
    output: str | Path,
    options: Opts,
    observers: Sequence[Observer] = (),
    begin_from: str | Path | None = None,
) -> Training[D]:
    """Train a task on data, into a new run folder.

    Args:
        task: which.
        source: what the task reads: paths, or data in memory.
        output: the run folder to make.
        options: of data, model and training.
        observers: are told of every step and evaluation.
        begin_from: a run of the same task and model, whose best weights are the first ones.

    Raises:
        DataError: the data or the output folder cannot be used.
        InputError: an option cannot be used.
        CheckpointError: the run to begin from does not fit.
        NonFiniteError: training left the finite numbers.
    """
    RunFolder.check_free(output)
    saved = None if begin_from is None else open_run(task, begin_from)
    settled = settle(options)
    torch.set_num_threads(settled.training.threads or torch.get_num_threads())
    data = task.read(source, settled, saved)
    # with a problem of its own, for it is spoilt by it: what cannot run at all fails before there is a folder
    trial = _problem(task, data, settled, saved)
    trial.loss(0, trial.start())
    if settled.training.steps is None:
        steps = _count_steps(trial, settled.training, observers)
        settled = _updated(settled, training={"steps": steps})
    problem = _problem(task, data, settled, saved)
    made_with = {"unrolled": __version__, "torch": torch.__version__, "python": platform.python_version()}
    config = {"task": task.name, "made_with": made_with, **data.record, "options": settled.model_dump()}
    folder = RunFolder.create(output, config, data.files)
    return Training(folder.path, run_training(problem, settled.training, folder, observers), data)


def resume(
    task: Task[Opts, D],
    run: str | Path,
    *,
    cell: str | None = None,
    steps: int | None = None,
    observers: Sequence[Observer] = (),
) -> Training[D]:
    """Go on with a run that was interrupted, or killed: it ends as if it had never stopped, bit for bit.

    Args:
        task: which.
        run: the run folder.
        cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.
        steps: a new number of steps for the whole run, to train longer (the schedule stretches with it).
        observers: are told of every step and evaluation.

    Raises:
        CheckpointError: the folder is not a run of this task, or its checkpoint is damaged.
        DataError: the data are not what they were.
        InputError: the cell is not named again, or the new number of steps is done already.
    """
    folder = open_run(task, run)
    options = recorded_options(task, folder)
    if steps is not None and steps != options.training.steps:
        options = _updated(options, training={"steps": steps})
    options = with_cell(options, cell, folder)
    torch.set_num_threads(options.training.threads or torch.get_num_threads())
    data = task.read(None, options, folder)
    problem = _problem(task, data, options, None)
    return Training(folder.path, run_training(problem, options.training, folder, observers), data)


@dataclass(frozen=True)
class Trained(Generic[Opts]):
    """A run, opened to predict with: its folder, its options, the weights that were chosen."""

    folder: RunFolder
    options: Opts
    file: Path
    tensors: dict[str, Tensor] = field(repr=False)

    def give_weights(self, model: nn.Module) -> None:
        """Let a model have the weights, and be ready to predict.

        Raises:
            CheckpointError: they are those of another model.
        """
        try:
            model.load_state_dict(self.tensors)
        except RuntimeError as error:
            reason = str(error).rpartition("\n")[2].strip()
            raise CheckpointError(f"{self.file}: does not fit the model in config.json ({reason}).") from error
        model.eval()


def open_trained(
    task: Task[Opts, D], run: str | Path, *, cell: str | None = None, weights: str = "best"
) -> Trained[Opts]:
    """Open a run to predict with.

    Args:
        task: which.
        run: the run folder.
        cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.
        weights: ``"best"`` on validation, or ``"last"``.

    Raises:
        CheckpointError: the folder is not a run of this task, or a file in it is damaged.
        InputError: the cell is not named again.
    """
    folder = open_run(task, run)
    options = with_cell(recorded_options(task, folder), cell, folder)
    if weights not in WEIGHTS:
        raise InputError(f"--weights: expected best or last, got {weights!r}.")
    if weights == "best" and not folder.best.exists() and folder.last.exists():
        raise CheckpointError(
            f"{folder.path}: has no best weights yet, it stopped before its first evaluation; "
            "go on with --resume, or use --weights last."
        )
    file = folder.best if weights == "best" else folder.last
    tensors = load_checkpoint(file).tensors
    if weights == "last":
        groups = {group: _group(tensors, group) for group in ("model", "average")}
        tensors = {**groups["model"], **groups["average"]}
    return Trained(folder, options, file, tensors)


def open_run(task: Task[Opts, D], run: str | Path) -> RunFolder:
    """The folder of a run of this task.

    Raises:
        CheckpointError: it is not one.
    """
    folder = RunFolder(run)
    if folder.config.get("task") != task.name:
        raise CheckpointError(
            f"{folder.path}: expected a run of {task.name}, got one of {folder.config.get('task')!r}."
        )
    return folder


def recorded_options(task: Task[Opts, D], folder: RunFolder) -> Opts:
    """The options of a run, with the number of steps settled.

    Raises:
        CheckpointError: the config is damaged.
    """
    try:
        options = task.options.model_validate(folder.config["options"])
    except KeyError as error:
        raise damaged(folder, "it states no options") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise damaged(folder, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if options.training.steps is None:
        raise damaged(folder, "it states no number of steps")
    return options


def damaged(folder: RunFolder, reason: object) -> CheckpointError:
    """What to raise where config.json says something impossible."""
    return CheckpointError(f"{folder.path / 'config.json'}: damaged ({reason}); restore the file from a copy.")


def with_cell(options: Opts, cell: str | None, folder: RunFolder) -> Opts:
    """The options with the cell that the user names now: a path in a run folder is never run by itself."""
    recorded = options.model.cell
    if is_own(recorded) and cell is None:
        raise InputError(
            f"--cell: {folder.path} was made with a cell of your own; name it again to run it: --cell {recorded}"
        )
    if not is_own(recorded):
        if cell not in (None, recorded):
            raise InputError(f"--cell: expected {recorded}, with which {folder.path} was made, got {cell!r}.")
        return options
    return _updated(options, model={"cell": cell})


def settle(options: Opts) -> Opts:
    """Options with the threads recorded and paths made absolute, so that a run can be resumed."""
    training = options.training
    by_time = training.steps is None and training.epochs is None
    changes: dict[str, Any] = {
        "training": {
            "threads": training.threads or torch.get_num_threads(),
            "minutes": training.minutes if by_time else None,
        }
    }
    named = {name: getattr(options.data, name) for name in options.data.paths}
    changes["data"] = {name: str(Path(path).resolve()) for name, path in named.items() if path is not None}
    if is_own(options.model.cell):
        path, _, name = options.model.cell.rpartition(":")
        changes["model"] = {"cell": f"{Path(path).resolve()}:{name}"}
    return _updated(options, **changes)


def check_device(name: str) -> torch.device:
    """The device of this name.

    Raises:
        InputError: this machine has none.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # which fails on "meta" too
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--device: expected a device of this machine, got {name!r} ({reason}).") from error
    return device


def _problem(task: Task[Opts, D], data: D, options: Opts, begin_from: RunFolder | None) -> Problem:
    """Seed everything and make the problem: the same, each time that it is called."""
    device = check_device(options.training.device)
    seed_everything(options.training.seed)
    problem = task.problem(data, options)
    problem.model.to(device)
    if begin_from is not None:
        try:
            problem.model.load_state_dict(load_checkpoint(begin_from.best).tensors)
        except RuntimeError as error:
            reason = str(error).rpartition("\n")[2].strip()
            raise CheckpointError(
                f"{begin_from.path}: expected a run whose model has the same options, to begin from it ({reason})."
            ) from error
    return problem


def _count_steps(trial: Problem, options: TrainingOptions, observers: Sequence[Observer]) -> int:
    """The steps of so many epochs, or as many as fit into the minutes."""
    if options.epochs is not None:
        return options.epochs * trial.steps_per_epoch
    minutes = options.minutes or 1
    for observer in observers:
        observer.measuring(minutes)
    return measure_steps(trial, options, minutes)


def _updated(options: Opts, **groups: dict[str, Any]) -> Opts:
    changed = {name: getattr(options, name).model_copy(update=update) for name, update in groups.items()}
    return options.model_copy(update=changed)


def _group(tensors: dict[str, Tensor], group: str) -> dict[str, Tensor]:
    return {n.removeprefix(f"{group}."): t for n, t in tensors.items() if n.startswith(f"{group}.")}


def changed_since(folder: RunFolder, what: str) -> DataError:
    """What to raise where the data of a run that is to go on are others now."""
    return DataError(
        f"{folder.path}: expected the data that the run began with, but {what} changed since "
        "(the hash differs); restore the data, or start a new run."
    )
