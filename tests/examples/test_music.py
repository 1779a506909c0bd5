"""The example of music, on made-up chorales and, where they are there, on Bach's."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "music.py"


def run(*arguments):
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


def figures(printed):
    return [float(found) for found in re.findall(r"([\d.]+) nats a step on test", printed)]


@pytest.mark.parametrize("options", [(), ("--cell", "rnn", "--learning-rate", "2e-3")])
def test_made_up_chorales_are_learned(options):
    always, model = figures(run("--epochs", "15", "--hidden-size", "64", *options))
    assert model < always - 1.5


def test_what_was_never_played_counts_as_much_as_it_should(tmp_path):
    """A file of two keys that take turns: they are learned, and 86 silent keys cost almost nothing."""
    roll = np.zeros((400, 88), dtype=np.uint8)
    roll[::2, 40], roll[1::2, 50] = 1, 1
    bits = np.packbits(roll, axis=1)
    lengths = np.full(40, 10, dtype=np.int32)
    file = tmp_path / "turns.npz"
    np.savez(
        file, **{f"{part}{end}": v for part in ("train", "valid", "test") for end, v in (("", bits), ("_len", lengths))}
    )
    always, model = figures(
        run(str(file), "--epochs", "20", "--hidden-size", "16", "--dropout", "0", "--learning-rate", "0.02")
    )
    assert always == pytest.approx(2 * np.log(2) + 86e-4, abs=2e-3)
    assert model < 0.5 * always


@pytest.mark.slow
def test_chorales_of_bach(real_data):
    always, model = figures(run(str(real_data("polymusic/JSB_Chorales.npz")), "--epochs", "12"))
    assert always == pytest.approx(11.09, abs=0.01)
    assert model < 10.2
