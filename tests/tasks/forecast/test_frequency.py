"""Steps of time: found in the times, and back; seasons and the calendar."""

import numpy as np
import pytest

from unrolled.core import InputError
from unrolled.tasks.forecast.frequency import Frequency, infer_frequency, parse_frequency
from unrolled.tasks.forecast.times import TimeProblem, is_time, parse_times


def seconds(first, count, step, unit):
    return (np.datetime64(first) + np.arange(count) * np.timedelta64(step, unit)).astype("datetime64[s]")


def months(first, count, step=1):
    return (np.datetime64(first, "M") + step * np.arange(count)).astype("datetime64[s]")


def month_ends(first, count):
    return ((np.datetime64(first, "M") + 1 + np.arange(count)).astype("datetime64[D]") - 1).astype("datetime64[s]")


def working_days(first, count):
    return np.busday_offset(np.datetime64(first), np.arange(count), roll="forward").astype("datetime64[s]")


CASES = [
    (seconds("2024-01-01T00:00:30", 40, 10, "s"), Frequency("second", 10)),
    (seconds("2024-01-01T00:07", 40, 15, "m"), Frequency("minute", 15)),
    (seconds("2024-01-01T05:30", 40, 1, "h"), Frequency("hour")),
    (seconds("2024-02-27", 40, 1, "D"), Frequency("day")),
    (seconds("2024-02-27T06:00", 40, 2, "D"), Frequency("day", 2)),
    (working_days("2024-02-27", 40), Frequency("business day")),
    (seconds("2024-02-27", 40, 7, "D"), Frequency("week")),
    (months("1999-11", 40), Frequency("month")),
    (month_ends("1999-11", 40), Frequency("month")),
    (months("1999-11", 40) + np.timedelta64(14, "D"), Frequency("month")),
    (months("2000-01", 40, 3), Frequency("quarter")),
    (months("1970-01", 40, 12), Frequency("year")),
    (months("1970-01", 40, 120), Frequency("year", 10)),
    (months("1999-02", 40, 3), Frequency("quarter")),
    (month_ends("1999-03", 40)[::3], Frequency("quarter")),
    (months("1995-07", 40, 12) + np.timedelta64(30, "D"), Frequency("year")),
    (months("1999-04", 40, 2) + np.timedelta64(6, "h"), Frequency("month", 2)),
]


@pytest.mark.parametrize(("times", "expected"), CASES)
def test_a_frequency_is_found_and_its_steps_go_there_and_back(times, expected):
    found = infer_frequency(times)
    assert found == expected
    numbers = found.number(times)
    assert (np.diff(numbers) == 1).all()
    assert (found.times(numbers, int(found.phase(times).max())) == times).all()
    assert parse_frequency(str(found)) == found


@pytest.mark.parametrize("place", [1, 7, 38])
def test_a_gap_does_not_hide_the_frequency(place):
    times = np.delete(seconds("2024-01-01", 40, 1, "h"), [place, place - 1])
    assert infer_frequency(times) == Frequency("hour")


def test_one_time_has_no_frequency():
    assert infer_frequency(seconds("2024-01-01", 1, 1, "h")) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hourly", Frequency("hour")),
        ("15 minutes", Frequency("minute", 15)),
        ("30min", Frequency("minute", 30)),
        ("D", Frequency("day")),
        ("Business days", Frequency("business day")),
        ("quarterly", Frequency("quarter")),
    ],
)
def test_frequencies_by_name(text, expected):
    assert parse_frequency(text) == expected


@pytest.mark.parametrize("text", ["", "often", "0 hours", "-1 hours", "fortnight", "1.5 hours", "99999999 days"])
def test_what_is_no_frequency(text):
    with pytest.raises(InputError, match="--frequency: expected"):
        parse_frequency(text)


@pytest.mark.parametrize(
    ("frequency", "seasons"),
    [
        (Frequency("minute", 30), (48, 336)),
        (Frequency("hour"), (24, 168)),
        (Frequency("hour", 6), (4, 28)),
        (Frequency("day"), (7,)),
        (Frequency("business day"), (5,)),
        (Frequency("week"), (52,)),
        (Frequency("month"), (12,)),
        (Frequency("quarter"), (4,)),
        (Frequency("year"), ()),
    ],
)
def test_seasons(frequency, seasons):
    assert frequency.seasons() == seasons


def test_the_calendar_comes_again_with_the_week_and_not_before():
    hour = Frequency("hour")
    told = hour.calendar(hour.number(seconds("2024-01-01", 24 * 15, 1, "h")), year=False)
    np.testing.assert_allclose(told[: 24 * 7], told[24 * 7 : 24 * 14], atol=1e-6)
    apart = np.abs(told[None, : 24 * 7] - told[: 24 * 7, None]).max(-1) + np.eye(24 * 7)
    assert apart.min() > 1e-3


def test_the_calendar_of_months_comes_again_with_the_year():
    month = Frequency("month")
    told = month.calendar(month.number(months("2000-01", 25)))
    assert np.abs(told[:12] - told[12:24]).max() < 0.05
    assert np.abs(told[0] - told[6]).max() > 1
    assert Frequency("year").calendar(np.arange(4)).shape == (4, 0)


def test_times_as_people_write_them():
    cells = ["2024-01-31", "2024-1-5", "2024/02/01", "2024-03", "2024", "2024Q2", "Jan 31 2024", "20240131"]
    found, zone = parse_times(cells)
    expected = ["01-31", "01-05", "02-01", "03-01", "01-01", "04-01", "01-31", "01-31"]
    assert found.astype("datetime64[D]").astype(str).tolist() == [f"2024-{day}" for day in expected]
    assert zone == ""


def test_times_with_hours_and_zones():
    found, zone = parse_times(["2024-01-31 5:00+01:00", "2024-01-31T06:30:15+0100", "2024-01-31 07+01:00"])
    assert found.astype(str).tolist() == ["2024-01-31T05:00:00", "2024-01-31T06:30:15", "2024-01-31T07:00:00"]
    assert zone == "+01:00"
    assert parse_times(["2024-1-5 1:00:00"])[0].astype(str).tolist() == ["2024-01-05T01:00:00"]
    assert parse_times(["2024-01-31T06:30:15Z", "2024-01-31 06:30:15.000 UTC"])[1] == "Z"


@pytest.mark.parametrize("cell", ["", "soon", "now", "2024-13-01", "31.12.2024", "1-01", "2024-01-01 25:00", "12:30"])
def test_what_is_no_time(cell):
    with pytest.raises(TimeProblem) as caught:
        parse_times(["2024-01-31", cell])
    assert caught.value.index == 1
    assert not is_time(cell)


def test_several_business_days_are_no_step():
    with pytest.raises(InputError, match="of business days one"):
        parse_frequency("2 business days")
