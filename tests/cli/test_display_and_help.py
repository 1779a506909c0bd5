"""What a user sees: on a terminal, in a file, and when asking for help."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from unrolled.tasks.registry import COMMANDS as TASKS
from unrolled.tasks.text.options import DataOptions, ModelOptions, SamplingOptions
from unrolled.training.options import TrainingOptions

SIZES = ["--hidden-size", "6", "--embedding-size", "4", "--window", "7", "--batch-size", "2", "--threads", "1"]
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(folder, *arguments, columns=80, interrupt_after="", environment=None):
    """The exit code and all that a terminal of this width received."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(folder)
        variables = {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1", "COLUMNS": str(columns), "LINES": "24"}
        os.environ.update({**variables, **(environment or {})})
        os.execv(sys.executable, [sys.executable, "-m", "unrolled", *arguments])
    received, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        received += part
        if interrupt_after and interrupt_after.encode() in received:
            os.write(terminal, b"\x03")  # Ctrl-C, as the keyboard sends it
            interrupt_after = ""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return code, received.decode(errors="replace")


def test_the_live_display_stays_in_its_lines_and_ctrl_c_ends_it_well(tmp_path, corpus):
    arguments = ["train", "text", str(corpus), "--steps", "100000", "--evaluate-every", "40", *SIZES, "-o", "run"]
    code, shown = on_a_terminal(tmp_path, *arguments, interrupt_after="step 80:")
    assert code == 130
    assert "unrolled train text --resume run" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back
    assert "Traceback" not in shown
    lines = [ANSI.sub("", line).replace("^C", "") for line in re.split(r"[\r\n]+", shown)]
    bars = [line for line in lines if re.search(r"(training|evaluating) .*/100000 .* left", line)]
    figures = [line for line in lines if re.search(r"^loss \d.* nats .* bits .* val\. .* nats .* bits .* tok/s", line)]
    assert bars
    assert figures
    assert all(len(line.rstrip()) <= 80 for line in bars)
    assert all(len(line.rstrip()) <= 78 for line in figures)
    assert "step 40: validation" in shown


def test_the_live_display_fits_a_narrow_terminal(tmp_path, corpus):
    arguments = ["train", "text", str(corpus), "--steps", "60", "--evaluate-every", "30", *SIZES, "-o", "run"]
    code, shown = on_a_terminal(tmp_path, *arguments, columns=40)
    assert code == 0
    lines = [ANSI.sub("", line) for line in re.split(r"[\r\n]+", shown)]
    live = [line for line in lines if re.search(r"^(training ━|evaluating ━|loss \d)", line)]
    assert live
    assert all(len(line.rstrip()) <= 40 for line in live)


@pytest.mark.slow
def test_no_color_and_a_dumb_terminal(tmp_path, corpus):
    arguments = ["train", "text", str(corpus), "--steps", "4", *SIZES, "-o"]
    code, shown = on_a_terminal(tmp_path, *arguments, "a", environment={"NO_COLOR": "1"})
    assert code == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)
    code, shown = on_a_terminal(tmp_path, *arguments, "b", environment={"TERM": "dumb"})
    assert code == 0
    assert "\x1b" not in shown
    assert "step 4/4  loss" in shown


def test_a_file_receives_plain_lines(command, corpus, tmp_path):
    ended = command("train", "text", corpus, "--steps", 6, "--evaluate-every", 3, *SIZES, "-o", "run")
    assert ended.code == 0
    assert "\x1b" not in ended.out + ended.err
    assert "\r" not in ended.out + ended.err
    assert ended.err.startswith("training from step 0 of 6 in run\n")
    loss = r"[\d.]+ nats [\d.]+ bits"
    assert re.search(rf"step 3/6  loss {loss}  val\. {loss}  grad [\d.]+  \d+k? tok/s  \d+:\d\d left", ended.err)
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    best = min(record["validation_loss"] for record in records if "validation_loss" in record)
    assert f"Best validation loss {best:.4f} nats a token" in ended.out
    assert "of its words occur in the corpus" in ended.out
    assert "Loss plot   run/loss.svg" in ended.out
    assert "unrolled generate run" in ended.out
    assert (tmp_path / "run" / "loss.svg").exists()


def test_what_a_model_writes_cannot_act_on_the_terminal():
    from unrolled.training.progress import printable

    assert printable("a\x1b[2Jb\tc\nd\x07\x9b\u202eé☃") == "a\ufffd[2Jb\tc\nd\ufffd\ufffd\ufffdé☃"


