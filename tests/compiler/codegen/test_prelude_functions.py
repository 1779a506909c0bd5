"""The hand-written C's functions: every processor level that this machine has, against wider arithmetic."""

import ctypes
import importlib.util
import itertools
import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from unrolled.compiler.codegen.prelude import gemm, prelude

spec = importlib.util.spec_from_file_location("prelude_harness", Path(__file__).with_name("harness.py"))
harness = importlib.util.module_from_spec(spec)
spec.loader.exec_module(harness)
RUNNABLE, TYPES, UNARY = harness.RUNNABLE, harness.TYPES, harness.UNARY
arguments, bits = harness.arguments, harness.bits

MOST_ULPS = {
    "exp": 1.05,
    "expm1": 2.0,
    "log": 1.0,
    "log1p": 1.6,
    "tanh": 2.5,
    "sigmoid": 2.3,
    "erf": 1.3,
    "sqrt": 0.51,
    "rsqrt": 1.5,
    "sin": 1.5,
    "cos": 1.5,
}
LIBM = {"sin", "cos"}  # the C library's, hence not vectorised


def truth(name, x):
    wide = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    if name == "sigmoid":
        e = np.exp(-abs(wide))
        return np.where(wide < 0, e, 1) / (1 + e)
    if name == "rsqrt":
        return 1 / np.sqrt(wide)
    return np.array([math.erf(value) for value in x]) if name == "erf" else getattr(np, name)(wide)


def ulps(y, true):
    """Return |y - true| in units in the last place of y's type, where true is finite there."""
    information = np.finfo(y.dtype)
    exponent = np.frexp(true)[1].astype(np.float64) - information.nmant - 1
    exponent = np.maximum(exponent, information.minexp - information.nmant)
    return np.abs(y - true) / np.exp2(exponent.astype(true.dtype))


@pytest.mark.parametrize("dtype", TYPES.values())
@pytest.mark.parametrize("name", UNARY)
def test_function_is_accurate_at_every_magnitude(library, name, dtype):
    x = arguments(dtype)
    if name in ("log", "sqrt", "rsqrt"):
        x = abs(x)
    elif name == "log1p":
        x = np.where(x < -1, -x, x)
    with np.errstate(all="ignore"):
        true = truth(name, x)
        rounded = true.astype(dtype)
    y = library.unary(name, x)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(y[~finite], rounded[~finite])
    assert ulps(y[finite], true[finite]).max() <= MOST_ULPS[name]


INF, NAN = math.inf, math.nan
SPECIAL = [0.0, -0.0, INF, -INF, NAN, -2.0]
SPECIAL_VALUES = {
    "exp": [1.0, 1.0, INF, 0.0, NAN, None],
    "expm1": [0.0, -0.0, INF, -1.0, NAN, None],
    "log": [-INF, -INF, INF, NAN, NAN, NAN],
    "log1p": [0.0, -0.0, INF, NAN, NAN, NAN],
    "tanh": [0.0, -0.0, 1.0, -1.0, NAN, None],
    "sigmoid": [0.5, 0.5, 1.0, 0.0, NAN, None],
    "erf": [0.0, -0.0, 1.0, -1.0, NAN, None],
    "sqrt": [0.0, -0.0, INF, NAN, NAN, NAN],
    "rsqrt": [INF, -INF, 0.0, NAN, NAN, NAN],
    "sin": [0.0, -0.0, NAN, NAN, NAN, None],
    "cos": [1.0, 1.0, NAN, NAN, NAN, None],
}


@pytest.mark.parametrize("dtype", TYPES.values())
@pytest.mark.parametrize("name", UNARY)
def test_special_values_and_signs_of_zero(library, name, dtype):
    y = library.unary(name, np.array(SPECIAL * 17, dtype)).reshape(17, -1)
    for column, expected in zip(y.T, SPECIAL_VALUES[name], strict=True):
        if expected is not None:
            np.testing.assert_array_equal(column, dtype(expected))
            assert math.isnan(expected) or (np.signbit(column) == np.signbit(dtype(expected))).all()


@pytest.mark.parametrize("dtype", TYPES.values())
def test_edges_of_the_range(library, dtype):
    information = np.finfo(dtype)
    least, largest = information.smallest_subnormal, information.max
    tiny = np.array([least, -least, 37 * least, information.tiny], dtype)
    for name in ("expm1", "log1p", "tanh"):
        np.testing.assert_array_equal(library.unary(name, tiny), tiny)
    np.testing.assert_array_equal(library.unary("log1p", np.array([-1.0], dtype)), -np.inf)
    below, above = np.nextafter(dtype(math.log(largest)), dtype([0, 1e9]), dtype=dtype)
    around = np.array([below, above * 1.0001], dtype)
    np.testing.assert_array_equal(np.isinf(library.unary("exp", around)), [False, True])
    np.testing.assert_array_equal(library.unary("exp", np.array([-largest, -1e4], dtype)), 0)


