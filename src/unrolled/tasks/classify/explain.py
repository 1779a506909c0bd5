"""Which steps mattered: gradient times input of the predicted class, summed over the features of each step."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .examples import Examples
from .network import Network
from .reader import Reader


@dataclass(frozen=True)
class Explanation:
    """What each step of an example contributed to the score of its predicted class.

    To first order: how much less the logit would be, without the step's (embedded, standardised) input.

    Args:
        label: the predicted class.
        probability: of it.
        weights: of each step (T,); above 0 it spoke for the class, below 0 against.
        features: of each feature of each step (T, F), of numeric sequences and recordings.
        words: of text.
    """

    label: str
    probability: float
    weights: Tensor
    features: Tensor | None
    words: tuple[str, ...] = ()


def explained(network: Network, reader: Reader, examples: Examples, row: int, classes: Sequence[str]) -> Explanation:
    """Explain what a network says of an example.

    Args:
        network: in evaluation mode.
        reader: of the examples.
        examples: they.
        row: which.
        classes: names.

    Reference:
        Gradient times input: Shrikumar et al. 2017, arXiv:1605.01713.
    """
    x, lengths = reader([row])
    read = [features.detach().requires_grad_() for features in network.read(x)]
    with torch.enable_grad():
        logits = network.judge(read, lengths)[:, 0]
        probabilities = logits.detach().softmax(1).mean(0)
        best = int(probabilities.argmax())
        gradients = torch.autograd.grad(logits.mean(0)[best], read)
    products = sum(gradient * made.detach() for gradient, made in zip(gradients, read, strict=True))
    assert isinstance(products, Tensor)
    weights = products[:, 0].sum(1)
    words = tuple(next(examples.texts([row]))) if examples.kind == "text" else ()
    return Explanation(
        classes[best], float(probabilities[best]), weights, None if words else products[:, 0].clone(), words
    )
