"""Where a NaN or an infinity came from: the step is run once more, watched operation by operation."""

import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_TORCH = str(Path(torch.__file__).parent)
_UNINITIALISED = ("empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided")


class _Watch(TorchDispatchMode):
    """Remembers the first operation that made a NaN, or an infinity, out of finite numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, str] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name not in _UNINITIALISED:
            for kind, bad in (("nan", torch.isnan), ("infinity", torch.isinf)):
                if kind not in self.first and _any(bad, result) and not _any(bad, (args, kwargs)):
                    self.first[kind] = f"{name}{_place()}"
        return result


def _any(bad: Callable[[Tensor], Tensor], tree: Any) -> bool:
    tensors = (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and leaf.is_floating_point())
    return any(bool(bad(tensor).any()) for tensor in tensors)


def _place() -> str:
    """Which part of the backward pass, or which line of which file, is running."""
    current = getattr(torch._C, "_current_autograd_node", lambda: None)()
    if current is not None:
        return f" in the backward pass ({current.name()})"
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith((_TORCH, "<")) or frame.f_code.co_filename == __file__
    ):
        frame = frame.f_back
    path, line = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(path, line).strip()
    return f" at {Path(path).name}:{line} in {frame.f_code.co_name}: {code}"


def explain_bad_number(model: nn.Module, run: Callable[[], Tensor]) -> str:
    """Which operation first made a NaN or an infinity when ``run`` makes the loss and it is differentiated."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"the parameter {name} was not finite before the step"
    model.zero_grad(set_to_none=True)
    with _Watch() as watch:
        run().backward()
    model.zero_grad(set_to_none=True)
    found = [f"first {kind} made by {watch.first[kind]}" for kind in ("infinity", "nan") if kind in watch.first]
    return "; ".join(found) or "no single operation made it from finite numbers; the input holds it"
