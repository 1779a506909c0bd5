"""Searching for options, beginning from a run, and predicting by the general command."""

import json
import re
import signal
import time

import pytest

SMALL = ["--window", 8, "--batch-size", 4, "--embedding-size", 6, "--threads", 1]


def test_a_search_goes_on_in_its_folder(main, corpus, tmp_path):
    fixed = [*SMALL, "--steps", 6, "--hidden-size", 12]
    code, out, err = main("tune", "text", corpus, *fixed, "--trials", 3, "-o", "search")
    assert code == 0, err
    assert re.search(r"3 of 3 trials were finished; the best by validation, the least first:\n +[\d.]+  trial \d", out)
    assert re.search(
        r"Longer +unrolled train text .*--window 8 .*--hidden-size 12 .*--layers \d --dropout [\d.]+ --lear", out
    )
    assert "--hidden-size" not in err  # it was given, so it is not searched
    values = [float(line.split()[0]) for line in out.splitlines() if "  trial " in line]
    assert values == sorted(values)
    configs = [json.loads((tmp_path / "search" / f"trial-{n:03}" / "config.json").read_text()) for n in range(3)]
    assert {config["options"]["model"]["hidden_size"] for config in configs} == {12}
    assert len({config["options"]["training"]["learning_rate"] for config in configs}) == 3
    code, out, err = main("tune", "text", corpus, *fixed, "--trials", 1, "-o", "search")
    assert code == 0, err
    assert re.search(r"\d of 4 trials were finished", out)
    code, _, err = main("tune", "text", corpus, *SMALL, "--steps", 7, "--trials", 1, "-o", "search")
    assert code == 1
    assert "search: holds a search with other options or data; choose another --output." in err


def test_a_search_refuses_what_it_cannot_do(main, corpus, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    code, _, err = main("tune", "text", corpus, *SMALL, "--steps", 2, "-o", "full")
    assert (code, "full: exists already, and is no search" in err) == (1, True)
    every = ["--layers", 1, "--hidden-size", 8, "--dropout", 0, "--learning-rate", 0.01]
    code, _, err = main("tune", "text", corpus, *SMALL, *every, "--steps", 2, "-o", "search")
    assert (code, "expected at least one option to search for" in err) == (2, True)
    code, _, err = main("tune", "text", corpus, "--trials", 0)
    assert code == 2


def test_a_search_is_stopped_by_ctrl_c_and_says_what_it_found(corpus, start, tmp_path):
    process = start("tune", "text", corpus, *SMALL, "--steps", 5000, "--trials", 50, "-o", "search", "--hidden-size", 8)
    while not (tmp_path / "search" / "trial-000" / "last.safetensors").exists():
        time.sleep(0.02)
    process.send(signal.SIGINT)
    ended = process.wait()
    assert ended.code == 130, ended.err
    assert "trial 0: stopped" in ended.err
    assert "No trial was finished, of 1; the same command goes on." in ended.err
    assert not (tmp_path / "search" / "trial-001").exists()


def test_a_search_of_data_that_are_refused_leaves_nothing(main, tmp_path):
    (tmp_path / "bad.csv").write_text("text,label\ngood,\n")
    code, _, err = main("tune", "classify", "bad.csv", "--trials", 1, "--steps", 1, "-o", "search")
    assert (code, "bad.csv:2" in err) == (1, True)
    assert not (tmp_path / "search").exists()


def test_a_run_begins_with_the_weights_and_options_of_another(main, corpus, tmp_path):
    arguments = ["train", "text", corpus, *SMALL, "--hidden-size", 12, "--steps", 40, "-o", "first"]
    assert main(*arguments)[0] == 0
    code, _, err = main(
        "train", "text", corpus, "--from", "first", "--steps", 1, "--learning-rate", 1e-9, "-o", "second"
    )
    assert code == 0, err
    configs = [json.loads((tmp_path / name / "config.json").read_text())["options"] for name in ("first", "second")]
    assert configs[0]["model"] == configs[1]["model"]
    assert (configs[1]["training"]["steps"], configs[1]["training"]["learning_rate"]) == (1, 1e-9)
    losses = [json.loads(main("evaluate", name, corpus, "--json")[1])["loss"] for name in ("first", "second")]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    code, _, err = main("train", "text", corpus, "--from", "first", "--steps", 1, "--hidden-size", 16, "-o", "third")
    assert (code, "expected a run whose model has the same options" in err) == (1, True)
    assert not (tmp_path / "third").exists()
    code, _, err = main("train", "text", "--resume", "first", "--from", "second")
    assert (code, "--resume: expected nothing but --cell and --steps beside it, got --from" in err) == (2, True)


def test_predict_goes_on_from_each_file(main, corpus, tmp_path):
    assert main("train", "text", corpus, *SMALL, "--hidden-size", 12, "--steps", 4, "-o", "run")[0] == 0
    (tmp_path / "prompt.txt").write_text("the cat\n")
    code, out, err = main("predict", "run", "prompt.txt", "--length", 9, "--seed", 1)
    assert code == 0, err
    assert out == main("generate", "run", "--prompt", "the cat", "--length", 9, "--seed", 1)[1]
    code, _, err = main("predict", "nowhere")
    assert (code, "nowhere: expected a run folder" in err) == (1, True)
    code, _, err = main("evaluate", "run")
    assert (code, "DATA: expected files or folders to measure the model on, got none" in err) == (2, True)
