"""The figures of a run for TensorBoard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core import InputError
from .problem import Observer


class TensorBoard(Observer):
    """Writes every figure to a folder that ``tensorboard --logdir`` shows.

    Raises:
        InputError: TensorBoard is not installed.
    """

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "--tensorboard: expected TensorBoard to be installed; pip install 'unrolled[tensorboard]'."
            ) from error
        self._make: Callable[..., SummaryWriter] = SummaryWriter
        self.writer: Any = None

    def started(self, step: int, steps: int, folder: Path) -> None:
        """Open the folder; what a resumed run does again replaces what it did."""
        self.writer = self._make(str(folder / "tensorboard"), purge_step=step + 1)

    def _write(self, record: dict[str, Any]) -> None:
        for name, value in record.items():
            if name != "step":
                self.writer.add_scalar(name, value, record["step"])

    def stepped(self, record: dict[str, Any]) -> None:
        """Loss, gradient norm, learning rate, speed."""
        self._write(record)

    def evaluated(self, record: dict[str, Any], sample: str | None) -> None:
        """Validation figures, and the sample as text."""
        self._write({name: value for name, value in record.items() if name != "tokens_per_second"})  # a step's has it
        if sample is not None:
            self.writer.add_text("sample", sample, record["step"])

    def stopped(self) -> None:
        """Flush and close."""
        if self.writer is not None:
            self.writer.close()
