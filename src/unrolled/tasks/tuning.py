"""Search for good options: trials of a task with other options each, by optuna; what it found stays on the disk."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import DataError, InputError, NonFiniteError, UnrolledError
from ..training.checkpoint import write_atomically
from ..training.options import grouped, groups_of
from ..training.problem import Observer
from . import running
from .options import TaskOptions

STUDY = "study.json"  # what is searched, to go on with the same
JOURNAL = "trials.log"
STOPPED = "stopped"


@dataclass(frozen=True)
class Trial:
    """One run of a search."""

    number: int
    options: dict[str, Any]  # those that were tried
    value: float | None  # the validation loss, or what else the task chooses by; None of a run that was not finished
    state: str  # complete, pruned, failed, stopped (by Ctrl-C)
    folder: Path


def search_space(options: type[TaskOptions]) -> dict[str, dict[str, Any]]:
    """The options that are searched, with their ranges: those whose field says ``tune``."""
    found = {}
    for group in groups_of(options).values():
        for name, field in group.model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and isinstance(extra.get("tune"), dict):
                found[name] = extra["tune"]
    return found  # type: ignore[return-value]


def tune(
    task: running.Task[Any, Any],
    source: Any,
    output: str | Path,
    given: dict[str, Any],
    trials: int,
    observers: Callable[[int, dict[str, Any]], Sequence[Observer]] = lambda number, options: (),
    ended: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Train a task with options that a search proposes; a trial that does badly half-way is stopped.

    Args:
        task: which.
        source: what the task reads: paths, or data in memory.
        output: the folder for the runs, one each; one that is there, of the same search, is gone on with.
        given: options that stay as they are.
        trials: runs to make now.
        observers: watch the run of this number, with these options.
        ended: is told of every trial.

    Returns:
        All trials of the folder, the best first; it ends early at Ctrl-C.

    Raises:
        InputError: optuna is not installed, or nothing is left to search.
        DataError: the folder holds something else.
    """
    optuna = _optuna()
    space = {name: spec for name, spec in search_space(task.options).items() if name not in given}
    if not space:
        raise InputError("expected at least one option to search for, got all of them fixed.")
    folder = Path(output)
    _begin(folder, {"task": task.name, "given": {n: str(v) for n, v in given.items()}, "space": space}, source)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
    seed = int(given.get("seed") or 0)
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name=task.name,
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2),
    )

    def run(trial: Any) -> float:
        proposed = {name: _propose(trial, name, spec) for name, spec in space.items()}
        watcher = _Reporter(trial, optuna)
        values = task.options.model_validate(grouped(task.options, {**given, **proposed}))
        watching = [*observers(trial.number, proposed), watcher]
        done = running.train(task, source, folder / f"trial-{trial.number:03}", values, watching)
        if not done.outcome.finished:
            trial.set_user_attr(STOPPED, True)
            study.stop()
            raise optuna.TrialPruned
        assert done.outcome.best is not None
        return _criterion(done.outcome.best)

    def tell(_: Any, trial: Any) -> None:
        ended(_trial(folder, trial))

    try:
        study.optimize(run, n_trials=trials, catch=(NonFiniteError,), callbacks=[tell])
    except UnrolledError:
        _leave(folder)
        raise
    found = [_trial(folder, trial) for trial in study.get_trials(deepcopy=False)]
    return sorted(found, key=lambda trial: (trial.value is None, trial.value or 0.0, trial.number))


class _Reporter(Observer):
    """Tells the search how a run does, and ends it where others did better."""

    def __init__(self, trial: Any, optuna: Any):
        self.trial, self.optuna = trial, optuna
        self.count = 0

    def evaluated(self, record: dict[str, Any], sample: str | None) -> None:
        """Report by the number of the evaluation: trials of other sizes make other numbers of steps."""
        self.count += 1
        self.trial.report(_criterion(record), self.count)
        if self.trial.should_prune():
            raise self.optuna.TrialPruned


def _criterion(record: dict[str, Any]) -> float:
    return float(record.get("criterion", record["validation_loss"]))


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise InputError("expected optuna to be installed; pip install 'unrolled[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _begin(folder: Path, study: dict[str, Any], source: Any) -> None:
    if isinstance(source, list) and all(isinstance(path, Path) for path in source):
        study = {**study, "paths": [str(path.resolve()) for path in source]}
    file = folder / STUDY
    text = json.dumps(study, indent=2) + "\n"
    try:
        if file.exists():
            if file.read_text(encoding="utf-8") != text:
                raise DataError(f"{folder}: holds a search with other options or data; choose another --output.")
            return
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise DataError(f"{folder}: exists already, and is no search; choose another --output.")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot make this folder ({error.strerror}); choose another --output.") from error
    write_atomically(file, text)


def _leave(folder: Path) -> None:
    """Of a search without a run, as its data or options were refused, nothing stays."""
    if not any(folder.glob("trial-*")):
        for name in (STUDY, JOURNAL):
            (folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            folder.rmdir()


def _propose(trial: Any, name: str, spec: dict[str, Any]) -> Any:
    if "choices" in spec:
        return trial.suggest_categorical(name, spec["choices"])
    if isinstance(spec["low"], int):
        return trial.suggest_int(name, spec["low"], spec["high"])
    return trial.suggest_float(name, spec["low"], spec["high"], log=spec.get("log", False))


def _trial(folder: Path, trial: Any) -> Trial:
    names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    state = STOPPED if trial.user_attrs.get(STOPPED) else names.get(trial.state.name, STOPPED)
    value = trial.value if state == "complete" else None
    return Trial(trial.number, dict(trial.params), value, state, folder / f"trial-{trial.number:03}")
