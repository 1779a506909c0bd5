"""A checkpoint is whole or refused; a run folder is what it says."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from unrolled.core import CheckpointError, DataError
from unrolled.training import checkpoint as checkpoints
from unrolled.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, write_atomically
from unrolled.training.run_folder import RunFolder


@pytest.fixture
def saved(tmp_path):
    tensors = {
        "weights": torch.randn(5, 7),
        "turned": torch.randn(4, 6).t(),
        "step": torch.tensor(3.0),
        "none": torch.empty(0, 3),
        "flags": torch.tensor([True, False]),
        "half": torch.randn(3).bfloat16(),
        "complex": torch.randn(3, dtype=torch.complex64),
        "bytes": torch.arange(5, dtype=torch.uint8),
    }
    info = {"step": 3, "text": '\\"sha256\\": \\" é', "best": None, "nested": {"a": [1.5, 2**70]}}
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, Checkpoint(tensors, info))
    return path, tensors, info


def test_what_is_saved_is_what_is_loaded(saved):
    path, tensors, info = saved
    loaded = load_checkpoint(path)
    assert loaded.info == info
    assert loaded.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name], tensor)
        assert loaded.tensors[name].data_ptr() % 64 == 0 or not tensor.numel()  # aligned as PyTorch's own
        loaded.tensors[name].zero_()  # memory of its own, that may be written


def test_any_safetensors_reader_reads_it(saved):
    import safetensors.torch

    path, tensors, _ = saved
    assert torch.equal(safetensors.torch.load_file(path)["turned"], tensors["turned"])


def test_every_flipped_bit_is_found(saved):
    path, _, _ = saved
    data = path.read_bytes()
    chance = random.Random(0)
    header = 8 + int.from_bytes(data[:8], "little")
    places = {*range(16), *range(header - 8, header + 8), len(data) - 1}
    places |= {data.index(b"sha256") + offset for offset in range(-4, 90)}
    places |= {chance.randrange(len(data)) for _ in range(300)}
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(CheckpointError, match=r"last\.safetensors: .*restore the file"):
            load_checkpoint(path)


def test_every_cut_or_lengthened_end_is_found(saved):
    path, _, _ = saved
    data = path.read_bytes()
    for length in [0, 1, 7, 8, 9, 60, 100, 200, *range(300, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"last\.safetensors: "):
            load_checkpoint(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(CheckpointError, match=r"last\.safetensors: "):
        load_checkpoint(path)


def test_other_files_are_refused(tmp_path):
    import safetensors.torch

    path = tmp_path / "last.safetensors"
    with pytest.raises(CheckpointError, match=r"last\.safetensors: cannot read"):
        load_checkpoint(path)
    path.mkdir()
    with pytest.raises(CheckpointError, match=r"last\.safetensors: cannot read"):
        load_checkpoint(path)
    path.rmdir()
    safetensors.torch.save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=r"last\.safetensors: not a complete checkpoint"):
        load_checkpoint(path)


def test_a_newer_format_is_refused(saved, monkeypatch):
    path, tensors, info = saved
    monkeypatch.setattr(checkpoints, "FORMAT", 2)
    save_checkpoint(path, Checkpoint(tensors, info))
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"last\.safetensors: made by a newer version \(format 2, .*upgrade"):
        load_checkpoint(path)


def test_numbers_that_json_lacks_are_not_written(saved):
    path, tensors, _ = saved
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        save_checkpoint(path, Checkpoint(tensors, {"loss": float("nan")}))
    assert path.read_bytes() == before


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(call, saved, monkeypatch):
    path, _, info = saved
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.os, call, fail)
    with pytest.raises(OSError, match=r"No space left on device: .*last\.safetensors"):
        save_checkpoint(path, Checkpoint({}, info))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_written_file_has_the_usual_permissions(tmp_path):
    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", "text")
        made = RunFolder.create(tmp_path / "run", {})
    finally:
        os.umask(mask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert made.path.stat().st_mode & 0o777 == 0o750


SAVE_IN_A_LOOP = """
import sys, torch
from pathlib import Path
from unrolled.training.checkpoint import Checkpoint, save_checkpoint
path, count = Path(sys.argv[1]), 0
import os
print("ready", flush=True)
for line in sys.stdin:
    if not os.fork():
        while True:
            count += 1
            save_checkpoint(path, Checkpoint({"a": torch.full((30_000,), float(count))}, {"count": count}))
            if count == 1:
                os.write(1, b"%d\\n" % os.getpid())
    os.wait()
    os.write(1, b"gone\\n")
