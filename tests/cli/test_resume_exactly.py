"""A run that is stopped anywhere, however it is stopped, and goes on, is the run that was never stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from unrolled.training.checkpoint import load_checkpoint

SMALL = ["--hidden-size", "12", "--embedding-size", "6", "--window", "9", "--batch-size", "3", "--threads", "1"]

OWN_CELL = '''
import os, random, signal
import numpy, torch
from unrolled import Cell

open(os.environ["MARKER"], "a").write("imported ")
calls = 0

class Noisy(Cell):
    """Draws from every generator there is, in training only; has a learnable start and a buffer."""
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.inner = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.begin = torch.nn.Parameter(torch.full((hidden_size,), 0.1))
        self.register_buffer("seen", torch.zeros(()))
    def initial_state(self, batch_size):
        return self.begin.expand(batch_size, -1), torch.zeros(batch_size, 2, dtype=torch.complex64)
    def step(self, x, state):
        global calls
        calls += 1
        if calls == int(os.environ.get("STOP_AT", -1)):
            os.kill(os.getpid(), int(os.environ["STOP_WITH"]))
        h, turning = state
        h = torch.tanh(self.inner(torch.cat([x, h], -1)))
        turning = 1j * turning + torch.view_as_complex(h[:, :4].reshape(-1, 2, 2))
        if self.training:
            self.seen += 1
            h = h + 0.01 * (torch.randn_like(h) + float(numpy.random.randn()) + random.gauss(0, 1))
        return torch.cat([h, turning.real], -1), (h, turning)
'''

VARIANTS = {
    "adamw": "--dropout 0.3 --layers 2 --optimizer adamw",
    "adam-bpe": "--dropout 0.3 --layers 2 --optimizer adam --tokenizer bpe --vocabulary-size 260 --cell gru",
    "rmsprop-bytes": "--optimizer rmsprop --tokenizer bytes --cell elman --learning-rate 0.001 --residual",
    "sgd": "--optimizer sgd --momentum 0.8 --schedule linear --cell jordan --dropout 0.2",
    "own": "--dropout 0.2 --layers 2 --cell own.py:Noisy",
}


def state_of(folder):
    """Everything that must agree: every bit of both checkpoints, and the figures but for speeds."""
    found = {}
    for name in ("model", "last"):
        checkpoint = load_checkpoint(folder / f"{name}.safetensors")
        found |= {f"{name}.{key}": tensor for key, tensor in checkpoint.tensors.items()}
        found[f"{name} info"] = checkpoint.info
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found["metrics"] = [{k: v for k, v in r.items() if k != "tokens_per_second"} for r in records]
    return found


def differing_bits(a, b):
    x, y = (t.contiguous().reshape(-1).view(torch.uint8) for t in (a, b))
    return sum((int(m) ^ int(n)).bit_count() for m, n in zip(x, y, strict=True)) if not torch.equal(x, y) else 0


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert found[name].dtype == value.dtype
            assert differing_bits(found[name], value) == 0, name
        else:
            assert found[name] == value, name


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN_CELL)
    return {"MARKER": str(tmp_path / "marker")}


@pytest.fixture(params=VARIANTS)
def variant(request, tmp_path, corpus, command, own):
    """Arguments of a run, how to go on with it, and what it gives when it is never stopped."""
    words = [*VARIANTS[request.param].split(), *SMALL, "--steps", 40, "--evaluate-every", 9, "--seed", 3]
    words += ["--save-every", 0.01]
    again = ["--cell", "own.py:Noisy"] if request.param == "own" else []
    whole = command("train", "text", corpus, *words, "-o", "whole", **own)
    assert whole.code == 0, whole.err
    return words, again, state_of(tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_random_moments(variant, tmp_path, corpus, start, command, own, request):
    words, again, expected = variant
    chance = random.Random(request.node.name)
    kills = 0
    arguments = ["train", "text", corpus, *words, "-o", "run"]
    for attempt in range(40):
        number = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
        process = start(*arguments, **own)
        while not (tmp_path / "run" / "config.json").exists():
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.25 if attempt % 2 else 0.1))
        process.send(number)
        ended = process.wait()
        kills += ended.code != 0
        arguments = ["train", "text", "--resume", "run", *again]
        if ended.code == 0:
            break
        assert ended.code in (-number, 130), ended.err
    final = command(*arguments, **own)
    assert final.code == 0, final.err
    assert_same(state_of(tmp_path / "run"), expected)
    assert kills >= 1
    assert not list((tmp_path / "run").glob(".*.partial"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_stopped_in_the_middle_of_a_window_or_an_evaluation(number, tmp_path, corpus, command, own):
    words = ["--cell", "own.py:Noisy", "--steps", "12", "--evaluate-every", "5", "--save-every", "0.000001"]
    whole = command("train", "text", corpus, *words, *SMALL, "-o", "whole", **own)
    assert whole.code == 0, whole.err
    for call in (30, 100, 200, 390):  # in the first window, in later ones, in evaluations
        run = f"run {call}"
        stopping = {**own, "STOP_AT": str(call), "STOP_WITH": str(int(number))}
        ended = command("train", "text", corpus, *words, *SMALL, "-o", run, **stopping)
        if number == signal.SIGKILL:
            assert ended.code == -number
        else:
            assert ended.code == 130
            assert "Traceback" not in ended.err
            assert f"--resume '{run}' --cell own.py:Noisy" in ended.out  # as it can be pasted
        final = command("train", "text", "--resume", run, "--cell", "own.py:Noisy", **own)
        assert final.code == 0, final.err
        assert_same(state_of(tmp_path / run), state_of(tmp_path / "whole"))


KILL_WHILE_SAVING = """
import os
move, seen = os.replace, 0
def replace(source, target):
    global seen
    seen += str(target).endswith({name!r})
    now = str(target).endswith({name!r}) and seen == {times}
    if now and {place!r} == "cut":
        os.truncate(source, os.path.getsize(source) // 2)
    if now and {place!r} != "after the move":
        os.kill(os.getpid(), 9)
    move(source, target)
    if now:
        os.kill(os.getpid(), 9)
os.replace = replace
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["last.safetensors", "model.safetensors", "metrics.jsonl"])
def test_killed_while_saving(name, tmp_path, corpus, command):
    words = ["--steps", "12", "--evaluate-every", "4", "--save-every", "0.000001", "--dropout", "0.3", *SMALL]
    assert command("train", "text", corpus, *words, "-o", "whole").code == 0
    for run, place in enumerate(["before the move", "after the move", "cut"]):
        for times in (1,) if name == "metrics.jsonl" else (1, 3):
            folder = tmp_path / f"run{run}-{times}"
            before = KILL_WHILE_SAVING.format(name=name, times=times, place=place)
            ended = command("train", "text", corpus, *words, "-o", folder, before=before)
            assert ended.code == -9
            assert bool(list(folder.glob(".*.partial"))) == (place != "after the move")
            final = command("train", "text", "--resume", folder)
            assert final.code == 0, final.err
            assert_same(state_of(folder), state_of(tmp_path / "whole"))
            assert not list(folder.glob(".*.partial"))  # what the killed process left is cleaned up


