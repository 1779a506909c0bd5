"""Tables of every form become the same series; holes are filled as asked for."""

import numpy as np
import pytest

from unrolled.core import DataError
from unrolled.tasks.forecast.frequency import Frequency
from unrolled.tasks.forecast.options import DataOptions
from unrolled.tasks.forecast.source import read_source


def lines(*rows):
    return "\n".join(rows) + "\n"


def test_a_long_table_with_its_series_mixed(read, daily):
    pairs = zip(daily(5, lambda t: t), daily(5, lambda t: 10 + t, first="2024-02-01"), strict=True)
    rows = [f"{one},x\n{other},y" for one, other in pairs]
    panel, said = read(lines("date,sales,shop", *rows))
    assert panel.names == ("x", "y")
    assert panel.series(0).tolist() == [0, 1, 2, 3, 4]
    assert panel.series(1).tolist() == [10, 11, 12, 13, 14]
    assert panel.frequency == Frequency("day")
    assert str(panel.times(1, 5, 6)[0]) == "2024-02-06T00:00:00"
    assert said == "time date; id shop; target sales"


def test_a_wide_table(read, daily):
    text = lines("when,a,b,c", *daily(4, lambda t: t, lambda t: 2 * t, lambda t: 3 * t))
    panel, _ = read(text, target="all")
    assert panel.names == ("a", "b", "c")
    assert panel.series(2).tolist() == [0, 3, 6, 9]
    panel, said = read(text, target="c, a", past_covariates="b")
    assert panel.names == ("c", "a")
    assert panel.past[:, 0].tolist() == [0, 2, 4, 6] * 2
    assert said == "time when; target c, a; past covariates b"


@pytest.mark.parametrize("header", ["", "demand\n"])
def test_one_column(read, header):
    panel, said = read(f"{header}5\n6\n7.5\n")
    assert panel.series(0).tolist() == [5, 6, 7.5]
    assert panel.frequency is None
    assert panel.times(0, 3, 5).tolist() == [3, 4]
    assert said == "one column of numbers"


def test_true_and_false_are_one_and_zero(read, daily):
    text = lines("date,sales,open", *daily(4, lambda t: t, lambda t: ("True", "FALSE", "true", "1")[t]))
    panel, _ = read(text, target="sales", past_covariates="open")
    assert panel.past[:, 0].tolist() == [1, 0, 1, 1]


def test_m4_and_what_goes_on_from_it(tmp_path):
    (tmp_path / "train.csv").write_text('"V1","V2","V3","V4"\n"H1","1","2","3"\n"H2","5","6",""\n')
    (tmp_path / "test.csv").write_text('"V1","V2"\n"H1","4"\n"H2","7"\n')
    panel = read_source([tmp_path / "train.csv", tmp_path / "test.csv"], DataOptions()).panel
    assert panel.names == ("H1", "H2")
    assert panel.series(0).tolist() == [1, 2, 3, 4]
    assert panel.series(1).tolist() == [5, 6, 7]
    assert panel.frequency == Frequency("hour")
    assert not panel.dated  # nobody knows when they began


@pytest.mark.parametrize(
    ("hole", "message"),
    [("H1,1,,3", "expected numbers, got a missing value at V3"), ("H1,,,", "expected values"), ("H1,1,x,3", "got 'x'")],
)
def test_m4_with_a_hole(tmp_path, hole, message):
    (tmp_path / "train.csv").write_text(f"V1,V2,V3,V4\n{hole}\nH2,1,2,3\n")
    with pytest.raises(DataError, match=message):
        read_source([tmp_path / "train.csv"], DataOptions())


FILLED = {"forward": [1, 1, 1, 4], "linear": [1, 2, 3, 4], "zero": [1, 0, 0, 4]}


