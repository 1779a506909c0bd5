"""A disk that is full, an output that cannot be written: one line, nothing half-written, and on it goes."""

import json
import os
import signal
import subprocess
import sys

import pytest

from unrolled.training.checkpoint import load_checkpoint

SMALL = ["--hidden-size", "40", "--embedding-size", "6", "--window", "9", "--batch-size", "3", "--threads", "1"]
FULL = "; free some space, nothing was left half-written.\n"


def test_a_checkpoint_that_does_not_fit_leaves_the_old_one(tmp_path, corpus, command):
    words = ["--steps", 12, "--evaluate-every", 4, *SMALL]
    assert command("train", "text", corpus, *words, "-o", "whole").code == 0
    # grow the limit step by step, so that first the run folder, then this and then that file does not fit
    reached = []
    settings = (tmp_path / "whole" / "config.json").stat().st_size
    for limit in (settings // 2, settings + 100, 40_000, 100_000):
        folder = tmp_path / f"run{limit}"
        ended = command("train", "text", corpus, *words, "-o", folder, largest_file=limit)
        assert ended.code == 1, (limit, ended.err)
        last = ended.err.splitlines()[-1]
        assert last.startswith(f"unrolled: {folder}")
        assert "File too large" in last
        assert "Traceback" not in ended.err
        reached.append(last.split(":")[1].strip().removeprefix(str(folder)))
        assert not list(tmp_path.glob(f".{folder.name}*"))
        if not folder.exists():
            continue
        assert not list(folder.glob(".*.partial"))
        for checkpoint in folder.glob("*.safetensors"):
            load_checkpoint(checkpoint)
        resumed = command("train", "text", "--resume", folder)
        assert resumed.code == 0, resumed.err
        for name in ("model", "last"):
            found, expected = (load_checkpoint(f / f"{name}.safetensors").tensors for f in (folder, tmp_path / "whole"))
            assert all(found[key].equal(tensor) for key, tensor in expected.items())
    assert reached == ["", "/last.safetensors", "/last.safetensors", "/last.safetensors"]


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 600 KB; where none may be mounted, the limit of a file's size above has to do."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        assert os.getuid() or b"permission denied" in mounted.stderr.lower(), mounted.stderr
    yield disk if not mounted.returncode else None
    if not mounted.returncode:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(tmp_path, corpus, command, tiny_disk):
    if tiny_disk is None:
        folder, full = tmp_path / "run", {"largest_file": 30_000}
    else:
        folder, full = tiny_disk / "run", {}
        (tiny_disk / "ballast").write_bytes(bytes(500_000))
    words = ["--steps", 12, "--evaluate-every", 4, *SMALL]
    ended = command("train", "text", corpus, *words, "-o", folder, **full)
    assert ended.code == 1
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"unrolled: {folder}/")
    assert ended.err.endswith(FULL)
    assert not list(folder.glob(".*.partial"))
    if tiny_disk is not None:
        (tiny_disk / "ballast").unlink()
    resumed = command("train", "text", "--resume", folder)
    assert resumed.code == 0, resumed.err


@pytest.mark.parametrize("arguments", [["generate", "run", "--length", "5"], ["evaluate", "run", "corpus.txt"]])
def test_standard_output_on_a_full_disk(arguments, tmp_path, corpus, command):
    assert command("train", "text", corpus, "--steps", 2, *SMALL, "-o", "run").code == 0
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "unrolled", *arguments],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == "unrolled: No space left on device" + FULL


@pytest.mark.slow
def test_closed_streams(tmp_path, corpus, command):
    """No standard input, output or error: the work is done all the same."""
    assert command("train", "text", corpus, "--steps", 2, *SMALL, "-o", "run").code == 0
    line = f"{sys.executable} -m unrolled"
    calls = {
        "generate run --length 5 >&- <&-": 0,
        "evaluate run corpus.txt --json 2>&- <&-": 0,
        "train text --resume run --steps 3 >&- 2>&- <&-": 0,
    }
    script = "".join(f"{line} {call}; echo $? >> codes\n" for call in calls)
    script += f"{line} generate run --length 100000000 --seed 1 | head -c 10 > ten; echo ${{PIPESTATUS[0]}} >> codes\n"
    ended = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (tmp_path / "codes").read_text().split() == [*map(str, calls.values()), str(128 + signal.SIGPIPE)]
    assert ended.stderr == ""
    assert json.loads(ended.stdout)["characters"] > 100
    assert (tmp_path / "ten").stat().st_size == 10
