"""What stands around a call: under a transform or a context of PyTorch a kernel would not be what the step is."""

import torch
from torch.autograd import forward_ad

from ..core import Unrolling, UnsupportedStep, leaves


def is_plain_context() -> bool:
    """Whether no context is entered that may have to be refused."""
    return (
        torch._C._functorch.peek_interpreter_stack() is None
        and forward_ad._current_level < 0
        and not torch._C._is_any_autocast_enabled()
    )


def check_context(run: Unrolling, compiled: bool) -> None:
    """Refuse the contexts in which one operation on the whole sequence would not be what the step is."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise UnsupportedStep("torch.func transforms (grad, vmap, jvp): only backend='reference' runs under them.")
    if forward_ad._current_level >= 0:
        raise UnsupportedStep("forward-mode automatic differentiation: only backend='reference' runs under it.")
    device = leaves(run.state)[0].device.type
    if compiled and device != "cpu":
        raise UnsupportedStep(f"kernels run on the CPU; the state is on {device}. Use backend='plan' or 'reference'.")
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
        raise UnsupportedStep("autocast: only backend='reference' runs under it. Use bfloat16 tensors instead.")
