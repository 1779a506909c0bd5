"""Learning to predict the next token of a text: windows, loss, and the figures on held-out text."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...core import DataError, Tree
from ...models import LanguageModel
from ...training.problem import Evaluation, Loss
from .options import DataOptions
from .sampling import write
from .split import figures
from .tokenizers import Tokenizer

CONTEXT = 128  # tokens read, not scored, before each piece of a text that is scored in pieces
PIECES = 64  # at most so many pieces side by side
SHORTEST = 512  # tokens of a piece


@dataclass(frozen=True)
class Windows:
    """A text as B streams side by side, read window by window; a pure function of the step.

    In each epoch every stream begins at another offset, so windows are cut in other places.
    """

    tokens: Tensor  # (N,)
    batch_size: int  # B
    window: int  # T
    seed: int

    @classmethod
    def cut(cls, tokens: Tensor, data: DataOptions, seed: int) -> "Windows":
        """With fewer streams than asked for, where the text is short.

        Raises:
            DataError: the text is shorter than one window.
        """
        if len(tokens) <= data.window:
            raise DataError(
                f"the training text has {len(tokens)} tokens, expected more than one window of {data.window}; "
                "give more text, or a smaller --window or --validation-share."
            )
        return cls(tokens, min(data.batch_size, (len(tokens) - 1) // data.window), data.window, seed)

    @property
    def stream(self) -> int:
        """Tokens of one stream."""
        return (len(self.tokens) - 1) // self.batch_size

    @property
    def per_epoch(self) -> int:
        """Windows, and so steps, of an epoch; what is left of a stream lets the offset vary."""
        return max(1, self.stream // self.window - 1)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets, each (T, B), of training step ``step``."""
        epoch, index = divmod(step, self.per_epoch)
        slack = self.stream - self.per_epoch * self.window
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
        offset = int(torch.randint(slack + 1, (), generator=generator))
        begin = offset + index * self.window
        rows = [
            self.tokens[at : at + self.window + 1]
            for at in range(begin, begin + self.batch_size * self.stream, self.stream)
        ]
        window = torch.stack(rows, 1).long()
        return window[:-1], window[1:]


class TextProblem:
    """A language model and the text that it learns from, as the training loop wants it."""

    def __init__(
        self,
        model: LanguageModel,
        windows: Windows,
        validation: Tensor,
        tokens_per_character: float,
        tokenizer: Tokenizer,
    ):
        self.model: nn.Module = model
        self.language_model = model
        self.windows = windows
        self.validation = validation
        self.tokens_per_character = tokens_per_character
        self.tokenizer = tokenizer

    @property
    def steps_per_epoch(self) -> int:
        """Windows of an epoch."""
        return self.windows.per_epoch

    def start(self) -> Tree:
        """The model's initial state for every stream."""
        return self.language_model.initial_state(self.windows.batch_size)

    def loss(self, step: int, carry: Tree) -> Loss:
        """Mean cross-entropy over the window; the state starts anew with each epoch."""
        device = next(self.model.parameters()).device
        inputs, targets = (part.to(device) for part in self.windows(step))
        if step % self.windows.per_epoch == 0:
            carry = self.start()
        value, carry = self.language_model.loss(inputs, targets, carry)
        return Loss(value, carry, targets.numel())

    def figures(self, loss: float) -> dict[str, float]:
        """Bits a character, or the perplexity of a word, from nats a token."""
        return figures(self.tokenizer, loss, self.tokens_per_character)

    def evaluate(self) -> Evaluation:
        """Nats a token of the held-out text."""
        return Evaluation(mean_loss(self.language_model, self.validation))

    def sample(self) -> str:
        """Two hundred characters, always from the same seed."""
        return "".join(write(self.language_model, self.tokenizer, length=200, seed=0))


@torch.no_grad()
def mean_loss(model: LanguageModel, tokens: Tensor, pieces: int = PIECES) -> float:
    """Cross-entropy in nats of each token of a text, but the first, given those before it.

    A long text is scored in pieces side by side; each piece first reads the CONTEXT tokens before it.

    Args:
        model: in evaluation mode.
        tokens: (N,), N at least 2.
        pieces: at most so many; 1 to read the text as one stream.
    """
    device = next(model.parameters()).device
    count = len(tokens) - 1
    pieces = max(1, min(pieces, count // SHORTEST))
    length = math.ceil(count / pieces)
    context = CONTEXT if pieces > 1 else 0
    # place[t, b]: which token piece b reads at its step t; outside the text the step is masked
    place = torch.arange(-context, length)[:, None] + torch.arange(pieces) * length
    valid = (place >= 0) & (place < count)
    scored = (valid & (torch.arange(-context, length)[:, None] >= 0)).to(device)
    place = place.clamp(0, count - 1)
    inputs, targets = tokens[place].long().to(device), tokens[place + 1].long().to(device)
    mask = valid.to(device)
    state = model.initial_state(pieces)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for begin in range(0, len(place), 256):
        part = slice(begin, begin + 256)
        whole = bool(valid[part].all())  # only the first and the last part have masked steps
        losses, state = model.losses(inputs[part], targets[part], state, mask=None if whole else mask[part])
        total += losses.masked_select(scored[part]).double().sum()
    return float(total) / count
