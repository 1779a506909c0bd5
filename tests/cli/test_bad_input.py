"""Whatever is wrong: one line that says what was expected, the right exit code, no traceback, nothing left."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

SMALL = [
    "--steps",
    "2",
    "--hidden-size",
    "6",
    "--embedding-size",
    "4",
    "--window",
    "7",
    "--batch-size",
    "2",
    "--threads",
    "1",
]


ROSES = "a rose is a rose is a rose, she said\n" * 20


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(ROSES)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run for all, since each test copies it."""
    from unrolled.cli import main

    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(ROSES)
    assert main(["train", "text", str(folder / "text.txt"), *SMALL, "-o", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def run(trained, text_file, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def refused(main, tmp_path):
    """A function that requires a command line to fail as it should, and returns its one line."""

    def everything():
        return {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.name not in (".lock", "__pycache__")
                and p.suffix != ".pyc" and not p.is_dir()}  # fmt: skip

    def call(code, *arguments):
        before = everything()
        found, out, err = main(*arguments)
        assert err.startswith("unrolled: "), err
        assert err.count("\n") == 1, err
        assert "Traceback" not in out + err
        assert "unexpected" not in err
        assert "please report" not in err
        assert len(err) < 700
        assert found == code, err
        assert everything() == before
        return err

    return call


MAKE = {
    "empty.txt": b"",
    "blank.txt": b" \n\t\n",
    "short.txt": b"short",
    "binary.bin": b"\x7fELF\0\0\0",
    "wide.txt": "wide characters".encode("utf-16"),
    "latin.txt": b"one\ncaf\xe9\n",
}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("empty.txt", "expected text, got none"),
        ("blank.txt", "expected text, got none"),
        ("short.txt", "tokens"),
        ("binary.bin", "binary.bin: expected text, got a binary file"),
        ("wide.txt", "wide.txt: expected text, got a binary file"),
        ("latin.txt", r"latin.txt: expected UTF-8 text, got the byte 0xe9 at byte 7 \(line 2\)"),
        ("nothing.txt", "nothing.txt: there is no such file or folder"),
        ("empty", "empty: expected text, got none"),
        ("binaries", "binaries: expected text, got none: all 1 files in it are binary"),
        ("/dev/null", "expected a file or a folder, got something else"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_corpus_that_cannot_be_used(path, message, refused, tmp_path):
    for name, data in MAKE.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "empty").mkdir()
    (tmp_path / "binaries").mkdir()
    (tmp_path / "binaries" / "a").write_bytes(b"\0")
    assert re.search(message, refused(1, "train", "text", path, *SMALL, "-o", "run"))


def test_a_file_that_may_not_be_read(text_file, tmp_path):
    """As a user who is not root: root may read everything."""
    text_file.chmod(0)
    tmp_path.chmod(0o755)
    code = "import os\nfrom unrolled.tasks.text.corpus import read_corpus\nfrom unrolled.core import DataError\n"
    code += "os.getuid() or os.setuid(65534)\ntry: read_corpus(['text.txt'])\nexcept DataError as e: print(e)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == "text.txt: cannot read this file (Permission denied).\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--layers two", "--layers.*integer"),
        ("--layers 0", "--layers: expected a value greater than or equal to 1, got 0"),
        ("--hidden-size -3", "--hidden-size: expected a value greater than or equal to 1, got -3"),
        ("--hidden-size 999999999999999999999999999", "--hidden-size: expected a value less than or equal to"),
        ("--window 0", "--window: expected"),
        ("--batch-size 0", "--batch-size: expected"),
        ("--dropout 1", "--dropout: expected a value less than 1, got 1"),
        ("--dropout nan", "--dropout: expected a finite number, got nan"),
        ("--learning-rate inf", "--learning-rate: expected a finite number, got inf"),
        ("--learning-rate 1e39", "--learning-rate: expected"),
        ("--minutes 0", "--minutes: expected a value greater than 0, got 0"),
        ("--minutes nan", "--minutes: expected a finite number"),
        ("--validation-share 1", "--validation-share: expected"),
        ("--threads 100000", "--threads: expected"),
        ("--seed -1", "--seed: expected"),
        ("--vocabulary-size 2", "--vocabulary-size: expected"),
        ("--tokenizer bpe --vocabulary-size 256", "--vocabulary-size: expected 257 to 65536 with bpe.*got 256"),
        ("--tokenizer letters", "--tokenizer: expected .*'characters', 'bytes', 'bpe' or 'words', got 'letters'"),
        ("--optimizer newton", "--optimizer: expected .*'sgd', got 'newton'"),
        ("--schedule step", "--schedule: expected .*got 'step'"),
        ("--cell perceptron", "--cell: expected one of .*elman, .*got 'perceptron'"),
        ("--cell cell.txt:Cell", "--cell: expected path.py:ClassName"),
        ("--device cuda:7", "--device: expected a device of this machine, got 'cuda:7'"),
        ("--device toaster", "--device: expected a device of this machine, got 'toaster'"),
        ("--device meta", "--device: expected a device of this machine, got 'meta'"),
        ("--nonsense 3", "No such option.*--nonsense"),
        ("--steps 3 --minutes 1", "--steps, --minutes: expected one of the two, got both"),
    ],
)
def test_wrong_options(options, message, refused, text_file):
    words = options.split()
    rest = [] if words[0] in ("--minutes",) else SMALL[:2]
    assert re.search(message, refused(2, "train", "text", text_file, *rest, *words, "-o", "run"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train poetry", "No such command 'poetry'. See --help."),
        ("rain text", "No such command 'rain'. Did you mean 'train'?"),
        ("generate", "Missing argument 'RUN'. See --help."),
        ("evaluate run", "DATA: expected files or folders to measure the model on, got none"),
        ("generate run --length 0", "--length: expected a value greater than or equal to 1, got 0."),
        ("generate run --temperature -1", "--temperature: expected"),
        ("generate run --top-p 0", "--top-p: expected"),
        ("generate run --top-k -1", "--top-k: expected"),
        ("generate run --repetition-penalty 0", "--repetition-penalty: expected"),
        ("generate run --repetition-penalty 1e300", "--repetition-penalty: expected"),
        ("generate run --weights worst", "--weights: expected best or last, got 'worst'."),
        (
            "train text --resume run --layers 2",
            "--cell and --steps beside it, got --layers",
        ),
        (
            "train text --resume run --output x",
            "--cell and --steps beside it, got --output",
        ),
        (
            "train text text.txt --resume run",
            "--cell and --steps beside it, got text.txt",
        ),
        ("train text --resume run --cell gru", "--cell: expected lstm, with which run was made, got 'gru'."),
        ("train text --resume run --steps 1", "--steps: expected more than the 2 steps that are done already, got 1."),
    ],
)
def test_wrong_usage(arguments, message, refused, run):
    assert message in refused(2, *arguments.split())


def test_a_command_without_a_name_shows_what_there_is(main):
    for arguments in ([], ["train"]):
        code, out, err = main(*arguments)
        assert code == 2
        assert "Usage: unrolled" in out + err


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("text.txt/run", "cannot make this folder"),
        ("full", "full: exists already; choose another --output, or go on with --resume full"),
        ("text.txt", "text.txt: exists already"),
        ("/proc/run", "/proc/run: cannot make this folder"),
        ("y" * 300, "File name too long"),
    ],
)
def test_an_output_that_cannot_be_written(output, message, refused, text_file, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    assert message in refused(1, "train", "text", text_file, *SMALL, "-o", output)


def test_an_output_that_is_taken_is_told_before_the_work(refused, run, text_file, monkeypatch):
    monkeypatch.setattr("unrolled.tasks.running.measure_steps", lambda *_: 1 / 0)
    assert "run: exists already" in refused(1, "train", "text", text_file, "-o", "run")


def test_not_enough_memory(refused, text_file):
    line = refused(1, "train", "text", text_file, *SMALL, "--hidden-size", 1_000_000, "-o", "run")
    assert line == "unrolled: not enough memory; try a smaller --batch-size, --window or --hidden-size.\n"


def test_a_prompt_that_the_model_has_never_seen(refused, run, text_file, main):
    assert "the prompt: expected only characters" in refused(1, "generate", run, "--prompt", "Ä rose")
    assert r"'\udcff'" in refused(1, "generate", run, "--prompt", os.fsdecode(b"\xff"))
    for kind in ("bytes", "bpe"):
        assert main("train", "text", text_file, *SMALL, "--tokenizer", kind, "-o", kind)[0] == 0
        assert "the prompt: expected only characters" in refused(1, "generate", kind, "--prompt", "Ä rose")
        assert r"'\udcff'" in refused(1, "generate", kind, "--prompt", os.fsdecode(b"\xff"))


def test_what_cannot_be_measured(refused, run, tmp_path):
    (tmp_path / "other.txt").write_text("XYZ\n")
    assert "3 that it has never seen: 'X' 'Y' 'Z'" in refused(1, "evaluate", run, "other.txt")
    (tmp_path / "other.txt").write_text("\n")
    assert "expected text, got none" in refused(1, "evaluate", run, "other.txt")
    assert "nothing: there is no such file" in refused(1, "evaluate", run, "nothing")


def edit(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("config.json", lambda p: p.unlink(), "run: not a run folder"),
        ("config.json", lambda p: p.write_text("{"), r"config\.json: cannot be read"),
        ("config.json", lambda p: edit(p, lambda c: c.update(format=9)), "run: made by a newer version .*upgrade"),
        (
            "config.json",
            lambda p: edit(p, lambda c: c.update(task="poetry")),
            "expected a run of text, got .*poetry",
        ),
        ("config.json", lambda p: edit(p, lambda c: c.pop("options")), r"config\.json: damaged"),
        ("config.json", lambda p: edit(p, lambda c: c.update(options=[])), r"config\.json: damaged"),
        ("config.json", lambda p: edit(p, lambda c: c["options"]["model"].update(layers="two")), r"damaged .*layers"),
        ("config.json", lambda p: edit(p, lambda c: c["options"]["model"].update(size=2)), r"damaged .*size"),
        ("config.json", lambda p: edit(p, lambda c: c["options"]["training"].update(steps=None)), "no number of steps"),
        ("config.json", lambda p: edit(p, lambda c: c["options"]["model"].update(hidden_size=7)), "does not fit"),
        ("tokenizer.json", lambda p: p.unlink(), r"tokenizer\.json: cannot be read"),
        ("tokenizer.json", lambda p: p.write_bytes(b"\xff"), r"tokenizer\.json: cannot be read"),
        ("tokenizer.json", lambda p: p.write_text("{}"), r"tokenizer\.json: damaged"),
        ("tokenizer.json", lambda p: p.write_text(p.read_text().replace("ehi", "ehj")), r"tokenizer\.json: damaged"),
        ("model.safetensors", lambda p: p.unlink(), r"--weights last"),
        ("model.safetensors", lambda p: p.write_bytes(p.read_bytes()[:-1]), r"model\.safetensors: damaged"),
        ("model.safetensors", lambda p: p.write_bytes(b"PK\x03\x04 a pickle"), r"model\.safetensors: not a complete"),
    ],
)
def test_a_run_folder_that_is_damaged(name, damage, message, refused, run):
    damage(run / name)
    assert re.search(message, refused(1, "generate", run, "--length", 3))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("config.json", lambda p: edit(p, lambda c: c.pop("corpus")), r"config\.json: damaged"),
        ("config.json", lambda p: edit(p, lambda c: c["corpus"].pop("sha256")), r"config\.json: damaged"),
        ("config.json", lambda p: edit(p, lambda c: c["corpus"].update(paths="text.txt")), r"config\.json: damaged"),
        ("config.json", lambda p: edit(p, lambda c: c["options"]["model"].update(cell="gru")), "does not fit"),
        ("last.safetensors", lambda p: p.write_bytes(p.read_bytes()[:90]), r"last\.safetensors: not a complete"),
        ("last.safetensors", lambda p: p.write_bytes(p.read_bytes()[:-2] + b"xx"), r"last\.safetensors: damaged"),
        ("metrics.jsonl", lambda p: p.write_bytes(b"\xff\n" + p.read_bytes()), r"metrics\.jsonl: line 1"),
    ],
)
def test_a_run_that_cannot_go_on(name, damage, message, main, run):
    damage(run / name)
    before = (run / name).read_bytes()
    code, _, err = main("train", "text", "--resume", run, "--steps", 4)
    assert code == 1
    assert re.search(message, err.splitlines()[-1])
    assert err.count("unrolled: ") == 1
    assert "Traceback" not in err
    assert (run / name).read_bytes() == before


