"""The classification task as Python sees it: ``train``, ``resume``, and ``load`` for a run to classify with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...training.problem import Observer
from ...training.run_folder import RunFolder
from .. import running
from ..origin import recorded_data
from ..running import Training
from ..scores import MODEL, Scores
from . import data as reading
from .data import ClassifyData, Part, read_baselines, read_encoder
from .examples import Examples
from .explain import Explanation, explained
from .figures import confusion, f1_scores, figures
from .gather import gather, gather_memory
from .network import Network
from .options import ClassifyOptions
from .problem import ClassifyProblem, log_probabilities
from .reader import Reader
from .sources import form_of


class ClassifyTask(running.Task[ClassifyOptions, ClassifyData]):
    """One of several classes for a whole sequence."""

    name = "classify"
    options = ClassifyOptions

    def read(self, source: Any, options: ClassifyOptions, saved: RunFolder | None = None) -> ClassifyData:
        """See :class:`unrolled.tasks.running.Task`; the source is files and folders, none for the built-in digits."""
        return reading.read(source, options.data, saved)

    def problem(self, data: ClassifyData, options: ClassifyOptions) -> ClassifyProblem:
        """The network, and the batches of examples."""
        return ClassifyProblem(Network(data.encoder, options.model), data, options)


TASK = ClassifyTask()


def train(
    paths: Sequence[str | Path],
    output: str | Path,
    options: ClassifyOptions | None = None,
    observers: Sequence[Observer] = (),
    begin_from: str | Path | None = None,
) -> Training[ClassifyData]:
    r"""Train a classifier on files and folders of labelled examples, into a new run folder.

    Args:
        paths: files and folders, as docs/classify.md describes them; none for scikit-learn's digits.
        output: the run folder to make.
        options: of data, model, training and augmentation.
        observers: are told of every step and evaluation.
        begin_from: a run whose best weights, words and classes are those that this one begins with.

    Raises:
        DataError: the data or the output folder cannot be used; the file and the row are named.
        InputError: an option cannot be used.
        NonFiniteError: training left the finite numbers.

    Example:
        >>> import pathlib, tempfile
        >>> from unrolled.tasks import classify
        >>> from unrolled.tasks.classify.options import ClassifyOptions
        >>> training = {"steps": 60, "learning_rate": 0.01}
        >>> options = ClassifyOptions.model_validate({"model": {"hidden_size": 8}, "training": training})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = pathlib.Path(folder, "table.csv")
        ...     _ = table.write_text("text,label\n" + "what a joy,good\nso very dull,bad\n" * 20)
        ...     run = classify.train([table], pathlib.Path(folder, "run"), options)
        ...     classify.load(run.folder).predict(["a joy", "dull"]).labels
        ['good', 'bad']
    """
    return running.train(TASK, list(paths), output, options or ClassifyOptions(), observers, begin_from)


def resume(
    run: str | Path, *, cell: str | None = None, steps: int | None = None, observers: Sequence[Observer] = ()
) -> Training[ClassifyData]:
    """Go on with a run of classification; see :func:`unrolled.tasks.running.resume`."""
    return running.resume(TASK, run, cell=cell, steps=steps, observers=observers)


@dataclass(frozen=True)
class Predictions:
    """What a network takes some examples for.

    Args:
        classes: names, in the order of the columns of ``probabilities``.
        probabilities: (N, C).
        examples: what was classified.
    """

    classes: tuple[str, ...]
    probabilities: NDArray[np.float64]
    examples: Examples

    @property
    def labels(self) -> list[str]:
        """The likeliest class of each example."""
        return [self.classes[best] for best in self.probabilities.argmax(1)]


class ClassifyRun:
    """A trained classifier.

    Args:
        run: the run folder.
        cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.
        weights: ``"best"`` on validation, or ``"last"``.

    Raises:
        CheckpointError: the folder is not a run of classification, or a file in it is damaged.
    """

    def __init__(self, run: str | Path, *, cell: str | None = None, weights: str = "best"):
        trained = running.open_trained(TASK, run, cell=cell, weights=weights)
        self.folder = trained.folder
        self.options = trained.options
        self.encoder = read_encoder(trained.folder)
        self.baselines = read_baselines(trained.folder)
        self.network = Network(self.encoder, trained.options.model)
        trained.give_weights(self.network)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.encoder.classes

    @property
    def label_type(self) -> str:
        """Of labels in memory that the run was trained on: int, float, bool or str."""
        return str(recorded_data(self.folder).get("label_type", "str"))

    def examples(self, source: Any, *, form: str = "auto", labelled: bool = False) -> Examples:
        """Examples to classify: of files and folders, or in memory (a list of texts or arrays, an array).

        Args:
            source: paths (``pathlib.Path``), or data.
            form: of files, as ``--format``.
            labelled: every example must have a label.

        Raises:
            DataError, InputError: they cannot be used, or are not what the run was trained on.
        """
        data = self.options.data.model_copy(update={} if form == "auto" else {"format": form})
        alone = recorded_data(self.folder).get("alone")  # each training example was a file of its own
        if isinstance(source, list) and source and all(isinstance(path, Path) for path in source):
            if form == "auto" and not labelled and any(form_of(path, data) for path in source):
                # what is to be classified may look otherwise; a .txt file has a text on each line, unless it is one
                single = alone and all(form_of(path, data) == "lines" for path in source)
                data = data.model_copy(update={"format": "file" if single else "auto"})
            rate, columns = self.encoder.sample_rate, self.encoder.columns
            found = gather(source, data, part="test", labelled=labelled, sample_rate=rate, columns=columns)
        else:
            found = gather_memory(source, None, data)
        self.encoder.check(found.examples)
        return found.examples

    def log_probabilities(self, examples: Examples) -> Tensor:
        """The log-probabilities (N, C) of examples."""
        reader = Reader(self.encoder, examples, self.options.model.subwords)
        return log_probabilities(self.network, reader, range(len(examples)))

    def predict(self, source: Any, *, form: str = "auto") -> Predictions:
        """The probabilities of each class; arguments as in :meth:`examples`.

        Example:
            ``load("runs/reviews").predict(["a fine film"]).labels``
        """
        examples = source if isinstance(source, Examples) else self.examples(source, form=form)
        return Predictions(self.classes, self.log_probabilities(examples).exp().numpy(), examples)

    def evaluate(self, paths: Sequence[str | Path]) -> Scores:
        """Accuracy and F1 on files and folders of labelled examples, beside those of the baselines.

        Raises:
            DataError: the data cannot be used, or have a class that the training data did not have.
        """
        return self.scores(self.examples([Path(path) for path in paths], labelled=True))

    def scores(self, examples: Examples) -> Scores:
        """As :meth:`evaluate`, of examples with labels."""
        return scores_of(
            Part.all_of(examples, self.classes), self.log_probabilities(examples), self.baselines, self.classes
        )

    def explain(self, examples: Examples, row: int) -> Explanation:
        """Which steps of an example spoke for its predicted class, and which against."""
        reader = Reader(self.encoder, examples, self.options.model.subwords)
        return explained(self.network, reader, examples, row, self.classes)


load = ClassifyRun


def scores_of(part: Part, said: Tensor, baselines: Any, classes: Sequence[str]) -> Scores:
    """A network's figures beside those of the baselines, with the confusion matrix and the F1 of each class.

    Args:
        part: the examples.
        said: log-probabilities (N, C) of its rows.
        baselines: of the run.
        classes: their names.
    """
    predicted = said.argmax(1).numpy()
    counts = confusion(part.targets, predicted.tolist(), len(classes))
    loss = float(torch.nn.functional.nll_loss(said, torch.tensor(part.targets)))
    found = {MODEL: {**figures(counts, classes), "loss": loss}}
    for name, others in baselines.predict(part.examples, part.rows).items():
        found[name] = figures(confusion(part.targets, others.tolist(), len(classes)), classes)
    details = {
        "classes": list(classes),
        "confusion": counts.tolist(),
        "f1": dict(zip(classes, f1_scores(counts).tolist(), strict=True)),
    }
    unit = {"text": "text", "audio": "recording", "series": "sequence"}[part.examples.kind]
    return Scores(found, len(part.rows), unit, details)
