"""The state of a run: all that a checkpoint must hold for a run to go on exactly."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core import CheckpointError, NonFiniteError, Tree, leaves, unflatten
from .averaging import AveragedWeights
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .optimizer import optimizer_tensors, restore_optimizer
from .problem import Problem
from .randomness import RandomState
from .run_folder import RunFolder


@dataclass
class RunState:
    """All that changes while training; ``save`` and ``restore`` move it to and from ``last.safetensors``, but for
    the speed, which is that of this process.
    """

    problem: Problem
    optimizer: torch.optim.Optimizer
    carry: Tree
    average: AveragedWeights
    step: int = 0
    waited: int = 0  # evaluations since the best one
    best: dict[str, float] | None = None
    tokens: int = 0
    seconds: float = 0.0

    @property
    def tokens_per_second(self) -> float | None:
        """Mean over the training steps so far, without what is between them; None before the first."""
        return self.tokens / self.seconds if self.seconds else None

    def stale(self, patience: int | None) -> bool:
        """Whether so many evaluations in a row were not the best."""
        return patience is not None and self.waited >= patience

    def save(self, folder: RunFolder) -> None:
        """Write the last checkpoint.

        Raises:
            NonFiniteError: a parameter is NaN or infinite; the file of before stays.
        """
        self._check_parameters()
        random = RandomState.capture()
        groups = {
            "model": dict(self.problem.model.state_dict()),
            "average": self.average.values,
            "optimizer": optimizer_tensors(self.optimizer),
            "carry": {str(i): leaf for i, leaf in enumerate(leaves(self.carry))},
            "random": random.torch,
        }
        tensors = {f"{group}.{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
        info = {"step": self.step, "best": self.best, "waited": self.waited, "random": random.info()}
        save_checkpoint(folder.last, Checkpoint(tensors, info))

    def _check_parameters(self) -> None:
        """A step can leave the finite numbers by itself, with a huge learning rate."""
        for name, parameter in self.problem.model.named_parameters():
            if not torch.isfinite(parameter).all():
                raise NonFiniteError(
                    f"the parameter {name} is not finite after step {self.step}. "
                    "The last checkpoint is from before; try a lower --learning-rate."
                )

    def restore(self, folder: RunFolder) -> None:
        """Put everything back as it was when the last checkpoint was written.

        Raises:
            CheckpointError: the file is damaged, or belongs to another model.
        """
        checkpoint = load_checkpoint(folder.last)
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in checkpoint.tensors.items():
            group, _, key = name.partition(".")
            groups.setdefault(group, {})[key] = tensor
        try:
            self.problem.model.load_state_dict(groups["model"])
            carried = groups.get("carry", {})
            device = next((p.device for p in self.problem.model.parameters()), torch.device("cpu"))
            self.carry = unflatten(self.carry, [carried[str(i)].to(device) for i in range(len(carried))])
            self.average.restore(groups.get("average", {}))
            restore_optimizer(self.optimizer, groups.get("optimizer", {}))
            info = checkpoint.info
            self.step, self.best, self.waited = info["step"], info["best"], info.get("waited", 0)
            RandomState.from_saved(groups["random"], info["random"]).restore()
        except (KeyError, RuntimeError, StopIteration, TypeError, ValueError) as error:
            reason = str(error).rpartition("\n")[2].strip()
            raise CheckpointError(f"{folder.last}: does not fit the model of this run ({reason}).") from error
