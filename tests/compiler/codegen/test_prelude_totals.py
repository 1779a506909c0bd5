"""The hand-written C's sums over all rows: every processor level that this machine has, against wider arithmetic."""

import functools
import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

spec = importlib.util.spec_from_file_location("prelude_harness", Path(__file__).with_name("harness.py"))
harness = importlib.util.module_from_spec(spec)
spec.loader.exec_module(harness)
TYPES, operands, assert_product = harness.TYPES, harness.operands, harness.assert_product


def sequences(dtype, rows, *widths):
    """Return a and b, each with rows further apart than they are long."""
    return [operands(dtype, rows, width, i + 1)[0] for i, width in enumerate(widths)]


@pytest.mark.parametrize("dtype", TYPES.values())
def test_total_of_any_shape(library, dtype):
    rows, widths = [0, 1, 2, 15, 16, 17, 33, 130], [1, 3, 5, 7, 16, 33, 65, 100]
    for R, M, N in itertools.product(rows, widths, widths):
        a, b = sequences(dtype, R, M, N)
        assert_product(library.total(a, b), a.T, b)


@pytest.mark.parametrize("dtype", TYPES.values())
@pytest.mark.parametrize("sizes", [(1100, 200, 70), (520, 20, 1100), (600, 600, 5), (513, 1, 700), (900, 97, 1)])
def test_total_in_several_blocks(library, dtype, sizes):
    a, b = sequences(dtype, *sizes)
    assert_product(library.total(a, b), a.T, b)


@pytest.mark.parametrize("dtype", TYPES.values())
def test_bits_do_not_depend_on_who_computes_them(library, dtype):
    a, b = sequences(dtype, 700, 131, 90)
    whole = library.total(a, b)
    for shares in (2, 3, 20, 131):
        np.testing.assert_array_equal(library.total(a, b, shares), whole)
    for columns in (slice(0, 1), slice(5, 75), slice(64, 90)):
        np.testing.assert_array_equal(library.total(a, b[:, columns]), whole[:, columns])
        np.testing.assert_array_equal(library.total(a[:, columns], b), whole[columns])


@pytest.mark.parametrize("dtype", TYPES.values())
def test_total_is_the_sum_of_products(library, dtype):
    """A chain over the rows of each block, as the product of a's transpose with b; the blocks' are added in order."""
    a, b = sequences(dtype, 1100, 50, 140)
    depth = 2048 // a.itemsize
    parts = [
        library.product(np.ascontiguousarray(a[begin : begin + depth].T), b[begin : begin + depth])
        for begin in range(0, 1100, depth)
    ]
    np.testing.assert_array_equal(library.total(a, b), functools.reduce(np.add, parts))


@pytest.mark.parametrize("suffix", TYPES)
def test_sums_of_columns(library, suffix):
    dtype = TYPES[suffix]
    for rows, M, first, last in ((0, 5, 0, 5), (1, 9, 0, 9), (2, 70, 3, 60), (7, 200, 0, 200), (1000, 33, 16, 33)):
        a = operands(dtype, rows, M, 1)[0]
        c = np.full(M, np.nan, dtype)
        library(f"total_rows_{suffix}", rows, M, a, M + 2, c, first, last)
        depth = 2048 // a.itemsize
        sums = [np.zeros(M, dtype)]
        for begin in range(0, rows, depth):
            sums.append(np.add.accumulate(np.vstack([np.zeros((1, M), dtype), a[begin : begin + depth]]), axis=0)[-1])
        one_by_one = functools.reduce(np.add, sums)
        np.testing.assert_array_equal(c[first:last], one_by_one[first:last])
        assert np.isnan(np.delete(c, np.s_[first:last])).all()