@pytest.mark.slow
def test_a_real_command_line_saves_at_ctrl_c_and_goes_on(tmp_path, corpus, command):
    """Once with nothing forked or prepared: the installed command itself."""
    words = ["--steps", "300", "--evaluate-every", "100", *SMALL]
    whole = command("train", "text", corpus, *words, "-o", "whole")
    assert whole.code == 0, whole.err
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-m", "unrolled", "train", "text"]
    process = subprocess.Popen(
        [*run, str(corpus), *words, "-o", "run"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    while not (metrics.exists() and len(metrics.read_text().splitlines()) > 20):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert "unrolled train text --resume run" in out
    step = load_checkpoint(tmp_path / "run" / "last.safetensors").info["step"]
    assert 20 < step < 300
    subprocess.run([*run, "--resume", "run"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert_same(state_of(tmp_path / "run"), state_of(tmp_path / "whole"))


def test_interrupted_before_there_is_anything_to_save(tmp_path, corpus, command):
    before = "import os, unrolled.tasks.text.task as task\ntask.read_corpus = lambda paths: os.kill(os.getpid(), 2)"
    ended = command("train", "text", corpus, "-o", "run", before=before)
    assert ended.code == 130
    assert ended.err.strip() == "unrolled: interrupted."
    assert not (tmp_path / "run").exists()


def test_resuming_a_finished_run_changes_nothing(tmp_path, corpus, command):
    assert command("train", "text", corpus, "--steps", 6, *SMALL, "-o", "run").code == 0
    before, files = state_of(tmp_path / "run"), sorted(os.listdir(tmp_path / "run"))
    again = command("train", "text", "--resume", "run")
    assert again.code == 0, again.err
    assert "Best validation loss" in again.out
    assert_same(state_of(tmp_path / "run"), before)
    assert sorted(os.listdir(tmp_path / "run")) == files


def test_resuming_with_more_steps_goes_on_as_if_so_many_had_been_asked_for(tmp_path, corpus, command):
    """With a constant learning rate the longer run is the same as one that was so long from the start."""
    words = ["--schedule", "constant", "--warmup-steps", 2, "--evaluate-every", 4, "--dropout", 0.3, *SMALL]
    assert command("train", "text", corpus, "--steps", 20, *words, "-o", "whole").code == 0
    assert command("train", "text", corpus, "--steps", 8, *words, "-o", "run").code == 0
    longer = command("train", "text", "--resume", "run", "--steps", 20)
    assert longer.code == 0, longer.err
    assert_same(state_of(tmp_path / "run"), state_of(tmp_path / "whole"))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["options"]["training"]["steps"] == 20


@pytest.mark.parametrize("steps", [5, 3])
def test_resuming_with_steps_that_are_done_is_refused_and_changes_nothing(steps, tmp_path, corpus, command):
    words = ["--evaluate-every", 100, *SMALL]
    before = "import unrolled.training.loop as loop\nstep = loop._step\n"
    before += "def stop(run, *rest):\n    import os\n    run.step == 4 and os.kill(os.getpid(), 2)\n"
    before += "    return step(run, *rest)\nloop._step = stop"
    assert command("train", "text", corpus, "--steps", 20, *words, "-o", "run", before=before).code == 130
    config = (tmp_path / "run" / "config.json").read_bytes()
    ended = command("train", "text", "--resume", "run", "--steps", steps)
    assert ended.code == 2
    assert ended.err == f"unrolled: --steps: expected more than the 5 steps that are done already, got {steps}.\n"
    assert (tmp_path / "run" / "config.json").read_bytes() == config


def test_a_second_process_in_the_same_folder_is_refused_and_changes_nothing(tmp_path, corpus, start, command):
    first = start("train", "text", corpus, "--steps", 100000, *SMALL, "-o", "run")
    while not (tmp_path / "run" / "metrics.jsonl").exists():
        time.sleep(0.01)
    config = (tmp_path / "run" / "config.json").read_bytes()
    second = command("train", "text", "--resume", "run", "--steps", 7)
    assert second.code == 1
    assert second.err == ("unrolled: run: another process is training in this folder; wait for its end, or stop it.\n")
    assert (tmp_path / "run" / "config.json").read_bytes() == config
    first.send(signal.SIGKILL)
    assert first.wait().code == -9
    third = start("train", "text", "--resume", "run")  # the lock has gone with the process
    while "training from step" not in third.err.read_text():
        time.sleep(0.01)
    third.send(signal.SIGINT)
    assert third.wait().code == 130


def test_a_changed_corpus_is_refused(tmp_path, corpus, command):
    assert command("train", "text", corpus, "--steps", 2, *SMALL, "-o", "run").code == 0
    corpus.write_text(corpus.read_text(encoding="utf-8").replace("cat", "rat", 1), encoding="utf-8")
    ended = command("train", "text", "--resume", "run", "--steps", 4)
    assert ended.code == 1
    assert "has changed since" in ended.err
    assert str(corpus) in ended.err
    corpus.unlink()
    ended = command("train", "text", "--resume", "run", "--steps", 4)
    assert ended.code == 1
    assert ended.err == f"unrolled: {corpus}: there is no such file or folder.\n"


def test_a_cell_in_a_run_folder_is_not_run_unless_it_is_named(tmp_path, corpus, command, own):
    words = ["--cell", "own.py:Noisy", "--steps", 2, *SMALL]
    assert command("train", "text", corpus, *words, "-o", "run", **own).code == 0
    (tmp_path / "marker").unlink()
    for arguments in (["train", "text", "--resume", "run"], ["generate", "run"], ["evaluate", "run", corpus]):
        ended = command(*arguments, **own)
        assert ended.code == 2
        assert ended.err.count("\n") == 1
        assert "own.py:Noisy" in ended.err
        assert not (tmp_path / "marker").exists(), "the file was run although nobody asked for it"
    named = command("generate", "run", "--cell", "own.py:Noisy", "--length", 5, "--seed", 1, **own)
    assert named.code == 0, named.err
    assert (tmp_path / "marker").exists()


def test_the_same_seed_writes_the_same_text_with_a_cell_that_draws_by_itself(tmp_path, corpus, command, own):
    (tmp_path / "own.py").write_text(OWN_CELL.replace("if self.training:", "if True:"))
    words = ["--cell", "own.py:Noisy", "--steps", 2, *SMALL]
    assert command("train", "text", corpus, *words, "-o", "run", **own).code == 0
    generate = ["generate", "run", "--cell", "own.py:Noisy", "--length", 200, "--temperature", 2, "--seed"]
    first, second, other = (command(*generate, seed, **own).out for seed in (5, 5, 6))
    assert first == second != other


def test_minutes_are_turned_once_into_steps(tmp_path, corpus, command):
    """A run by time, and one by the number that it recorded, end with the same bits."""
    words = ["--dropout", 0.3, "--seed", 9, *SMALL]
    timed = command("train", "text", corpus, "--minutes", 0.01, *words, "-o", "timed")
    assert timed.code == 0, timed.err
    options = json.loads((tmp_path / "timed" / "config.json").read_text())["options"]["training"]
    assert options["minutes"] == 0.01
    assert command("train", "text", corpus, "--steps", options["steps"], *words, "-o", "counted").code == 0
    assert json.loads((tmp_path / "counted" / "config.json").read_text())["options"]["training"]["minutes"] is None
    assert_same(state_of(tmp_path / "counted"), state_of(tmp_path / "timed"))


def test_threads_are_recorded_and_restored(tmp_path, corpus, command):
    words = [word for word in SMALL if word != "--threads"][:-1]
    say = "import atexit, torch, os\nold = torch.set_num_threads\n"
    say += "torch.set_num_threads = lambda n: (open('threads', 'a').write(f'{n} '), old(n))"
    assert command("train", "text", corpus, "--steps", 2, "--threads", 2, *words, "-o", "run").code == 0
    assert command("train", "text", "--resume", "run", "--steps", 3, before=say).code == 0
    assert (tmp_path / "threads").read_text().split() == ["2"]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["options"]["training"]["threads"] == 2
    assert command("train", "text", corpus, "--steps", 2, *words, "-o", "by default").code == 0
    recorded = json.loads((tmp_path / "by default" / "config.json").read_text())["options"]["training"]
    assert recorded["threads"] == 1  # what PyTorch chose in this process
