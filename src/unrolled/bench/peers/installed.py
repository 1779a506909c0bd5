"""Which peers there are on this machine, without importing them."""

import importlib
import importlib.metadata
import importlib.util
import warnings
from typing import Any

from ...core import UnrolledError

NEEDED = {"onnxruntime": ("onnxruntime", "onnx"), "jax": ("jax",)}  # peer: its packages
MISSING_HINT = "pip install 'unrolled[bench]'"
LIBRARIES = ("unrolled", "torch", "numpy", "onnxruntime", "onnx", "jax", "jaxlib")


class Missing(UnrolledError, ImportError):
    """A peer cannot be imported."""


def imported(name: str) -> Any:
    """A package of a peer. Its own warnings on import, about its own dependencies, are not the user's affair.

    Raises:
        Missing: it is not installed, or does not load.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except Exception as error:
        raise Missing(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


def missing_peers() -> dict[str, str]:
    """Of each peer that is not installed, the packages that it lacks."""
    lacks = {peer: [name for name in names if not _is_there(name)] for peer, names in NEEDED.items()}
    return {peer: ", ".join(names) for peer, names in lacks.items() if names}


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # sys.modules[name] is None, as tests set it
        return False


def versions() -> dict[str, str | None]:
    """Versions of everything that is measured; None: not installed."""
    return {name: _version(name) for name in LIBRARIES}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
