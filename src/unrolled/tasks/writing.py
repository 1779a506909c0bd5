"""Files that a command writes: whole, or not there."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from ..core import DataError
from ..training.checkpoint import whole_file


@contextmanager
def writing_to(path: Path) -> Iterator[TextIO]:
    """A file that appears when all is written, and not at all if something goes wrong before.

    Raises:
        DataError: the folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(whole_file(path))
        except OSError as error:
            raise DataError(f"{path}: cannot write here ({error.strerror}); choose another --output.") from error
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        yield text
        text.flush()
        text.detach()
