"""The errors that the library raises: one base, each also the built-in that users expect."""


class UnrolledError(Exception):
    """Base of every error that this library raises on purpose."""


class InputError(UnrolledError, ValueError):
    """An argument's value, shape or structure is not what was expected."""


class InputTypeError(UnrolledError, TypeError):
    """An argument is of another type than was expected."""


class UnsupportedStep(UnrolledError, RuntimeError):
    """A backend that was named cannot run this step (only ``"auto"`` falls back)."""


class DataError(UnrolledError, ValueError):
    """A file or folder of data cannot be used as it is."""


class CheckpointError(UnrolledError, RuntimeError):
    """A run folder or a checkpoint is missing, damaged, or made by another version."""


class NonFiniteError(UnrolledError, ArithmeticError):
    """The loss or a gradient became NaN or infinite."""
