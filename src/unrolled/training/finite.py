"""Where a NaN or an infinity came from: the step is run once more, watched operation by operation."""

import linecache
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_TORCH = str(Path(torch.__file__).parent)
_BAD = {"infinity": torch.isinf, "nan": torch.isnan}
_UNINITIALISED = ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided")


class _Watch(TorchDispatchMode):
    """Remembers the first operation that made a NaN, or an infinity, out of finite numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, str] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        sought = {} if name in _UNINITIALISED else {k: bad for k, bad in _BAD.items() if k not in self.first}
        # before the operation, which may work in place
        sought = {kind: bad for kind, bad in sought.items() if not _any(bad, (args, kwargs))}
        result = func(*args, **(kwargs or {}))
        for kind, bad in sought.items():
            if _any(bad, result):
                self.first[kind] = f"{name}{_place()}"
        return result


def _any(bad: Callable[[Tensor], Tensor], tree: Any) -> bool:
    tensors = (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and leaf.is_floating_point())
    return any(bool(bad(tensor).any()) for tensor in tensors)


def _place() -> str:
    """Which part of the backward pass, or which line of which file, is running."""
    current = getattr(torch._C, "_current_autograd_node", lambda: None)()
    if current is not None:
        return f" in the backward pass ({current.name()}{_forward_place(current.metadata.get('traceback_', []))})"
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith((_TORCH, "<")) or frame.f_code.co_filename == __file__
    ):
        frame = frame.f_back
    path, line = frame.f_code.co_filename, frame.f_lineno
    return f" at {_shown(path, line, frame.f_code.co_name)}"


def _forward_place(traceback: list[str]) -> str:
    """The line that made a node of the graph, from the traceback that anomaly mode has kept."""
    for entry in reversed(traceback):
        found = re.match(r'\s*File "(.+)", line (\d+), in (\S+)', entry)
        if found and not found[1].startswith((_TORCH, "<")):
            return f" of {_shown(found[1], int(found[2]), found[3])}"
    return ""


def _shown(path: str, line: int, function: str) -> str:
    return f"{Path(path).name}:{line} in {function}: {linecache.getline(path, line).strip()}"


def explain_bad_number(model: nn.Module, run: Callable[[], Tensor]) -> str:
    """Which operation first made a NaN or an infinity when ``run`` makes the loss and it is differentiated."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"the parameter {name} was not finite before the step"
    model.zero_grad(set_to_none=True)
    with torch.autograd.set_detect_anomaly(True, check_nan=False), _Watch() as watch:
        loss = run()
        loss.backward()
    grads = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    again = not all(bool(torch.isfinite(tensor).all()) for tensor in (loss, *grads))
    model.zero_grad(set_to_none=True)
    if not again:
        return "it did not come again when the step was run operation by operation: a random draw or a rounding made it"
    found = [f"first {kind} made by {watch.first[kind]}" for kind in _BAD if kind in watch.first]
    return "; ".join(found) or "no single operation made it from finite numbers; the input holds it"
