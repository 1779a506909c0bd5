"""Peak memory of one training step, each measured in a process of its own, which nothing else has used."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from ..core import UnrolledError
from .options import Shape


class NotMeasured(UnrolledError, RuntimeError):
    """The process that was to measure has failed."""


def training_bytes(kind: str, shape: Shape, *, every: int | None = None, of_input: bool = True) -> int:
    """Bytes that a training step of an LSTM adds at its peak to the process with the model and its input.

    Args:
        kind: "unrolled" or "torch.nn".
        shape: the sequence.
        every: ``checkpoint_every``.
        of_input: whether the gradients of the input and of the first state are wanted too; not of torch.nn.

    Raises:
        NotMeasured: the process failed.
    """
    wanted = {"kind": kind, "shape": asdict(shape), "every": every, "of_input": of_input}
    wanted["threads"] = torch.get_num_threads()
    source = str(Path(__file__).parents[2])
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "unrolled.bench.memory_child", json.dumps(wanted)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise NotMeasured(f"the process that measures memory failed: {last}")
    return int(json.loads(done.stdout)["bytes"])
