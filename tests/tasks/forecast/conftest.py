"""Small tables."""

import numpy as np
import pytest

from unrolled.tasks.forecast.options import DataOptions
from unrolled.tasks.forecast.source import read_source


@pytest.fixture
def read(tmp_path):
    """A function that reads the text of a table: (panel, what was said)."""

    def call(text, columns=None, **options):
        path = tmp_path / "table.csv"
        path.write_text(text)
        found = read_source([path], DataOptions(**options), columns)
        return found.panel, found.said

    return call


@pytest.fixture
def daily():
    """A function that makes rows of a day each: date and the values of a function of the day."""

    def call(count, *values, first="2024-01-01"):
        days = np.datetime64(first) + np.arange(count)
        return [",".join([str(day), *(str(value(place)) for value in values)]) for place, day in enumerate(days)]

    return call
