"""What a run folder keeps of a task as JSON: read back, or told to be damaged."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..core import CheckpointError


@contextmanager
def recorded(text: str, name: str, newest: int) -> Iterator[dict[str, Any]]:
    """The object in a text, without its ``"format"``; whatever goes wrong with it in the block is damage.

    Args:
        text: of the file.
        name: of the file, for an error.
        newest: the format that is known.

    Raises:
        CheckpointError: the format is a newer one, or anything was raised in the block.
    """
    try:
        record: dict[str, Any] = json.loads(text)
        if record.pop("format") > newest:
            raise CheckpointError(f"{name}: made by a newer version; upgrade unrolled.")
        yield record
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{name}: damaged ({error}); restore the file from a copy.") from error
