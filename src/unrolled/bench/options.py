"""What can be asked for: groups of rows, shapes, threads, time. No torch here: the command line reads it first."""

from dataclasses import dataclass, replace

GROUPS = {
    "lstm": "LSTM against torch.nn, onnxruntime and jax",
    "gru": "GRU against torch.nn and onnxruntime",
    "rnn": "the plain tanh network against torch.nn and onnxruntime",
    "layernorm": "layer-norm LSTM against a Python loop",
    "invented": "three cells that nobody tuned for, against a Python loop",
    "cell": "the cell of --cell against a Python loop",
    "cells": "every cell of the library: size, and training against its Python loop and our LSTM",
    "step": "one step of an LSTM, batch 1, against torch.nn.LSTMCell",
    "share": "an LSTM's share of the processor's measured peak",
    "bf16": "LSTM in bfloat16 against our own float32, training",
    "memory": "peak memory of a training step; checkpoint_every",
    "linear": "time against the length and the batch size",
}

BY_DEFAULT = tuple(name for name in GROUPS if name != "cells")  # which takes minutes by itself


@dataclass(frozen=True)
class Shape:
    """T steps, B rows, and H features of both the input and the state."""

    T: int
    B: int
    H: int

    def __str__(self) -> str:
        return f"{self.T}x{self.B}x{self.H}"


FULL = (
    *(Shape(100, *sizes) for sizes in ((1, 64), (1, 256), (8, 128), (16, 128))),
    *(Shape(100, *sizes) for sizes in ((32, 256), (64, 256), (64, 512), (32, 1024))),
    *(Shape(35, *sizes) for sizes in ((20, 200), (128, 200))),
)
QUICK = (Shape(100, 1, 64), Shape(100, 16, 128), Shape(100, 64, 256))
STEP_SIZES, QUICK_STEP_SIZES = (64, 128, 256, 512), (64, 256)
CELLS_SHAPE = Shape(100, 16, 128)
SHARE = Shape(100, 64, 512)
BF16 = (Shape(100, 64, 512), Shape(100, 32, 1024))
MEMORY = Shape(100, 64, 512)
LONG = Shape(10_000, 8, 128)  # for checkpoint_every
LENGTHS = tuple(Shape(T, 4, 16) for T in (1_000, 10_000, 100_000))
BATCHES = tuple(Shape(50, B, 64) for B in (16, 64, 256, 1024))
SECONDS, QUICK_SECONDS = 0.7, 0.4


@dataclass(frozen=True)
class Options:
    """What to measure, and for how long.

    Args:
        groups: names of :data:`GROUPS`.
        shapes: for the groups that are measured at many; the others have sizes of their own. "cells" takes the
            shapes that were asked for, in place of the lists ``FULL`` and ``QUICK`` the one of its own.
        threads: of every library; None: as many as PyTorch takes by itself.
        seconds: of timed runs for each comparison, however many runs that are (three rounds at least).
        quick: the smaller sizes of the groups that have sizes of their own.
    """

    groups: tuple[str, ...] = BY_DEFAULT
    shapes: tuple[Shape, ...] = FULL
    threads: int | None = None
    seconds: float = SECONDS
    quick: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.groups if name not in GROUPS]
        if unknown or not self.groups:
            raise ValueError(f"groups: expected some of {', '.join(GROUPS)}, got {unknown[0] if unknown else 'none'}.")
        if not self.shapes:
            raise ValueError("shapes: expected at least one, got none.")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads: expected at least 1, got {self.threads}.")
        if not self.seconds >= 0:
            raise ValueError(f"seconds: expected 0 or more, got {self.seconds}.")

    @property
    def cells_shapes(self) -> tuple[Shape, ...]:
        """For the group of every cell, whose number is enough without a list of shapes."""
        return (CELLS_SHAPE,) if self.shapes in (FULL, QUICK) else self.shapes


def quick() -> Options:
    """A minute or less: fewer and smaller shapes, fewer runs."""
    return replace(Options(), shapes=QUICK, seconds=QUICK_SECONDS, quick=True)


def parse_shape(text: str) -> Shape:
    """``100x16x128`` as T, B and H.

    Raises:
        ValueError: it is not three whole numbers of at least 1.
    """
    sizes = text.lower().split("x")
    if len(sizes) != 3 or not all(size.isascii() and size.isdigit() and int(size) for size in sizes):
        raise ValueError(f"expected TxBxH, such as 100x16x128, three whole numbers of at least 1, got {text!r}.")
    return Shape(*map(int, sizes))


def parse_groups(text: str) -> tuple[str, ...]:
    """``lstm,gru`` as names of groups, each once.

    Raises:
        ValueError: there is no group of that name.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names or ("",):
        if name not in GROUPS:
            raise ValueError(f"expected some of {', '.join(GROUPS)}, with commas between, got {name or text!r}.")
    return names
