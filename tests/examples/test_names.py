"""The example of names, on its own languages and, where they are there, on real ones."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "names.py"


def run(*arguments):
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


def figure(printed, name):
    return float(re.search(rf"{name}\D*([\d.]+)", printed)[1])


def test_made_up_languages_are_told_apart_and_names_are_invented():
    printed = run("--epochs", "6")
    assert figure(printed, "real names: accuracy") > 0.9 > 0.5 > figure(printed, "always answering")
    assert figure(printed, "invented names: accuracy") > 0.9
    assert figure(printed, "new among the invented") > 0.3
    island = re.search(r"Island: (.*)", printed)[1].split(", ")
    assert all(set(name) <= set("loanitku") for name in island)


def test_a_folder_without_names_is_told(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert "expected files of names, one a language, like Czech.txt" in done.stderr


@pytest.mark.slow
def test_real_names(real_data):
    printed = run(str(real_data("names")), "--epochs", "3")
    assert figure(printed, "real names: accuracy") > 0.72 > figure(printed, "always answering") + 0.1