OWN = """\
import torch
from unrolled import Cell
{top}
class Own(Cell):
    def __init__(self, {arguments}):
        super().__init__()
        self.hidden_size = hidden_size
        {make}
    def step(self, x, h):
        {step}
"""
GOOD = {"top": "", "arguments": "input_size, hidden_size", "make": "", "step": "return h + x.sum(), h"}


@pytest.mark.parametrize(
    ("code", "changes", "message"),
    [
        (1, {"top": "class"}, r"own\.py:3: the file does not run: SyntaxError"),
        (1, {"top": "1 / 0"}, r"own\.py:3: the file does not run: ZeroDivisionError"),
        (1, {"top": "import no_such_module"}, r"own\.py:3: the file does not run: ModuleNotFoundError"),
        (1, {"top": "raise SystemExit(0)"}, r"own\.py:3: the file does not run: SystemExit"),
        (
            1,
            {"arguments": "hidden_size"},
            r"Own\(4, 6\) failed: TypeError.*It is called with \(input_size",
        ),
        (1, {"make": "self.a = 1 / 0"}, r"own\.py:8: Own\(4, 6\) failed: ZeroDivisionError"),
        (1, {"step": "raise KeyError('lost')"}, r"own\.py:10: its first step failed: KeyError: 'lost'. A step takes"),
        (1, {"step": "return x @ h, h"}, r"own\.py:10: its first step failed: RuntimeError: mat1 and mat2"),
        (1, {"step": "return None"}, r"own\.py: step: expected it to return \(output, state\), got NoneType"),
        (1, {"step": "return h, h[:, :2]"}, r"own\.py: state returned by step: expected shapes \(1, 6\), got \(1, 2\)"),
        (1, {"step": "return 'h', h"}, r"own\.py: output: expected a tensor or a \(nested\) tuple of tensors, got str"),
        (1, {"step": "return h.sum(), h"}, r"own\.py: step: expected output with B = 1 rows, got shape \(\)"),
        (2, {"step": "return h[:1], h"}, r"step: expected output with B = 2 rows, got shape \(1, 6\)"),
        (1, {"make": "del self.hidden_size"}, r"own\.py: Own: the size of its state is unknown"),
    ],
)
def test_a_cell_of_ones_own_that_is_wrong(code, changes, message, refused, text_file, tmp_path):
    (tmp_path / "own.py").write_text(OWN.format(**{**GOOD, **changes}))
    assert re.search(message, refused(code, "train", "text", text_file, *SMALL, "--cell", "own.py:Own", "-o", "run"))


