"""The hand-written C's products of bfloat16: every processor level that this machine has, against wider arithmetic."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

spec = importlib.util.spec_from_file_location("prelude_harness", Path(__file__).with_name("harness.py"))
harness = importlib.util.module_from_spec(spec)
spec.loader.exec_module(harness)
operands, assert_product = harness.operands, harness.assert_product


def rounded(x):
    return torch.from_numpy(np.ascontiguousarray(x)).bfloat16().float().numpy()


def made(rows, inner, columns):
    return operands(np.float32, rows, inner, columns)


def test_product_of_any_shape(library):
    rows, inner, columns = [0, 1, 2, 5, 6, 7, 13], [0, 1, 2, 3, 17, 130], [0, 1, 7, 16, 33, 63, 64, 65, 128, 200]
    for R, K, N in itertools.product(rows, inner, columns):
        a, b = made(R, K, N)
        start = np.random.default_rng(N).normal(size=N).astype(np.float32)
        assert_product(library.product(a, b, suffix="h"), rounded(a), rounded(b))
        assert_product(library.product(a, b, start, suffix="h"), rounded(a), rounded(b), start)


@pytest.mark.parametrize(("rows", "inner", "columns"), [(40, 1025, 70), (33, 5001, 65), (200, 300, 20)])
def test_product_in_several_blocks(library, rows, inner, columns):
    a, b = made(rows, inner, columns)
    assert_product(library.product(a, b, suffix="h"), rounded(a), rounded(b))


def test_numbers_are_rounded_to_nearest_and_ties_to_even(library):
    """Whole numbers whose sums are exact: every one must be rounded as torch does, in a and in b."""
    random = np.random.default_rng(1)
    for K in (1, 2, 9, 40):
        a, b = (random.integers(-600, 600, shape).astype(np.float32) for shape in ((9, K), (K, 70)))
        few = np.eye(K, 70, dtype=np.float32)
        np.testing.assert_array_equal(library.product(a, few, suffix="h")[:, :K], rounded(a))
        np.testing.assert_array_equal(
            library.product(np.eye(9, K, dtype=np.float32), b, suffix="h")[:K], rounded(b)[:9]
        )
        sums = rounded(a).astype(np.float64) @ rounded(b).astype(np.float64)
        np.testing.assert_array_equal(library.product(a, b, suffix="h"), sums)


def test_what_is_no_number_stays_none(library):
    a, b = made(7, 9, 70)
    a, b = a.copy(), b.copy()
    a[3, 8], a[4, 0], b[2, 69] = np.nan, np.inf, np.nan
    c = library.product(a, b, suffix="h")
    assert np.isnan(c[3]).all()
    assert np.isinf(c[4, :69]).all()
    assert np.isnan(c[:, 69]).all()
    others = np.delete(np.arange(7), [3, 4])
    assert np.isfinite(c[others, :69]).all()


def test_packing_does_not_depend_on_the_layout(library):
    for K, N in itertools.product([1, 5, 16, 40, 131], [1, 7, 64, 150]):
        b = made(K, 1, N)[1].repeat(K, axis=0) * np.arange(1, K + 1, dtype=np.float32)[:, None]
        expected = library.pack(b, "h")
        assert (expected != 0).sum() == K * N
        spread = np.full((2 * K, 3 * N), np.nan, np.float32)
        spread[::2, ::3] = b
        for layout in (b, np.asfortranarray(b), spread[::2, ::3]):
            for shares in (None, 1, 2):
                np.testing.assert_array_equal(library.pack(layout, "h", shares), expected)


def test_bits_of_a_row_do_not_depend_on_the_number_of_rows(library):
    for K, N in ((37, 7), (64, 200), (1100, 130)):
        a, b = made(300, K, N)
        start = np.random.default_rng(7).normal(size=N).astype(np.float32)
        whole, added = library.product(a, b, suffix="h"), library.product(a, b, start, suffix="h")
        for R, first in itertools.product((*range(1, 15), 63), (0, 11)):
            rows = slice(first, first + R)
            np.testing.assert_array_equal(library.product(a[rows], b, suffix="h"), whole[rows])
            np.testing.assert_array_equal(library.product(a[rows], b, start, "h"), added[rows])
        for groups in (2, 100, 300):
            np.testing.assert_array_equal(library.product(a, b, suffix="h", groups=groups), whole)


def test_total_of_any_shape(library):
    rows, widths = [0, 1, 2, 15, 16, 33, 64, 130], [1, 3, 7, 16, 33, 65, 100]
    for R, M, N in itertools.product(rows, widths, widths):
        a, b = made(R, M, 1)[0], made(R, N, 2)[0]
        assert_product(library.total(a, b, suffix="h"), rounded(a).T, rounded(b))


def test_total_in_blocks_and_shares(library):
    a, b = made(1201, 131, 1)[0], made(1201, 600, 1)[0]
    whole = library.total(a, b, suffix="h")
    assert_product(whole, rounded(a).T, rounded(b))
    for shares in (2, 3, 20):
        np.testing.assert_array_equal(library.total(a, b, shares, "h"), whole)
    blocks = [slice(0, 1024), slice(1024, 1201)]
    parts = [library.product(np.ascontiguousarray(a[block].T), b[block], suffix="h") for block in blocks]
    np.testing.assert_array_equal(parts[0] + parts[1], whole)
