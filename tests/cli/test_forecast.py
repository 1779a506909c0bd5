"""Forecasting from the command line: train, resume, begin from a run, measure, forecast, search."""

import csv
import json

import pytest

from unrolled.cli.forecast import _verdict

TINY = ["--steps", "4", "--hidden-size", "4", "--threads", "1", "--batch-size", "8"]


@pytest.fixture
def sales(tmp_path):
    rows = ["date,store,sales"]
    for store, level in (("a", 20), ("b", 50)):
        rows += [f"2024-{1 + day // 28:02}-{1 + day % 28:02},{store},{level + day % 7}" for day in range(28 * 2)]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def run(main, sales, tmp_path):
    code, out, err = main(
        "train", "forecast", sales, "--fill", "linear", "--horizon", "5", "--context", "14", *TINY, "-o", "run"
    )
    assert code == 0, err
    return out


def test_what_training_says(run, tmp_path):
    assert "time date; id store; target sales" in run
    assert "2 series" in run
    assert "by day" in run
    for name in ("model", "seasonal naive", "naive", "linear (ridge)", "MASE", "sMAPE", "CRPS", "coverage 80"):
        assert name in run
    assert "By MASE the model is" in run
    assert "unrolled forecast run --horizon 10 --plot ahead.svg" in run
    assert (tmp_path / "run" / "forecast.svg").read_text().startswith("<?xml")
    assert max(map(len, run.splitlines())) <= 100


def test_a_forecast_on_the_terminal_and_in_files(main, run, tmp_path):
    code, out, err = main(
        "forecast", "run", "--horizon", "8", "--levels", "50,90", "--plot", "ahead.svg", "--output", "ahead.csv"
    )
    assert code == 0, err
    assert "2024-02-29" in out
    assert "50 % from" in out
    assert "5 steps were learnt; what is beyond them goes on from there" in err
    rows = list(csv.DictReader((tmp_path / "ahead.csv").read_text().splitlines()))
    assert len(rows) == 16
    assert list(rows[0]) == ["id", "time", "mean", "median", "lower_50", "upper_50", "lower_90", "upper_90"]
    assert rows[0]["time"] == "2024-02-29"
    for row in rows:
        bounds = [float(row[name]) for name in ("lower_90", "lower_50", "median", "upper_50", "upper_90")]
        assert bounds == sorted(bounds)
    assert (tmp_path / "ahead.svg").stat().st_size > 1000
    assert main("predict", "run", "--output", "ahead.jsonl")[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "ahead.jsonl").read_text().splitlines()]
    assert len(lines) == 10
    assert lines[0]["id"] == "a"


def test_a_backtest(main, run, sales):
    code, out, err = main("evaluate", "run", sales, "--last", "7", "--stride", "2")
    assert code == 0, err
    assert out.startswith("4 forecasts")
    assert "standard deviation" in out
    found = json.loads(main("evaluate", "run", sales, "--json")[1])
    assert found["count"] == 2
    assert set(found["figures"]) == {"model", "seasonal naive", "naive", "linear (ridge)"}
    assert found["figures"]["model"]["MSE_standardised"] > 0


def test_a_run_goes_on_and_another_begins_from_it(main, run, sales, tmp_path):
    code, out, err = main("train", "forecast", "--resume", "run", "--steps", "6")
    assert code == 0, err
    assert "of 6" in out
    (tmp_path / "more.csv").write_text(sales.read_text().replace(",b,", ",c,"))
    code, out, err = main("train", "forecast", "more.csv", "--from", "run", "--steps", "2", "-o", "second")
    assert code == 0, err
    first, second = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("run", "second"))
    assert second["options"]["data"] == first["options"]["data"]
    kept = [json.loads((tmp_path / name / "forecast.json").read_text()) for name in ("run", "second")]
    assert kept[0]["preparation"] == kept[1]["preparation"]


def test_with_no_data_it_shows_the_way(main, tmp_path):
    code, out, err = main("train", "forecast", *TINY, "--context", "48", "-o", "run")
    assert code == 0, err
    assert "made series of hourly demand" in out
    code, out, err = main("forecast", "run", "--horizon", "100")
    assert code == 0, err
    assert "shop 1" in out
    assert "expected future covariates for the 169 steps ahead" in main("forecast", "run", "--horizon", "169")[2]


def test_a_column_of_numbers_and_a_wide_table(main, tmp_path):
    (tmp_path / "column.csv").write_text("\n".join(str(5 + place % 4) for place in range(60)) + "\n")
    code, out, err = main(
        "train", "forecast", "column.csv", "--seasonality", "4", "--horizon", "4", *TINY, "-o", "column"
    )
    assert code == 0, err
    assert "one column of numbers" in out
    rows = [f"2024-01-01 {hour:02}:00,{hour},{hour * 2},{hour % 5}" for hour in range(24)]
    rows += [f"2024-01-02 {hour:02}:00,{hour},{hour * 2},{hour % 5}" for hour in range(24)]
    (tmp_path / "wide.csv").write_text("\n".join(["time,x,y,z", *rows]) + "\n")
    code, out, err = main("train", "forecast", "wide.csv", "--target", "all", "--horizon", "4", *TINY, "-o", "wide")
    assert code == 0, err
    assert "target x, y, z" in out
    assert "3 series of 144 values, by hour" in out


def test_a_search(main, sales, tmp_path):
    pytest.importorskip("optuna")
    code, _, err = main(
        "tune", "forecast", sales, "--fill", "linear", "--horizon", "5", "--context", "14", "--trials", "2",
        "--steps", "2", "--threads", "1", "--batch-size", "4", "-o", "search",
    )  # fmt: skip
    assert code == 0, err
    assert (tmp_path / "search" / "trial-001" / "forecast.json").exists()


def test_a_run_that_was_killed_ends_as_one_that_was_not(start, command, sales, tmp_path):
    import time

    options = ["--fill", "linear", "--horizon", "5", "--context", "14", "--steps", "60", "--hidden-size", "4",
               "--threads", "1", "--batch-size", "8", "--evaluate-every", "10", "--dropout", "0.3"]  # fmt: skip
    whole = command("train", "forecast", sales, *options, "-o", "whole")
    assert whole.code == 0, whole.err
    killed = start("train", "forecast", sales, *options, "--save-every", "0.001", "-o", "killed")
    metrics, deadline = tmp_path / "killed" / "metrics.jsonl", time.monotonic() + 60
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= 15) and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send(9)
    assert killed.wait().code == -9
    done = command("train", "forecast", "--resume", "killed")
    assert done.code == 0, done.err
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == (
        tmp_path / "killed" / "model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(
    ("mase", "words"),
    [(0.9, "10 % better than the best rule, linear"), (0.996, "linear, are alike"), (1.1, "not better than linear")],
)
def test_the_verdict(mase, words):
    figures = {"model": {"MASE": mase}, "naive": {"MASE": 2.0}, "linear": {"MASE": 1.0}}
    assert words in _verdict(figures)
    assert "No MASE" in _verdict({"model": {"MASE": mase}})