def test_generate_streams_the_prompt_and_what_follows(command, corpus):
    assert command("train", "text", corpus, "--steps", 4, *SIZES, "-o", "run").code == 0
    prompt = corpus.read_text(encoding="utf-8")[:100]  # longer than a window
    first = command("generate", "run", "--prompt", prompt, "--length", 50, "--seed", 4)
    assert first.code == 0, first.err
    assert first.err == ""
    assert first.out.startswith(prompt)
    assert len(first.out) == len(prompt) + 50 + 1
    assert command("generate", "run", "--prompt", prompt, "--length", 50, "--seed", 4).out == first.out
    assert command("generate", "run", "--prompt", prompt, "--length", 50, "--seed", 5).out != first.out
    assert command("generate", "run", "--weights", "last", "--length", 5).code == 0
    figures = json.loads(command("evaluate", "run", corpus, "--json").out)
    shown = command("evaluate", "run", corpus).out
    assert f"bits per character  {figures['bits_per_character']:.4f}" in shown
    assert f"perplexity          {figures['perplexity']:.4f}" in shown


COMMANDS = [[], ["train"], ["train", "text"], ["generate"], ["evaluate"], ["predict"], ["tune"]]
COMMANDS += [[verb, name] for name in TASKS for verb in ("train", "tune")]
COMMANDS += [[task.verb] for task in TASKS.values() if task.verb]


def test_help_does_not_load_torch_and_fits_eighty_columns():
    code = "import io, sys, contextlib\nfrom unrolled.cli import main\n"
    code += f"for words in {COMMANDS!r}:\n    for flag in ('--help', '-h'):\n"
    code += "        assert main([*words, flag]) == 0\n        print('=====')\n"
    code += "assert main(['--version']) == 0\n"
    code += "assert main(['train', 'text', '--layers', '0']) == 2\n"
    heavy = {"torch", "numpy", "matplotlib", "safetensors", "tokenizers", "sklearn", "narwhals", "soundfile"}
    code += f"heavy = {heavy!r} & set(sys.modules)\n"
    code += "assert not heavy, heavy"
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    from unrolled import __version__

    *helps, version = ended.stdout.split("=====\n")
    assert version == f"unrolled {__version__}\n"
    assert all(len(line) <= 80 for line in ended.stdout.splitlines())
    text, generate, evaluate = helps[4], helps[6], helps[8]
    for shown, examples in ((text, 5), (generate, 2), (evaluate, 2)):
        lines = [line.strip() for line in shown.splitlines()]
        found = [line for line in lines if line.startswith("unrolled ")]
        assert len(found) == examples  # each on a line of its own
    groups = [(text, DataOptions), (text, ModelOptions), (text, TrainingOptions), (generate, SamplingOptions)]
    for shown, model in groups:
        words = re.sub(r"[│\s]+", " ", shown)
        for name, field in model.model_fields.items():
            option = f"--{name.replace('_', '-')}"
            assert option in words
            if field.default not in (None, False):
                value = f"{field.default:g}" if isinstance(field.default, float) else field.default
                assert re.search(rf"{option} .*?\[default: {re.escape(str(value))}\]", words), option


def test_completion():
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    show = [sys.executable, "-m", "unrolled", "--show-completion", "bash"]
    script = subprocess.run(show, capture_output=True, text=True, env=environment, check=True).stdout
    assert "complete" in script
    assert "_UNROLLED_COMPLETE=complete_bash" in script

    def completed(*words):
        place = str(len(words) - 1)
        variables = {"_UNROLLED_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": place}
        ended = subprocess.run(
            [sys.executable, "-m", "unrolled"],
            capture_output=True,
            text=True,
            env={**os.environ, **variables},
            check=False,
        )
        return ended.stdout.split()

    assert completed("unrolled", "trai") == ["train"]
    assert "--learning-rate" in completed("unrolled", "train", "text", "--learn")
    assert completed("unrolled", "train", "text", "--tokenizer", "b") == ["bytes", "bpe"]
    assert completed("unrolled", "generate", "run", "--weights", "l") == ["last"]


def test_without_a_home(tmp_path, corpus):
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    ended = subprocess.run(
        [sys.executable, "-m", "unrolled", "train", "text", str(corpus), "--steps", "2", *SIZES, "-o", "run"],
        cwd=tmp_path,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith("training from step 0 of 2 in run\n")