@pytest.mark.parametrize("dtype", TYPES.values())
@pytest.mark.parametrize("name", UNARY)
def test_bits_do_not_depend_on_position_or_length(library, name, dtype):
    random = np.random.default_rng(2)
    extremes = [0.0, -0.0, 1e-30, -1e-30, 1e30, -1e30, INF, -INF]
    x = np.concatenate([random.normal(0, 4, 50), extremes, np.linspace(-1, 1, 12)]).astype(dtype)
    alone = np.array([bits(library.unary(name, x[i : i + 1]))[0] for i in range(x.size)])
    for n in range(1, x.size + 1):
        order = random.permutation(x.size)[:n]
        y, expected = library.unary(name, x[order]), alone[order]
        # The sign of a NaN is not a result.
        np.testing.assert_array_equal(np.where(np.isnan(y), 0, bits(y)), np.where(np.isnan(y), 0, expected))


@pytest.mark.parametrize("suffix", TYPES)
def test_pow(library, suffix):
    dtype = TYPES[suffix]
    x, y = np.random.default_rng(3).uniform(0.1, 4, (2, 100)).astype(dtype)
    out = np.empty_like(x)
    library(f"pow_{suffix}", x.size, x, y, out)
    np.testing.assert_allclose(out, x.astype(np.float64) ** y, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("level", RUNNABLE)
def test_loops_over_functions_are_vectorised(level, tmp_path):
    said = subprocess.run([harness.COMPILER, "--version"], capture_output=True, text=True).stdout
    if "Free Software Foundation" not in said:
        return  # only GCC reports in this form
    source = tmp_path / "harness.c"
    source.write_text(harness.text())
    command = [*harness.command(level, source, tmp_path / "harness.so"), "-fopt-info-vec"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    lines = {int(line) for line in re.findall(r"harness\.c:(\d+):\d+: optimized: loop vectorized", report)}
    definitions = enumerate(source.read_text().splitlines(), start=1)
    wanted = {f"{name}_{suffix}" for name in UNARY for suffix in TYPES if name not in LIBM}
    assert wanted <= {line[5:].partition("(")[0] for number, line in definitions if number in lines}


def test_unused_functions_do_not_warn(tmp_path):
    source = tmp_path / "unused.c"
    for level, text in itertools.product(RUNNABLE, (prelude(), prelude(bfloat16=True), gemm())):
        source.write_text(text)
        subprocess.run(harness.command(level, source, tmp_path / "unused.so"), check=True)


def test_bf16_rounds_as_torch_does(library):
    patterns = np.random.default_rng(4).integers(0, 2**32, 100_000, dtype=np.uint32)
    ties = (np.arange(2**16, dtype=np.uint32) << 16) | 0x8000
    x = np.concatenate([patterns, ties, ties - 1, ties + 1]).view(np.float32)
    out = np.empty(x.size, np.uint16)
    library("f_to_bf16", x.size, x, out)
    expected = torch.from_numpy(x).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    number = ~np.isnan(x)
    np.testing.assert_array_equal(out[number], expected[number])
    back = np.empty(x.size, np.float32)
    library("bf16_to_f", x.size, out, back)
    np.testing.assert_array_equal(bits(back), out.astype(np.uint32) << 16)
    assert np.isnan(back[~number]).all()


def test_lanes_are_summed_in_one_order(libraries):
    random = np.random.default_rng(5)
    for suffix, count, returns in (("f", 16, ctypes.c_float), ("d", 8, ctypes.c_double)):
        lanes = random.normal(size=count).astype(TYPES[suffix])
        sums = {library(f"sum_lanes_{suffix}", lanes, returns=returns) for library in libraries.values()}
        assert len(sums) == 1
        np.testing.assert_allclose(sums.pop(), lanes.sum(dtype=np.float64), atol=16 * np.finfo(lanes.dtype).eps)


def test_processors_with_fused_multiply_add_agree(libraries):
    """The same polynomials: AVX2 and AVX-512 give the same bits."""
    fused = [library for level, library in libraries.items() if level != "portable"]
    for dtype in TYPES.values():
        values = [[library.unary(name, arguments(dtype, 1000)) for name in UNARY] for library in fused]
        for value in values:
            np.testing.assert_array_equal(value, values[0])
