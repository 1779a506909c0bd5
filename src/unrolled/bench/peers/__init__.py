"""The libraries that a cell is compared with; those that are not installed are named as missing."""

from .installed import MISSING_HINT, Missing, missing_peers, versions

__all__ = ["MISSING_HINT", "Missing", "missing_peers", "versions"]
