"""What is known of the machine."""

import os
import platform
from pathlib import Path
from typing import Any

from ..compiler.runtime import instruction_set
from .threads import usable_cores


def machine() -> dict[str, Any]:
    """Processor, instructions, cores, system."""
    return {
        "processor": _processor(),
        "instructions": instruction_set(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Its name, as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]
