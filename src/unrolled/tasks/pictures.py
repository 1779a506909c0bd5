"""Pictures that a command writes: their names, what stands in them, and their files, which are whole or absent."""

import io
import warnings
from pathlib import Path
from typing import Any

from ..core import InputError
from ..training.checkpoint import write_atomically

FORMATS = (".svg", ".png", ".pdf")


def check_picture(path: str | Path, option: str = "--plot") -> Path:
    """The path of a picture to write, which stood after an option.

    Raises:
        InputError: its name does not end as a picture's, or its folder is not there.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{option}: expected a name that ends in {', '.join(FORMATS)}, got {str(path)!r}.")
    if not path.parent.is_dir():
        raise InputError(f"{option}: {path}: there is no folder {path.parent}; make it first.")
    return path


def label(name: str, width: int) -> str:
    """A name from the data as it stands in a picture: cut, without control characters, and never a formula."""
    cut = name if len(name) <= width else name[: width - 2] + "..."
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in cut)
    return shown.replace("$", r"\$")


def save_picture(figure: Any, path: Path) -> None:
    """Write a figure of matplotlib, in the format of the file's name; the same figure gives the same bytes."""
    import matplotlib

    stream = io.BytesIO()
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "unrolled"}), warnings.catch_warnings():
        # text stays text in an SVG, drawn with the fonts of whoever looks at it; here they may lack letters
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        ending = path.suffix.lower()
        figure.savefig(stream, format=ending[1:], dpi=150, metadata=undated.get(ending))
    write_atomically(path, stream.getvalue())
