"""torch.compile and our subclasses of torch's recurrent layers, at any instance of which it stops.

It asks ``isinstance(layer, torch.nn.RNNBase)`` when a module comes into its sight, and then for one setting for all
modules. Here that setting holds for the moment in which a module of just these classes comes into its sight.
``torch._dynamo`` is private to PyTorch; where it has changed, torch.compile stops at these modules as at torch's own.
"""

import importlib.util
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_BUILDER = "torch._dynamo.variables.builder"
_ACCEPTED: set[type] = set()


def accept(*classes: type) -> None:
    """Let torch.compile trace modules of these very classes; costs nothing until it is imported.

    Args:
        classes: subclasses of those of torch.nn.RNNBase, with a ``forward`` that can be traced.
    """
    _ACCEPTED.update(classes)
    module = sys.modules.get(_BUILDER)
    if module is not None and hasattr(module, "VariableBuilder"):
        _teach(module)
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _teach(module: ModuleType) -> None:
    """Let the place where torch.compile wraps a module know our classes."""
    with suppress(Exception):  # of whatever kind: it is PyTorch's inside
        builder: Any = module.VariableBuilder
        config: Any = sys.modules["torch._dynamo.config"]
        usual = builder.wrap_module
        if getattr(usual, "accepts", None) is _ACCEPTED or not hasattr(config, "allow_rnn"):
            return

        def wrap_module(self: Any, value: Any) -> Any:
            if type(value) not in _ACCEPTED:
                return usual(self, value)
            with config.patch(allow_rnn=True):
                return usual(self, value)

        wrap_module.accepts = _ACCEPTED  # type: ignore[attr-defined]
        builder.wrap_module = wrap_module


class _Finder:
    """Waits for the import of that place, and is gone after it."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The usual spec of the module, which teaches it once it is there."""
        if name != _BUILDER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader: Any = None if spec is None else spec.loader
        if loader is not None:
            usual = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                usual(module)
                _teach(module)

            with suppress(AttributeError):
                loader.exec_module = exec_module
        return spec
