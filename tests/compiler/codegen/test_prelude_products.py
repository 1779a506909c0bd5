"""The hand-written C's matrix products: every processor level that this machine has, against wider arithmetic."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

spec = importlib.util.spec_from_file_location("prelude_harness", Path(__file__).with_name("harness.py"))
harness = importlib.util.module_from_spec(spec)
spec.loader.exec_module(harness)
TYPES, operands, assert_product = harness.TYPES, harness.operands, harness.assert_product


@pytest.mark.parametrize("dtype", TYPES.values())
def test_product_of_any_shape(library, dtype):
    rows, inner, columns = [0, 1, 2, 5, 6, 7, 13], [0, 1, 3, 17, 130], [0, 1, 7, 8, 16, 33, 63, 64, 65, 113, 128, 200]
    for R, K, N in itertools.product(rows, inner, columns):
        a, b = operands(dtype, R, K, N)
        start = np.random.default_rng(N).normal(size=N).astype(dtype)
        assert_product(library.product(a, b), a, b)
        assert_product(library.product(a, b, start), a, b, start)


@pytest.mark.parametrize("dtype", TYPES.values())
def test_product_with_a_long_sum(library, dtype):
    a, b = operands(dtype, 9, 5000, 70)
    assert_product(library.product(a, b), a, b)


@pytest.mark.parametrize("dtype", TYPES.values())
def test_packing_does_not_depend_on_the_layout(library, dtype):
    for K, N in itertools.product([1, 5, 16, 40], [1, 7, 64, 150]):
        b = np.random.default_rng(6).normal(size=(K, N)).astype(dtype)
        expected = library.pack(b)
        spread = np.full((2 * K, 3 * N), np.nan, dtype)
        spread[::2, ::3] = b
        np.testing.assert_array_equal(library.pack(np.asfortranarray(b)), expected)
        np.testing.assert_array_equal(library.pack(spread[::2, ::3]), expected)
        for layout in (b, np.asfortranarray(b), spread[::2, ::3]):
            for shares in (1, 2):
                np.testing.assert_array_equal(library.pack(layout, shares=shares), expected)


@pytest.mark.parametrize("dtype", TYPES.values())
def test_packed_numbers_are_all_there(library, dtype):
    """Panel by panel, row by row, and nothing but zeros beside them."""
    for K, N in ((3, 5), (17, 64), (33, 150), (100, 513)):
        b = np.arange(1, K * N + 1, dtype=dtype).reshape(K, N)
        packed, seen = library.pack(np.asfortranarray(b)), 0
        step = next(
            n
            for n in itertools.count(1)
            if library("panels_f" if dtype == np.float32 else "panels_d", n + 1, returns=harness.SIZE) == 2
        )
        for first in range(0, N, step):
            width = min((packed.size - seen) // K, step)
            panel = packed[seen : seen + K * width].reshape(K, width)
            columns = min(N - first, width)
            np.testing.assert_array_equal(panel[:, :columns], b[:, first : first + columns])
            assert not panel[:, columns:].any()
            seen += K * width
        assert seen == packed.size


@pytest.mark.parametrize("dtype", TYPES.values())
def test_bits_of_a_row_do_not_depend_on_the_number_of_rows(library, dtype):
    for K, N in ((37, 7), (64, 200), (20, 300)):
        a, b = operands(dtype, 1000, K, N)
        start = np.random.default_rng(7).normal(size=N).astype(dtype)
        whole, added = library.product(a, b), library.product(a, b, start)
        for R in (*range(1, 21), 63):
            for first in (0, 11):
                rows = slice(first, first + R)
                np.testing.assert_array_equal(library.product(a[rows], b), whole[rows])
                np.testing.assert_array_equal(library.product(a[rows], b, start), added[rows])


@pytest.mark.parametrize("dtype", TYPES.values())
def test_a_sum_goes_on_from_where_it_stopped(library, dtype):
    a, b = operands(dtype, 8, 100, 90)
    half, whole = library.product(a[:, :43], b[:43]), library.product(a, b)
    for r in range(len(a)):
        rest = library.product(a[r : r + 1, 43:], b[43:], np.ascontiguousarray(half[r]))
        np.testing.assert_array_equal(rest[0], whole[r])


@pytest.mark.parametrize("dtype", TYPES.values())
def test_groups_of_rows_are_one_product_each(library, dtype):
    for groups, R, K, N in ((1, 3, 5, 70), (4, 1, 33, 200), (3, 7, 20, 130), (40, 5, 2100, 65)):
        a, b = operands(dtype, groups * R, K, N)
        start = np.random.default_rng(9).normal(size=N).astype(dtype)
        np.testing.assert_array_equal(library.product(a, b, groups=groups), library.product(a, b))
        np.testing.assert_array_equal(library.product(a, b, start, groups=groups), library.product(a, b, start))


@pytest.mark.parametrize("dtype", TYPES.values())
def test_an_old_value_that_is_not_a_number_is_not_read(library, dtype):
    """c is full of NaN before a product; with an empty sum zeros come out."""
    for R, N in ((1, 300), (7, 65)):
        a, b = operands(dtype, R, 0, N)
        np.testing.assert_array_equal(library.product(a, b), np.zeros((R, N), dtype))


SMALL_LAYOUTS = [  # b's and c's rows contiguous; a's and c's columns; dot products; nothing contiguous
    ("rows", (1, 1), (1, 1), (1, 1), "CCC"),
    ("columns", (1, 1), (1, 1), (1, 1), "FFF"),
    ("dots", (1, 1), (1, 1), (2, 3), "CFC"),
    ("strided", (2, 3), (3, 2), (2, 2), "CCC"),
]


@pytest.mark.parametrize("suffix", TYPES)
@pytest.mark.parametrize(("a_step", "b_step", "c_step", "orders"), [case[1:] for case in SMALL_LAYOUTS])
def test_small_product_with_any_strides(library, suffix, a_step, b_step, c_step, orders):
    dtype = TYPES[suffix]
    random = np.random.default_rng(8)

    def window(rows, columns, step, order):
        full = np.full((rows * step[0] + 1, columns * step[1] + 1), np.nan, dtype, order=order)
        return full, full[: rows * step[0] : step[0], : columns * step[1] : step[1]]

    for M, K, N in itertools.product([1, 2, 9], [0, 1, 5, 16, 50], [1, 3, 20]):
        _, a = window(M, K, a_step, orders[0])
        _, b = window(K, N, b_step, orders[1])
        full, c = window(M, N, c_step, orders[2])
        a[:], b[:] = random.normal(size=(M, K)), random.normal(size=(K, N))
        strides = [[stride // x.itemsize for stride in x.strides] for x in (a, b, c)]
        library(f"small_product_{suffix}", M, K, N, a, *strides[0], b, *strides[1], c, *strides[2])
        assert_product(c, a, b)
        assert np.isnan(full).sum() == full.size - c.size


def test_processors_with_fused_multiply_add_agree(libraries):
    """Chains over k in one order: AVX2 and AVX-512 give the same bits."""
    fused = [library for level, library in libraries.items() if level != "portable"]
    for dtype in TYPES.values():
        a, b = operands(dtype, 9, 33, 77)
        for library in fused:
            np.testing.assert_array_equal(library.product(a, b), fused[0].product(a, b))
