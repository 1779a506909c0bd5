"""Real processes of the command line."""

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SERVER = Path(__file__).with_name("fork_server.py")


@dataclass
class Process:
    """A running command line."""

    server: subprocess.Popen
    pid: int
    out: Path
    err: Path

    def send(self, number: int) -> None:
        os.kill(self.pid, number)  # not yet waited for, so the number is still this process's

    def wait(self) -> "Ended":
        code = _ask(self.server, {"wait": self.pid})
        return Ended(code, self.out.read_text(errors="replace"), self.err.read_text(errors="replace"))


@dataclass
class Ended:
    code: int  # negative: the signal
    out: str
    err: str


def _ask(server, question):
    server.stdin.write(json.dumps(question) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


@pytest.fixture(scope="session")
def fork_server():
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    yield server
    server.stdin.close()
    server.wait()
    server.stdout.close()


@pytest.fixture
def start(fork_server, tmp_path):
    """A function that starts a command line in ``tmp_path``."""
    count = 0
    started = []

    def call(*arguments, before="", largest_file=0, **environment):
        nonlocal count
        count += 1
        logs = tmp_path / ".logs"
        logs.mkdir(exist_ok=True)
        (logs / f"{count}.out").touch()  # it may be killed before it makes them itself
        (logs / f"{count}.err").touch()
        job = {
            "arguments": [str(argument) for argument in arguments],
            "folder": str(tmp_path),
            "environment": environment,
            "out": str(logs / f"{count}.out"),
            "err": str(logs / f"{count}.err"),
            "before": before,
            "largest_file": largest_file,
        }
        pid = _ask(fork_server, {"start": job})
        process = Process(fork_server, pid, logs / f"{count}.out", logs / f"{count}.err")
        started.append(process)
        return process

    return call


@pytest.fixture
def command(start):
    """A function that runs a command line in ``tmp_path`` to its end."""
    return lambda *arguments, **options: start(*arguments, **options).wait()


@pytest.fixture
def corpus(tmp_path):
    """A small text in ``tmp_path``."""
    chance = random.Random(1)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "one", "dog", "ran", "far", "from", "home", "über", "☃"]
    lines = [" ".join(chance.choice(words) for _ in range(8)) for _ in range(90)]
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def main(tmp_path, monkeypatch, capsys):
    """A function that runs a command line in this process, in ``tmp_path``: (exit code, stdout, stderr)."""
    from unrolled.cli import main as run

    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def refused(main, tmp_path):
    """A function that requires a command line to fail as it should, with nothing left behind; it returns its line."""

    def everything():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if not path.is_dir()}

    def call(code, *arguments):
        before = everything()
        found, out, err = main(*arguments)
        assert err.startswith("unrolled: "), err
        assert err.endswith("\n"), err
        assert err.count("\n") == 1, err
        assert "Traceback" not in out + err
        assert "unexpected" not in err
        assert len(err) < 700
        assert found == code, err
        assert everything() == before
        return err.removesuffix("\n")

    return call
