"""The text task's command line with words, epochs and a file for validation."""

import json
import random
import re
import signal
import time

import pytest
import torch

from unrolled.training.checkpoint import load_checkpoint

WORDS = ["--tokenizer", "words", "--hidden-size", 12, "--embedding-size", 6, "--window", 5, "--batch-size", 3]
ZAREMBA = ["--optimizer", "sgd", "--momentum", 0, "--weight-decay", 0, "--learning-rate", 20, "--warmup-steps", 0]
ZAREMBA += ["--gradient-clipping", 0.25, "--initialization", "uniform", "--initialization-range", 0.1]
ZAREMBA += ["--schedule", "exponential", "--constant-epochs", 1, "--decay", 0.5, "--epochs", 4, "--threads", 1]


@pytest.fixture
def validation(tmp_path, corpus):
    path = tmp_path / "valid.txt"
    lines = corpus.read_text(encoding="utf-8").splitlines()[:9]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_train_generate_evaluate(main, corpus, validation):
    code, out, err = main("train", "text", corpus, "--validation", validation, *WORDS, *ZAREMBA, "-o", "run")
    assert code == 0, err
    assert re.search(r"Best validation loss [\d.]+ nats a token, perplexity [\d.]+ a word, at step \d+ of \d+\.", out)
    assert re.search(r"Training read [\d,]+ tokens a second\.", out)
    code, out, err = main("evaluate", "run", validation)
    assert code == 0, err
    assert re.search(r"perplexity +[\d.]+ a word\nwords +81, line ends among them\nunknown words +0\n", out)
    assert "bits" not in out
    code, out, err = main("evaluate", "run", validation, "--json")
    assert json.loads(out).keys() == {"loss", "perplexity", "words", "unknown"}
    code, out, err = main("generate", "run", "--prompt", "the unheard", "--length", 60, "--seed", 1)
    assert code == 0, err
    assert out.startswith("the unheard")
    assert len(out) == len("the unheard") + 60 + 1


def test_the_rates_are_those_of_the_schedule(main, corpus, validation, tmp_path):
    assert main("train", "text", corpus, "--validation", validation, *WORDS, *ZAREMBA, "-o", "run")[0] == 0
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    rates = [record["learning_rate"] for record in records if "loss" in record]
    epoch = len(rates) // 4
    assert rates == [20.0] * epoch + [10.0] * epoch + [5.0] * epoch + [2.5] * epoch
    assert [r["step"] for r in records if "perplexity" in r and "loss" not in r] == [epoch * n for n in range(1, 5)]


def test_stopped_anywhere_it_goes_on_bit_for_bit(tmp_path, corpus, validation, start, command):
    arguments = ["train", "text", corpus, "--validation", validation, *WORDS, *ZAREMBA, "--dropout", 0.2]
    assert command(*arguments, "-o", "whole").code == 0
    chance, last = random.Random(5), [*arguments, "-o", "run"]
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        process = start(*last)
        while not (tmp_path / "run" / "config.json").exists():
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.1))
        process.send(number)
        process.wait()
        last = ["train", "text", "--resume", "run"]
    ended = command(*last)
    assert ended.code == 0, ended.err
    for name in ("last", "model"):
        found, expected = (load_checkpoint(tmp_path / run / f"{name}.safetensors") for run in ("run", "whole"))
        assert found.info == expected.info
        assert found.tensors.keys() == expected.tensors.keys()
        assert all(torch.equal(found.tensors[key], tensor) for key, tensor in expected.tensors.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--epochs 2 --steps 3", "--steps, --epochs: expected one of the two, got both"),
        ("--epochs 2 --minutes 3", "--minutes, --epochs: expected one of the two, got both"),
        ("--epochs 0", "--epochs: expected a value greater than or equal to 1, got 0"),
        ("--decay 0", "--decay: expected a value greater than 0, got 0"),
        ("--decay 1.5", "--decay: expected a value less than or equal to 1, got 1.5"),
        ("--constant-epochs -1", "--constant-epochs: expected"),
        ("--initialization xavier", "--initialization: expected a value 'default' or 'uniform', got 'xavier'"),
        ("--initialization-range 0", "--initialization-range: expected a value greater than 0, got 0"),
        ("--validation corpus.txt --validation-share 0.1", "--validation, --validation-share: expected one of the two"),
    ],
)
def test_wrong_options(options, message, main, corpus, tmp_path):
    code, _, err = main("train", "text", corpus, *options.split(), "-o", "run")
    assert code == 2
    assert message in err
    assert not (tmp_path / "run").exists()


def test_a_validation_file_that_is_missing_or_has_changed_is_named(main, corpus, validation, tmp_path):
    code, _, err = main("train", "text", corpus, "--validation", "nowhere.txt", "--steps", 2, *WORDS, "-o", "run")
    assert (code, err) == (1, f"unrolled: {tmp_path / 'nowhere.txt'}: there is no such file or folder.\n")
    arguments = ["train", "text", corpus, "--validation", "valid.txt", "--steps", 2, *WORDS, "-o", "run"]
    assert main(*arguments)[0] == 0
    validation.write_text("the cat\n" * 9, encoding="utf-8")
    code, _, err = main("train", "text", "--resume", "run", "--steps", 4)
    assert code == 1
    assert f"but the validation text {validation} has changed since" in err
