"""Where a command writes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ..tasks.writing import writing_to


@contextmanager
def output_to(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears when all is written, which is said then.

    Raises:
        DataError: the file cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    with writing_to(path) as file:
        yield file
    print(f"Written to  {path}", file=sys.stderr)