"""


def test_killed_at_any_moment_the_newest_checkpoint_loads(tmp_path):
    path = tmp_path / "last.safetensors"
    chance = random.Random(5)
    process = subprocess.Popen(
        [sys.executable, "-c", SAVE_IN_A_LOOP, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        cut = 0
        for _ in range(60):
            process.stdin.write("go\n")
            process.stdin.flush()
            saving = int(process.stdout.readline())
            time.sleep(chance.uniform(0, 0.02))
            os.kill(saving, signal.SIGKILL)
            assert process.stdout.readline() == "gone\n"
            loaded = load_checkpoint(path)
            assert (loaded.tensors["a"] == loaded.info["count"]).all()
            left = list(tmp_path.glob(".*.partial"))
            cut += bool(left)
            for file in left:
                file.unlink()
        process.stdin.close()
    assert cut >= 5  # it was often killed in the middle of a save


CONFIG = {"task": "text", "options": {"training": {"steps": 3}}}


def test_a_run_folder_is_made_in_one_move(tmp_path):
    folder = RunFolder.create(tmp_path / "a" / "run", CONFIG, {"notes.txt": "é"})
    assert sorted(os.listdir(folder.path)) == ["config.json", "notes.txt"]
    assert os.listdir(folder.path.parent) == ["run"]
    hashes = folder.config.pop("sha256_of_files")
    assert hashes == {"notes.txt": hashlib.sha256("é".encode()).hexdigest()}
    assert folder.config == {"format": 1, **CONFIG}
    assert folder.read_text("notes.txt") == "é"


def test_a_text_file_that_has_changed_is_refused(tmp_path):
    made = RunFolder.create(tmp_path / "run", CONFIG, {"notes.txt": "é"})
    assert made.read_checked("notes.txt") == "é"
    (made.path / "notes.txt").write_text("e")
    with pytest.raises(CheckpointError, match=r"notes.txt: damaged \(its hash is not that in config.json\)"):
        made.read_checked("notes.txt")


def test_an_empty_folder_becomes_the_run_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty", CONFIG)


@pytest.mark.parametrize("what", ["a full folder", "a file", "a dangling link", "a parent that is a file", "/proc"])
def test_a_folder_that_cannot_be_made(what, tmp_path):
    path = tmp_path / "run"
    if what == "a full folder":
        path.mkdir()
        (path / "mine").touch()
    elif what == "a file":
        path.touch()
    elif what == "a dangling link":
        path.symlink_to(tmp_path / "nowhere")
    elif what == "a parent that is a file":
        path.touch()
        path = path / "run"
    else:
        path = type(path)("/proc/run")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"run: .*choose another --output"):
        RunFolder.create(path, CONFIG)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 2}', r"run: made by a newer version \(format 2, this one reads 1\); upgrade unrolled"),
        ("{}", r"config\.json: not the config of a run"),
        ("[]", r"config\.json: not the config of a run"),
        ('{"format": "1"}', r"config\.json: not the config of a run"),
        ("{", r"config\.json: cannot be read .*restore the file"),
        ("", r"config\.json: cannot be read .*restore the file"),
        (b"\xff\xfe", r"config\.json: cannot be read .*restore the file"),
    ],
)
def test_a_config_that_is_damaged(text, message, tmp_path):
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    (folder.path / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CheckpointError, match=message):
        RunFolder(folder.path)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(CheckpointError, match="not a run folder, it holds no config"):
        RunFolder(tmp_path)
    with pytest.raises(CheckpointError, match="expected a run folder, found no folder"):
        RunFolder(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="expected a run folder, found no folder"):
        RunFolder(tmp_path / "file")


def test_metrics_are_rewound_and_a_cut_last_line_is_left_out(tmp_path):
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    for step in range(1, 6):
        folder.log({"step": step, "loss": 1 / step})
    with folder.metrics.open("a") as file:
        file.write('{"step": 6, "lo')
    folder.rewind_metrics(3)
    assert [record["step"] for record in folder.read_metrics()] == [1, 2, 3]
    folder.log({"step": 4})
    assert [json.loads(line)["step"] for line in folder.metrics.read_text().splitlines()] == [1, 2, 3, 4]


@pytest.mark.parametrize("line", [b"nonsense", b"5", b"[]", b'{"loss": 1}', b'{"step": "x"}', b"\xff"])
def test_metrics_that_are_damaged_are_named(line, tmp_path):
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    folder.metrics.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: line 2 is not a record"):
        folder.rewind_metrics(1)


def test_a_lock_keeps_others_out_and_clears_away_what_was_cut_short(tmp_path):
    folder = RunFolder.create(tmp_path / "run", CONFIG)
    (folder.path / ".last.safetensors.abc.partial").touch()
    (folder.path / "mine.partial").touch()
    with folder.locked():
        assert sorted(os.listdir(folder.path)) == [".lock", "config.json", "mine.partial"]
        (folder.path / ".last.safetensors.abc.partial").touch()  # of the process that holds the lock
        with pytest.raises(CheckpointError, match="another process is training"), RunFolder(folder.path).locked():
            raise AssertionError
        assert (folder.path / ".last.safetensors.abc.partial").exists()
    with folder.locked():
        pass


def test_what_is_no_file_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a device or a pipe cannot be replaced"):
        write_atomically(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"
