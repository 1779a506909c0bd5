"""Optimizers by name, and the learning rate as a pure function of the step."""

import math

import torch
from torch import nn

from .options import TrainingOptions


def make_optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.Optimizer:
    """The optimizer that the options name, over the parameters that need a gradient."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rate, decay = options.learning_rate, options.weight_decay
    # all of a parameter's update in one pass over memory, where PyTorch has that
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
    if options.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused)
    if options.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=fused)
    if options.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate, weight_decay=decay)
    return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=options.momentum, fused=fused)


def learning_rate(options: TrainingOptions, step: int, steps: int, steps_per_epoch: int) -> float:
    """The learning rate of step 0 ... steps - 1: a linear warm-up, then the schedule."""
    warmup = min(options.warmup_steps, steps // 2)
    if step < warmup:
        return options.learning_rate * (step + 1) / warmup
    if options.schedule == "constant":
        return options.learning_rate
    if options.schedule == "exponential":
        decayed = max(0, step // steps_per_epoch + 1 - options.constant_epochs)  # epochs that began with a decay
        return options.learning_rate * options.decay**decayed
    left = 1 - (step - warmup) / max(1, steps - warmup)
    share = left if options.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left))
    return options.learning_rate * share


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state as named tensors; its options are made again from the run's."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, values in state.items()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` took."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