@pytest.mark.parametrize("fill", FILLED)
@pytest.mark.parametrize("hole", ["2024-01-02,\n2024-01-03,NA\n", "2024-01-03,null\n", ""])
def test_holes_are_filled(read, fill, hole):
    rows = f"date,y\n2024-01-01,1\n{hole}2024-01-04,4\n2024-01-05,5\n"
    panel, _ = read(rows, fill=fill, frequency="daily")
    assert panel.series(0).tolist() == [*FILLED[fill], 5]


def test_a_hole_at_the_beginning(read):
    rows = "date,y\n2024-01-01,\n2024-01-02,2\n2024-01-03,3\n"
    with pytest.raises(DataError, match=r"table.csv:2: .* at the beginning of the series; use --fill zero"):
        read(rows, fill="forward")
    assert read(rows, fill="linear")[0].series(0).tolist() == [2, 2, 3]
    assert read(rows, fill="zero")[0].series(0).tolist() == [0, 2, 3]


def test_months_with_a_gap_are_filled_by_months(read):
    panel, _ = read("month,y\n2024-01,1\n2024-02,2\n2024-03,3\n2024-06,6\n", fill="linear")
    assert panel.series(0).tolist() == [1, 2, 3, 4, 5, 6]
    assert str(panel.times(0, 6, 7)[0]) == "2024-07-01T00:00:00"


def test_working_days_with_a_holiday_are_filled(read):
    days = np.busday_offset("2024-01-01", np.arange(10), roll="forward")
    rows = [f"{day},{place}" for place, day in enumerate(days) if place != 5]
    panel, _ = read(lines("date,close", *rows), fill="linear")
    assert panel.frequency == Frequency("business day")
    assert panel.series(0).tolist() == list(range(10))


def test_future_covariates_reach_beyond_the_target(read, daily):
    rows = [*daily(4, lambda t: t, lambda t: t % 2), *daily(3, lambda t: "", lambda t: 7, first="2024-01-05")]
    panel, _ = read(lines("date,y,promotion", *rows), target="y", future_covariates="promotion")
    assert panel.lengths.tolist() == [4]
    assert panel.future[:, 0].tolist() == [0, 1, 0, 1, 7, 7, 7]
    assert np.diff(panel.future_offsets).tolist() == [7]


def test_static_covariates_of_words_and_numbers(read, daily):
    def shop(name, size, town):
        return [f"{row},{name},{size},{town}" for row in daily(4, lambda t: t)]

    text = lines("date,y,shop,size,town", *shop("a", 5, "Rome"), *shop("b", 7.5, "Oslo"), *shop("c", 1, "Rome"))
    panel, _ = read(text, id="shop", target="y", static_covariates="size,town")
    assert panel.static.tolist() == [[5, 0, 1], [7.5, 1, 0], [1, 0, 1]]
    new = lines("date,y,shop,size,town", *shop("d", 2, "Lima"))
    kept = {"kind": "long", "words": {"size": [], "town": ["Oslo", "Rome"]}}
    assert read(new, kept, id="shop", target="y", static_covariates="size,town")[0].static.tolist() == [[2, 0, 0]]
    moved = lines("date,y,shop,town", *(f"{row},a,Rome" for row in daily(4, lambda t: t)), "2024-01-05,4,a,Oslo")
    with pytest.raises(DataError, match=r"table.csv:6, series a: column 'town': expected one value in a whole series"):
        read(moved, id="shop", target="y", static_covariates="town")


def test_the_column_of_times_is_guessed_by_what_it_holds(read):
    panel, said = read("n,when,price\n1,Jan 1 2000,5\n2,Feb 1 2000,6\n3,Mar 1 2000,7\n", target="price")
    assert said.startswith("time when")
    assert panel.frequency == Frequency("month")
    assert read("year,temp\n1880,1\n1881,2\n1882,3\n")[0].frequency == Frequency("year")
    assert read("week,y\n1,5\n2,6\n3,7\n", target="y")[0].frequency is None