def test_a_cell_that_is_not_there(refused, text_file, tmp_path):
    (tmp_path / "own.py").write_text(OWN.format(**GOOD) + "\nvalue = 3\ndef nothing(*sizes): pass\n")
    arguments = ["train", "text", text_file, *SMALL, "-o", "run", "--cell"]
    assert "there is no file" in refused(1, *arguments, "missing.py:Own")
    assert "defines no Missing" in refused(1, *arguments, "own.py:Missing")
    assert "expected value to be a class, got int" in refused(1, *arguments, "own.py:value")
    assert "expected a Cell, with step and initial_state, got NoneType" in refused(1, *arguments, "own.py:nothing")


def test_a_cell_that_cannot_be_compiled_is_told_in_one_line(text_file, tmp_path):
    (tmp_path / "own.py").write_text(OWN.format(**{**GOOD, "step": "self.n = getattr(self, 'n', 0) + 1; return h, h"}))
    command = ["train", "text", text_file, *SMALL, "--steps", 2, "--cell", "own.py:Own", "-o", "run"]
    ended = subprocess.run(
        [sys.executable, "-m", "unrolled", *map(str, command)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (line,) = (line for line in ended.stderr.splitlines() if "warning" in line)
    assert line.startswith("unrolled: warning: Not compiled, so run step by step")


def test_a_cell_that_fails_in_the_middle_of_a_run(main, text_file, tmp_path, monkeypatch):
    monkeypatch.setenv("UNROLLED_BACKEND", "reference")  # a step that counts cannot be compiled
    step = "self.n = getattr(self, 'n', 0) + 1; return (h / 1 if self.n < 50 else [][0]), h"
    (tmp_path / "own.py").write_text(OWN.format(**{**GOOD, "step": step}))
    code, _, err = main("train", "text", text_file, *SMALL, "--steps", 20, "--cell", "own.py:Own", "-o", "run")
    assert code == 1
    assert err.splitlines()[-1].startswith(f"unrolled: --cell: {tmp_path / 'own.py'}:10: IndexError: list index")


def test_binary_files_that_are_left_out_are_told(main, text_file, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    text_file.rename(folder / "text.txt")
    (folder / "picture.png").write_bytes(b"\x89PNG\0")
    code, _, err = main("train", "text", folder, *SMALL, "-o", "run")
    assert code == 0
    assert f"Binary files that were left out: 1, such as {folder / 'picture.png'}." in err


def test_debug_shows_the_traceback(main):
    code, _, err = main("generate", "nothing", "--debug")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1] == "unrolled: nothing: expected a run folder, found no folder of this name."


def test_tensorboard_that_is_not_installed(refused, text_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    line = refused(2, "train", "text", text_file, *SMALL, "-o", "run", "--tensorboard")
    assert "pip install 'unrolled[tensorboard]'" in line


def test_without_the_extra_that_the_command_line_needs(tmp_path):
    code = "import sys; sys.modules['typer'] = None; from unrolled.cli import main; sys.exit(main(['--help']))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "unrolled: typer is not installed; pip install 'unrolled[tasks]'.\n"
