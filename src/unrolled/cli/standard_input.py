"""Lines of text from standard input."""

import sys
from collections.abc import Iterator

from ..core import DataError


def lines_of_standard_input() -> Iterator[str]:
    """The lines, with their ends, as they come; at a terminal it says what to do.

    Raises:
        DataError: it is closed, or a line is not UTF-8; the line is named.
    """
    if sys.stdin is None:
        raise DataError("standard input: expected text, but it is closed; name files, or give --text.")
    if sys.stdin.isatty():
        print("Type a sentence and press Enter; Ctrl-D ends.", file=sys.stderr)
    for row, data in enumerate(sys.stdin.buffer, 1):
        try:
            yield data.decode("utf-8-sig" if row == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"standard input:{row}: expected UTF-8 text, got the byte 0x{data[error.start]:02x}; convert it."
            ) from error
