"""A module beside another, which shares all with it but a few attributes."""

from typing import Any


def twin(module: Any, **changed: Any) -> Any:
    """A module of the same class with the same attributes, the very same objects, but for those that are changed.

    It is made for one call; nothing of its constructor is run, and torch.compile can read it.
    """
    made = object.__new__(type(module))
    made.__dict__.update(module.__dict__)
    made.__dict__.update(changed)
    return made
