"""torch.nn.LSTM, GRU and RNN: the weights' names and the order of the gates are ours."""

import torch
from torch import Tensor, nn

from ..problem import Problem
from ..sides import Named, Side, copied, torch_side

MODULES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def torch_nn(kind: str, problem: Problem, *, training: bool) -> Side:
    """One layer, from the first state of the problem."""
    H = problem.shape.H
    module = MODULES[kind](H, H)
    with torch.no_grad():
        for name, value in problem.weights.items():
            getattr(module, f"{name}_l0").copy_(value)
    module.train(training)
    x = problem.x.detach().clone().requires_grad_(training)
    state = copied({key: value[None] for key, value in problem.state.items()}, training)  # (layers = 1, B, H)
    tree = tuple(state.values()) if len(state) > 1 else next(iter(state.values()))

    def forward() -> tuple[Tensor, Named]:
        outputs, last = module(x, tree)
        tensors = last if isinstance(last, tuple) else (last,)
        return outputs, {key: value[0] for key, value in zip(state, tensors, strict=True)}

    weights = {name.removesuffix("_l0"): value for name, value in module.named_parameters()}
    side = torch_side(
        f"torch.nn.{module.mode[:4].rstrip('_')}" if kind != "rnn" else "torch.nn.RNN",
        forward,
        {"x": x, **state, **weights},
        problem.d_outputs if training else None,
    )

    def named(result: object) -> Named:
        found = side.named(result)
        for key in state:
            if training:
                found[f"gradient of {key}"] = found[f"gradient of {key}"][0]
        return found

    return Side(side.name, side.run, named)
