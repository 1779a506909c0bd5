"""Every random state that a training step may draw from, saved and put back."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Seed PyTorch, NumPy and Python alike: a cell of one's own may draw from any of them."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@dataclass(frozen=True)
class RandomState:
    """A snapshot of the global random states of PyTorch (on every device in use), NumPy and Python."""

    torch: dict[str, Tensor]
    numpy: Any
    python: Any

    @classmethod
    def capture(cls) -> "RandomState":
        """The states as they are now."""
        states = {"cpu": torch.get_rng_state()}
        if torch.cuda.is_initialized():
            states |= {f"cuda{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
        return cls(states, np.random.get_state(legacy=True), random.getstate())

    def restore(self) -> None:
        """Put the states back."""
        torch.set_rng_state(self.torch["cpu"])
        for name, state in self.torch.items():
            if name.startswith("cuda"):
                torch.cuda.set_rng_state(state, int(name.removeprefix("cuda")))
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def info(self) -> dict[str, Any]:
        """The states of NumPy and Python, as JSON takes them."""
        kind, keys, *rest = self.numpy
        return {"numpy": [kind, keys.tolist(), *rest], "python": self.python}

    @classmethod
    def from_saved(cls, tensors: dict[str, Tensor], info: dict[str, Any]) -> "RandomState":
        """The snapshot whose ``torch`` and ``info()`` these were."""
        kind, keys, *rest = info["numpy"]
        version, internal, gauss = info["python"]
        numpy_state = (kind, np.array(keys, dtype=np.uint32), *rest)
        return cls(tensors, numpy_state, (version, tuple(internal), gauss))
