"""A batch of a run's own data with the loss at its last step, to look into the model that was trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import CheckpointError, DataError
from ..training.run_folder import RunFolder
from . import running
from .batches import pad

LONGEST = 1000  # steps of a sequence that are looked at


@dataclass(frozen=True)
class Batch:
    """A model with its weights, and what to call it with."""

    model: nn.Module
    x: Any
    lengths: Tensor | None
    loss: Callable[[Any], Tensor] | None  # of what the model returns; None: nothing is known that is at the last step
    data: str  # what x is, in words
    loss_name: str  # what the loss is


def batch_of_run(
    run: str | Path,
    paths: Sequence[str | Path] | None = None,
    *,
    cell: str | None = None,
    weights: str = "best",
    rows: int = 16,
    steps: int = 100,
) -> Batch:
    """Some of a run's validation data, with its model.

    Args:
        run: the run folder, of any task.
        paths: other data of the same kind; by default those of the run.
        cell: ``path.py:ClassName`` once more, for a run with a cell of one's own.
        weights: ``"best"`` on validation, or ``"last"``.
        rows: at most so many sequences.
        steps: of each, at most, where the data are one long text.

    Raises:
        CheckpointError: the folder is no run, or damaged.
        DataError: the data cannot be used, or are not what they were.
    """
    name = RunFolder(run).config.get("task")
    if name not in _CHOOSE:
        raise CheckpointError(f"{run}: expected a run of {', '.join(_CHOOSE)}, got one of {name!r}.")
    task = import_module(f".{name}.task", __package__).TASK
    trained = running.open_trained(task, run, cell=cell, weights=weights)
    options = trained.options
    try:
        if paths:
            options = options.model_copy(update={"data": options.data.model_copy(update={"validation": None})})
            data = task.read([Path(path) for path in paths], options, trained.folder)
        else:
            data = task.read(None, options, trained.folder)
    except DataError as error:
        if paths:
            raise
        raise DataError(f"{error} To look with other data: --data PATH.") from error
    problem = task.problem(data, options)
    trained.give_weights(problem.model)
    return _CHOOSE[name](problem, rows, steps)


def _of_text(problem: Any, rows: int, steps: int) -> Batch:
    tokens = problem.validation
    steps = min(steps, len(tokens) - 1)
    if steps < 2:
        raise DataError(f"expected a held-out text of at least 3 tokens to look back over, got {len(tokens)}.")
    rows = min(rows, (len(tokens) - 1) // steps)
    begins = torch.from_numpy(_spread(len(tokens) - steps, rows))
    window = tokens[begins + torch.arange(steps + 1).unsqueeze(1)].long()

    def loss(result: Any) -> Tensor:
        return F.cross_entropy(result[0][-1], window[-1], reduction="sum")

    data = f"{rows} windows of {steps} tokens of the held-out text"
    return Batch(problem.model, window[:-1], None, loss, data, "the cross-entropy of the token after the last")


def _of_classify(problem: Any, rows: int, _: int) -> Batch:
    part = problem.data.validation
    places = _spread(len(part.rows), rows)
    x, lengths = problem.validation(np.asarray(part.rows)[places])
    targets = torch.tensor([part.targets[place] for place in places])
    cut = f", the first {LONGEST} steps of each" if len(x) > LONGEST else ""
    x, lengths = x[:LONGEST], lengths.clamp(max=LONGEST)

    def loss(result: Any) -> Tensor:  # (M, B, C), of each member of an ensemble
        return torch.stack([F.cross_entropy(logits, targets, reduction="sum") for logits in result]).sum()

    data = f"{len(places)} held-out sequences{cut}"
    return Batch(problem.model, x, lengths, loss, data, "the cross-entropy of the class")


def _of_tag(problem: Any, rows: int, _: int) -> Batch:
    part = problem.data.validation
    places = _spread(len(part), rows)
    tokens, lengths = pad(part.of(places)[0])
    said = "a fixed projection of the scores of the last token's tags (where a layer runs backwards, of the first's)"
    return Batch(problem.model, problem.words(tokens), lengths, None, f"{len(places)} held-out sentences", said)


def _of_transcribe(problem: Any, rows: int, _: int) -> Batch:
    part = problem.data.validation
    x, lengths, _, _ = problem.batch(part, _spread(len(part), rows))
    cut = f", the first {LONGEST} frames of each" if len(x) > LONGEST else ""
    x, lengths = x[:LONGEST], lengths.clamp(max=LONGEST)
    said = "a fixed projection of the scores of the last step's units (where a layer runs backwards, of the first's)"
    return Batch(problem.model, x, lengths, None, f"{len(lengths)} held-out utterances{cut}", said)


class _Reader(nn.Module):
    """What reads the source, of a model that writes another sequence."""

    def __init__(self, network: Any):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The outputs of the encoder (S, B, M)."""
        memory: Tensor = self.network.encode(x, lengths).memory
        return memory


def _of_translate(problem: Any, rows: int, _: int) -> Batch:
    part = problem.data.validation
    x, lengths = pad(part.of(_spread(len(part), rows))[0])
    cut = f", the first {LONGEST} tokens of each" if len(x) > LONGEST else ""
    x, lengths = x[:LONGEST].long(), lengths.clamp(max=LONGEST)
    said = "a fixed projection of what the encoder gives at the last token (where a layer runs backwards, at the first)"
    return Batch(_Reader(problem.network), x, lengths, None, f"{len(lengths)} held-out sources{cut}", said)


def _of_forecast(problem: Any, rows: int, _: int) -> Batch:
    places = _spread(len(problem.held_out[0]), rows)
    horizon = problem.cutter.preparation.horizon
    cut = problem.cutter.cut(*(part[places] for part in problem.held_out), horizon)
    target = cut.target.nan_to_num()  # where a series has ended

    def loss(result: Any) -> Tensor:
        losses: Tensor = problem.output.loss(*result, target, cut.scale.float())
        return losses[-1].sum()

    context = problem.cutter.preparation.context
    data = f"{len(places)} held-out windows, {context} steps of history and {horizon} ahead"
    return Batch(problem.model, cut.window, None, loss, data, "that of the last step ahead")


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many of ``count`` places, spread evenly."""
    return np.linspace(0, count - 1, min(most, count)).astype(np.int64)


_CHOOSE: dict[Any, Callable[[Any, int, int], Batch]] = {
    "text": _of_text,
    "classify": _of_classify,
    "tag": _of_tag,
    "transcribe": _of_transcribe,
    "translate": _of_translate,
    "forecast": _of_forecast,
}
