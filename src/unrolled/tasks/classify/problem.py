"""Learning to tell classes: batches of sequences, the loss, and the figures on the validation data."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ...core import Tree
from ...training.problem import Evaluation, Loss
from ..batches import Batches, by_length
from .adversarial import worst_nearby
from .augment import augmented, without_words
from .data import ClassifyData, Part
from .figures import confusion, figures
from .mixup import Mix
from .network import Network, mean_log_probabilities
from .options import ClassifyOptions
from .reader import Reader
from .show import shown_examples

STEPS_AT_ONCE = 100_000  # time steps of all rows of a batch, padding too, in an evaluation
SHOWN = 6


class ClassifyProblem:
    """A network and the examples that it learns from, as the training loop wants it."""

    def __init__(self, network: Network, data: ClassifyData, options: ClassifyOptions):
        self.model: nn.Module = network
        self.network = network
        self.data = data
        self.options = options
        self.classes = data.encoder.classes
        self.training = Reader(data.encoder, data.training.examples, options.model.subwords)
        same = data.training.examples is data.validation.examples
        self.validation = (
            self.training if same else Reader(data.encoder, data.validation.examples, options.model.subwords)
        )
        self.rows = np.asarray(data.training.rows)
        self.targets = torch.tensor(data.training.targets)
        self.batches = Batches(self.training.lengths[self.rows], options.data.batch_size, options.training.seed)
        self.said: Tensor | None = None  # log-probabilities of the last evaluation

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self.batches.per_epoch

    def start(self) -> Tree:
        """No state is carried from batch to batch."""
        return ()

    def loss(self, step: int, carry: Tree) -> Loss:
        """Mean cross-entropy over a batch, the sum over the members of an ensemble."""
        chosen = self.batches(step)
        x, lengths = self.training(self.rows[chosen])
        if self.training.table is None:
            x, lengths = augmented(x, lengths, self.options.augment)
        elif self.options.augment.word_dropout:
            assert self.data.encoder.vocabulary is not None
            x = without_words(x, self.options.augment.word_dropout, self.data.encoder.vocabulary.unknown)
        device = next(self.network.parameters()).device
        targets, lengths = self.targets[chosen].to(device), lengths.to(device)
        read = self.network.read(x.to(device))
        size = self.options.augment.adversarial
        if size and not self.network.embeddings:
            read = [features.detach().requires_grad_() for features in read]
        alpha = self.options.augment.mixup
        value = self._loss(read, lengths, targets, Mix.draw(alpha, len(targets)) if alpha else None)
        if size:
            value = 0.5 * (value + self._loss(worst_nearby(read, value, lengths, size), lengths, targets))
        return Loss(value, carry, int(lengths.sum()))

    def _loss(self, read: list[Tensor], lengths: Tensor, targets: Tensor, mix: Mix | None = None) -> Tensor:
        smoothing = self.options.training.label_smoothing
        value = torch.zeros((), device=targets.device)
        for logits in self.network.judge(read, lengths, mix):
            if mix is None:
                value = value + F.cross_entropy(logits, targets, label_smoothing=smoothing)
            else:
                value = value + mix.cross_entropy(logits, targets, smoothing)
        return value

    def figures(self, loss: float) -> dict[str, float]:
        """None but the loss itself."""
        return {}

    def evaluate(self) -> Evaluation:
        """Loss, accuracy and F1 on the validation data; the best weights are those of the highest accuracy."""
        part = self.data.validation
        self.said = log_probabilities(self.network, self.validation, part.rows)
        return evaluation(self.said, part, self.classes)

    def sample(self) -> str | None:
        """Some validation examples, what they are, and what the network takes them for."""
        if self.said is None:
            return None
        part = self.data.validation
        places = np.linspace(0, len(part.rows) - 1, min(SHOWN, len(part.rows))).astype(int).tolist()
        return shown_examples(part, places, self.said, self.classes)


def evaluation(said: Tensor, part: Part, classes: Sequence[str]) -> Evaluation:
    """The figures of log-probabilities (N, C) of a part."""
    targets = torch.tensor(part.targets)
    loss = float(F.nll_loss(said, targets))
    found = figures(confusion(part.targets, said.argmax(1).tolist(), len(classes)), classes)
    return Evaluation(loss, found, -found["accuracy"])


@torch.no_grad()
def log_probabilities(network: Network, reader: Reader, rows: Sequence[int] | NDArray[np.int64]) -> Tensor:
    """The log-probabilities (N, C) in float64 of these rows, in their order; the network is in evaluation mode."""
    device = next(network.parameters()).device
    rows = np.asarray(rows)
    lengths = reader.lengths[rows]
    size = max(1, STEPS_AT_ONCE // max(1, int(lengths.max())))
    found = torch.empty(len(rows), reader.classes, dtype=torch.float64)
    for chosen in by_length(lengths, min(size, 256)):
        x, valid = reader(rows[chosen])
        said = mean_log_probabilities(network(x.to(device), valid.to(device)).double())
        found[torch.from_numpy(chosen)] = said.cpu()
    return found
