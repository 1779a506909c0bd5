"""The examples of the tasks, each in a short form; and no example without a test."""

import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
EXAMPLES = TESTS.parent / "examples"


def run(name, *arguments):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_classify():
    printed = run("classify.py", "300")
    assert float(re.search(r"digits +LSTM ([\d.]+)", printed)[1]) > 0.85
    network, counted = map(float, re.search(r"sentences +GRU ([\d.]+), counted words ([\d.]+)", printed).groups())
    assert network > 0.9 > counted


def test_tag():
    printed = run("tag.py", "--steps", "100")
    baseline, network = (
        float(re.search(rf"F1 of spans, {who} +([\d.]+)", printed)[1]) for who in ("baseline", "network")
    )
    assert network > baseline


def test_translate():
    printed = run("translate.py", "--steps", "150")
    assert float(re.search(r"right, network +([\d.]+)", printed)[1]) > 0.5
    assert "█" in printed  # it looks at one word, not at all


def test_forecast():
    printed = run("forecast.py", "--steps", "150")
    mase = {name: float(value) for name, value in re.findall(r"^  (\S.*?) +MASE ([\d.]+)", printed, re.MULTILINE)}
    assert mase["model"] < mase["naive"]
    assert len(re.findall(r"^  \w+ 2024-\d\d-\d\d +[\d.]+  \([\d.]+ to [\d.]+\)$", printed, re.MULTILINE)) == 7


def test_every_example_is_tested():
    here = "".join(path.read_text() for path in [*Path(__file__).parent.glob("*.py"), TESTS / "test_programs.py"])
    assert [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in here] == []
