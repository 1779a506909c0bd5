"""Estimators after scikit-learn's conventions: a class a task, whose parameters are the task's options."""

import inspect
import tempfile
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ValidationError
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from ..core import InputError
from ..training.options import first_problem, grouped, groups_of
from ..training.progress import observers_here
from ..training.run_folder import RunFolder
from . import running
from .running import Task, Training


class Estimator(BaseEstimator):
    """What the estimators of all tasks share. Parameters are checked by ``fit``, as in scikit-learn.

    Args:
        options: those of the task, each by its name; see the task's page in the docs.
        output: a run folder to make, and to keep; by default there is none after ``fit``.
        progress: show how training goes; by default where there is a terminal or a notebook.

    Attributes:
        run_: the trained run, which predicts.
        outcome_: how training ended, with the figures of the best evaluation.
    """

    task: ClassVar[Task[Any, Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give a subclass that names its task a constructor with the task's options."""
        super().__init_subclass__(**kwargs)
        if "task" in vars(cls):
            cls.__init__ = _constructor(cls.task.options)  # type: ignore[method-assign]

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 (scikit-learn's name)
        """Train on data in memory; what X and y are is said on the task's page.

        Raises:
            DataError, InputError: the data or a parameter cannot be used.
        """
        options = self._settings()
        observers = observers_here(self.progress, self._unit)
        if self.output is not None:
            return self._keep(running.train(self.task, (X, y), self.output, options, observers))
        with tempfile.TemporaryDirectory() as folder:
            return self._keep(running.train(self.task, (X, y), Path(folder) / "run", options, observers))

    _unit = "steps"

    def _open(self, folder: Path) -> Any:
        """The run of a task in a folder, ready to predict; a subclass says which class it is."""
        raise NotImplementedError

    def _keep(self, training: Training[Any]) -> Self:
        self.outcome_ = training.outcome
        self._take(training.folder)
        return self

    def _take(self, folder: Path) -> None:
        self.run_ = self._open(folder)
        names = [file.name for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith(".")]
        self.files_ = {name: (folder / name).read_bytes() for name in names if name != "last.safetensors"}

    def _fitted(self) -> Any:
        if not hasattr(self, "run_"):
            raise NotFittedError(f"{type(self).__name__}: expected a call of fit (or load) before this one.")
        return self.run_

    def save(self, path: str | Path) -> None:
        """Write the trained run as a run folder, which ``load`` and the command line read.

        Raises:
            DataError: the folder exists and is not empty, or cannot be written.
        """
        self._fitted()
        RunFolder.write_copy(path, self.files_)

    @classmethod
    def load(cls, path: str | Path, *, cell: str | None = None) -> Self:
        """The estimator of a run folder that ``save`` or ``unrolled train`` made.

        Args:
            path: the run folder.
            cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.

        Raises:
            CheckpointError: it is not one of this task, or damaged.
        """
        folder = running.open_run(cls.task, path)
        options = running.with_cell(running.recorded_options(cls.task, folder), cell, folder)
        groups = options.model_dump()
        made = cls(**{name: value for group in groups.values() for name, value in group.items()})
        made._take(folder.path)
        return made

    def _settings(self) -> Any:
        options = self.task.options
        try:
            return options.model_validate(grouped(options, vars(self)))
        except ValidationError as error:
            name, problem = first_problem(error)
            raise InputError(f"{name}: {problem}") from error


def _constructor(options: type[BaseModel]) -> Any:
    """A constructor with a keyword for each option, by which scikit-learn reads and sets the parameters."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(name, keyword, default=field.default, annotation=field.annotation)
        for group in groups_of(options).values()
        for name, field in group.model_fields.items()
    ]
    parameters.append(inspect.Parameter("output", keyword, default=None, annotation=str | Path | None))
    parameters.append(inspect.Parameter("progress", keyword, default=None, annotation=bool | None))
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = inspect.Signature(parameters)

    def __init__(self: Any, /, **given: Any) -> None:  # noqa: N807 (it becomes a method)
        try:
            bound = signature.bind(**given)
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}") from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            setattr(self, name, value)

    __init__.__signature__ = inspect.Signature([own, *parameters])  # type: ignore[attr-defined]
    return __init__
