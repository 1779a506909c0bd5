"""Bad tables for forecasting: one line with the file, the row and the remedy; nothing is left behind."""

import pytest

SMALL = ["--steps", "2", "--hidden-size", "4", "--threads", "1", "--horizon", "3", "--context", "8"]


def daily(count=60, first="2024-01-01", value=lambda day: 10 + day % 7):
    import numpy as np

    days = np.datetime64(first) + np.arange(count)
    return [f"{day},{value(place)}" for place, day in enumerate(days)]


def table(*rows, header="date,sales"):
    return "\n".join([header, *rows]) + "\n"


def changed(line, text, rows=None):
    """A good table with another row at this line of the file (the header is line 1)."""
    rows = rows or daily()
    rows[line - 2 : line - 1] = text if isinstance(text, list) else [text]
    return table(*rows)


def without(line):
    return changed(line, [])


def two_ids(second):
    rows = [f"{row},a" for row in daily()] + [f"{row},b" for row in second]
    return table(*rows, header="date,sales,shop")


BAD = {
    "empty": ("", [], "bad.csv: expected a table with a header, got an empty file"),
    "header only": ("date,sales\n", [], "got the header only"),
    "one row": (table("2024-01-01,5"), [], "expected at least two times in a series, got one"),
    "no header": ("\n".join(daily()), [], "bad.csv:1: expected a header with the names of the columns"),
    "nan": (
        changed(12, "2024-01-11,NaN"),
        [],
        "bad.csv:12: column 'sales': expected a number, got a missing value; use --fill",
    ),
    "empty cell": (
        changed(12, "2024-01-11,"),
        [],
        "bad.csv:12: column 'sales': expected a number, got a missing value",
    ),
    "infinite": (
        changed(12, "2024-01-11,inf"),
        [],
        "bad.csv:12: column 'sales': expected a finite number of at most 1e.100, got 'inf'",
    ),
    "too large": (
        changed(12, "2024-01-11,1e999"),
        [],
        "bad.csv:12: column 'sales': expected a finite number of at most 1e.100, got '1e999'",
    ),
    "text": (
        changed(12, "2024-01-11,many"),
        ["--target", "sales"],
        "bad.csv:12: column 'sales': expected a number, got 'many'",
    ),
    "missing time": (changed(12, ",5"), [], "bad.csv:12: column 'date': expected a time, got an empty cell"),
    "no time": (changed(12, "soon,5"), [], "bad.csv:12: column 'date': expected a time such as .* got 'soon'"),
    "no day": (
        changed(12, "2024-02-30,5"),
        [],
        "bad.csv:12: column 'date': expected a time, got '2024-02-30', which is no day",
    ),
    "double": (
        changed(12, "2024-01-10,5"),
        [],
        "bad.csv:12: expected one row a time, got 2024-01-10 twice; leave one out",
    ),
    "unsorted": (
        changed(12, "2024-01-02,5"),
        [],
        "bad.csv:12: expected rising times, got 2024-01-02 after 2024-01-10; sort",
    ),
    "gap": (
        without(12),
        [],
        "bad.csv:12: expected the time after 2024-01-10 .* got 2024-01-12, and so a gap; use --fill",
    ),
    "off the grid": (
        changed(12, "2024-01-11 06:30,5"),
        [],
        "bad.csv:12: expected a time of the frequency 'day', got 2024-01-11 06:30",
    ),
    "zones": (
        table("2024-01-01 00:00+01:00,1", "2024-01-02 00:00+01:00,2", "2024-01-03 00:00Z,3"),
        [],
        r"bad.csv:4: column 'date': expected a time of the zone '\+01:00' as before, got '2024-01-03 00:00Z'; convert",
    ),
    "fields": (changed(12, "2024-01-11,5,7"), [], "bad.csv:12: expected 2 fields as in the header, got 3"),
    "quotes": (changed(12, '2024-01-11,"5'), [], "bad.csv:12: not a row of a table"),
    "short": (two_ids(daily(4)), ["--id", "shop"], "series b: expected at least 7 values, .* got 4"),
    "unknown target": (
        table(*daily()),
        ["--target", "price"],
        "--target: expected one of the columns date, sales, got 'price'",
    ),
    "unknown time": (table(*daily()), ["--time", "day"], "--time: expected one of the columns date, sales, got 'day'"),
    "unknown covariate": (
        table(*daily()),
        ["--past-covariates", "rain"],
        "expected one of the columns date, sales, got 'rain'",
    ),
    "twice": (
        table(*daily()),
        ["--past-covariates", "sales", "--target", "sales"],
        "sales: expected each column to be one thing",
    ),
    "several": (
        table(*(f"{row},{row[-2:]}1" for row in daily()), header="date,a,b"),
        [],
        "expected --target to say which column to forecast, got a, b; name one, several with commas between, or all",
    ),
    "no number of all": (
        table(*(f"{row[:10]},x" for row in daily())),
        ["--target", "all"],
        "expected a column of numbers to forecast, got sales",
    ),
    "no number": (
        table(*(f"{row[:10]},x" for row in daily())),
        [],
        "expected a column of numbers to forecast, got sales",
    ),
    "columns of one name": (table(*(f"{row},1" for row in daily()), header="date,a,a"), [], "got a twice"),
    "frequency": (table(*daily()), ["--frequency", "often"], "--frequency: expected seconds, minutes"),
    "seasonality": (table(*daily()), ["--seasonality", "7,week"], "--seasonality: expected whole numbers of steps"),
    "logarithm": (
        table(*daily(value=lambda day: day)),
        ["--transform", "log"],
        "expected values above 0 where the logarithm is taken, got 0",
    ),
    "counts": (
        table(*daily(value=lambda day: day + 0.5)),
        ["--says", "negative-binomial"],
        "expected counts from 0 on",
    ),
    "context": (table(*daily()), ["--fill", "guess"], "--fill"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_refused(main, tmp_path, name):
    import re

    text, options, message = BAD[name]
    (tmp_path / "bad.csv").write_text(text)
    code, out, err = main("train", "forecast", "bad.csv", *SMALL, *options, "-o", "run")
    assert code in (1, 2), out + err
    assert re.search(message, err), err
    assert err.startswith("unrolled: ")
    assert err.count("\n") == 1
    assert "please report" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_what_is_no_text_is_refused(main, tmp_path):
    (tmp_path / "latin.csv").write_bytes(b"date,caf\xe9\n2024-01-01,5\n")
    assert "latin.csv:1: expected UTF-8 text, got the byte 0xe9" in main("train", "forecast", "latin.csv", *SMALL)[2]
    (tmp_path / "zip.csv").write_bytes(b"PK\x03\x04\0\0\0")
    assert "zip.csv:1: expected text, got a binary file" in main("train", "forecast", "zip.csv", *SMALL)[2]
    assert "nowhere.csv: there is no such file" in main("train", "forecast", "nowhere.csv", *SMALL)[2]
    assert "expected a file, got a folder" in main("train", "forecast", tmp_path, *SMALL)[2]


def test_files_of_other_columns_are_refused(main, tmp_path):
    (tmp_path / "one.csv").write_text(table(*daily()))
    (tmp_path / "two.csv").write_text(table(*daily(first="2024-03-01"), header="date,price"))
    err = main("train", "forecast", "one.csv", "two.csv", *SMALL)[2]
    assert "two.csv:1: expected the columns of the first file, date, sales, got date, price" in err


@pytest.fixture
def run(main, tmp_path):
    rows = [f"{row},{int(row[8:10]) % 5 == 0:d}" for row in daily()]
    (tmp_path / "good.csv").write_text(table(*rows, header="date,sales,sale"))
    code, _, err = main(
        "train", "forecast", "good.csv", *SMALL, "--target", "sales", "--future-covariates", "sale", "-o", "run"
    )
    assert code == 0, err
    return tmp_path / "run"


def test_bad_requests_for_a_forecast_are_refused(main, run, tmp_path):
    assert "expected future covariates for the 3 steps ahead, got them for 0; add rows" in main("forecast", run)[2]
    last = [f"2024-03-0{day},,1" for day in range(1, 4)]
    ahead = table(*(f"{row},0" for row in daily()), *last, header="date,sales,sale")
    (tmp_path / "ahead.csv").write_text(ahead)
    assert main("forecast", run, "ahead.csv", "--output", "ahead.txt")[0] == 2
    before = {path.name for path in tmp_path.iterdir()}
    for options, message in [
        (["--horizon", "4"], "expected future covariates for the 4 steps ahead, got them for 3"),
        (["--horizon", "0"], "--horizon"),
        (["--levels", "80,120"], "--levels: expected percents between 0 and 100"),
        (["--levels", "high"], "--levels: expected percents"),
        (["--output", "ahead.txt"], "expected a file that ends with .csv or .jsonl, got ahead.txt"),
        (["--output", "nowhere/ahead.csv"], "expected a folder that is there, got nowhere"),
        (["--plot", "ahead.jpg"], "expected a name that ends in .svg, .png, .pdf, got 'ahead.jpg'"),
    ]:
        code, _, err = main("forecast", run, "ahead.csv", *options)
        assert code in (1, 2)
        assert message in err
    (tmp_path / "other.csv").write_text(table(*daily()))
    assert "expected one of the columns date, sales, got 'sale'" in main("forecast", run, "other.csv")[2]
    assert {path.name for path in tmp_path.iterdir()} == before | {"other.csv"}


def test_bad_requests_for_a_backtest_are_refused(main, run):
    err = main("evaluate", run, "good.csv", "--last", "2")[2]
    assert "--last: expected at least the horizon of 3 steps, got 2" in err
    assert "expected at least 62 values" in main("evaluate", run, "good.csv", "--last", "60")[2]
    assert "not for a run of forecast" in main("predict", run, "--temperature", "2")[2]