def test_a_zone_comes_back_with_the_times(read):
    panel, _ = read("t,y\n2024-01-01T00:00Z,1\n2024-01-01T01:00Z,2\n")
    assert panel.zone == "Z"


def test_tabs_and_marks_of_the_byte_order(tmp_path):
    (tmp_path / "table.tsv").write_text("\ufeffdate\ty\n2024-01-01\t1\n2024-01-02\t2\n", encoding="utf-8")
    assert read_source([tmp_path / "table.tsv"], DataOptions()).panel.series(0).tolist() == [1, 2]


def test_several_files_are_one_table(tmp_path, daily):
    (tmp_path / "a.csv").write_text(lines("date,y", *daily(3, lambda t: t)))
    (tmp_path / "b.csv").write_text(lines("date,y", *daily(2, lambda t: 10 + t, first="2024-01-04")))
    found = read_source([tmp_path / "a.csv", tmp_path / "b.csv"], DataOptions()).panel
    assert found.series(0).tolist() == [0, 1, 2, 10, 11]
    with pytest.raises(DataError, match=r"a.csv:2: expected rising times, got 2024-01-01 after 2024-01-05"):
        read_source([tmp_path / "b.csv", tmp_path / "a.csv"], DataOptions())


def test_what_does_not_fit_in_memory_is_mapped(monkeypatch, read, daily):
    from unrolled.tasks import storage

    text = lines("date,y,x", *daily(3000, lambda t: t, lambda t: -t))
    inside, _ = read(text, target="y", past_covariates="x")
    monkeypatch.setattr(storage.store, "__defaults__", (1000,))
    mapped, _ = read(text, target="y", past_covariates="x")
    assert isinstance(mapped.values.base, np.memmap) or isinstance(mapped.values, np.memmap)
    np.testing.assert_array_equal(mapped.values, inside.values)
    np.testing.assert_array_equal(mapped.past, inside.past)


@pytest.mark.parametrize("hole", ["", '""'])
def test_an_empty_line_in_one_column_is_a_missing_value(read, hole):
    text = f"y\n1\n{hole}\n3\n\n\n"
    with pytest.raises(DataError, match=r"table.csv:3: column 'y': expected a number, got a missing value"):
        read(text)
    assert read(text, fill="linear")[0].series(0).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "times", [["31/01/2024", "01/02/2024"], ["1.2.2024", "2.2.2024"], ["1704067200", "1704070800"]]
)
def test_times_that_cannot_be_read_are_not_passed_over(read, times):
    with pytest.raises(DataError, match=rf"table.csv:2: column 'date': expected times such as .*, got '{times[0]}'"):
        read(lines("date,y", *(f"{time},1" for time in times)))
    assert read("time,y\n1,5\n2,6\n", target="y")[0].frequency is None  # steps that are counted


def test_one_bad_cell_does_not_change_what_a_column_is(read, daily):
    rows = daily(5, lambda t: "x" if t == 2 else t, lambda t: 7)
    with pytest.raises(DataError, match=r"table.csv:4: column 'sales': expected a number, got 'x'"):
        read(lines("date,sales,price", *rows))


def test_semicolons_and_series_without_a_name_are_named(read, daily):
    with pytest.raises(DataError, match="expected commas between the fields"):
        read("date;y\n2024-01-01;1\n")
    with pytest.raises(DataError, match=r"table.csv:3: column 'shop': expected the name of a series, got an empty"):
        read("date,shop,y\n2024-01-01,a,1\n2024-01-02,,2\n", id="shop")


@pytest.mark.parametrize("cell", ["9" * 100_000, "x" * 100_000])
def test_a_long_cell_is_not_shown_whole(read, cell):
    with pytest.raises(DataError, match=r"table.csv:3: .*\(100,000 characters\)") as raised:
        read(f"date,y\n2024-01-01,1\n2024-01-02,{cell}\n2024-01-03,3\n2024-01-04,4\n")
    assert len(str(raised.value)) < 400
