"""Print whether steps can be compiled on this machine."""

import shutil
import textwrap

from ..compiler.runtime import cache_folder, clear_cache
from ..compiler.runtime.report import diagnose

WIDTH = 80  # columns at most
LABEL = 15


def clear() -> int:
    """Remove the kernels that are kept."""
    count = clear_cache()
    print(f"{count} kernel{'s' * (count != 1)} removed from {cache_folder()}")
    return 0


def report() -> int:
    """Print all findings; the exit code says whether kernels work."""
    diagnosis = diagnose()
    for line in diagnosis.findings:
        print(_wrapped(line.label, ", ".join(part for part in (line.finding, line.why) if part)))
    if diagnosis.trouble:
        print()
        print(_wrapped("", "Steps cannot be compiled here; backend='auto' runs them by the reference loop."))
        print(_wrapped("", f"Reason: {diagnosis.trouble}"))
        return 1
    print()
    print(_wrapped("", "Steps can be compiled here."))
    return 0


def _wrapped(label: str, text: str) -> str:
    """The text beside its label, in as many lines as the terminal needs."""
    width = min(WIDTH, max(40, shutil.get_terminal_size().columns))
    first, rest = (f"{label:<{LABEL}}", " " * LABEL) if label else ("", "")
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )
