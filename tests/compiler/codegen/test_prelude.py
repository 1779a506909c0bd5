"""The hand-written C: every function at every processor level that this machine has, against wider arithmetic."""

import ctypes
import itertools
import math
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch

from unrolled.compiler.codegen.prelude import prelude

COMPILER = shutil.which("gcc") or "cc"
FLAGS = ["-std=gnu11", "-O3", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
LEVELS = {
    "portable": [],
    "avx2": ["-march=x86-64-v3"],
    "avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}
RUNNABLE = {"AVX512": ["portable", "avx2", "avx512"], "AVX2": ["portable", "avx2"]}.get(
    torch.backends.cpu.get_cpu_capability(), ["portable"]
)

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
UNARY = list(MOST_ULPS)
LIBM = {"sin", "cos"}  # the C library's, hence not vectorised
TYPES = {"f": np.float32, "d": np.float64}
C_NAMES = {"f": "float", "d": "double"}
SIZE = ctypes.c_long


def harness() -> str:
    """Return the prelude with an exported function around every inline one."""
    parts = [prelude()]
    for suffix, name in itertools.product(TYPES, UNARY):
        real = C_NAMES[suffix]
        parts.append(  # one line each: the vectoriser's report names a line
            f"void {name}_{suffix}(long n, const {real} *restrict in, {real} *restrict out)"
            f" {{ for (long j = 0; j < n; j++) out[j] = u_{name}_{suffix}(in[j]); }}"
        )
    for suffix, real in C_NAMES.items():
        parts.append(f"""
void pow_{suffix}(long n, const {real} *x, const {real} *y, {real} *out) {{
    for (long j = 0; j < n; j++) out[j] = u_pow_{suffix}(x[j], y[j]);
}}
{real} sum_lanes_{suffix}(const {real} *lanes) {{ return u_sum_lanes_{suffix}(lanes); }}
long packed_size_{suffix}(long K, long N) {{ return u_packed_size_{suffix}(K, N); }}
void pack_{suffix}(long K, long N, const {real} *b, long sk, long sn, {real} *packed) {{
    u_pack_{suffix}(K, N, b, sk, sn, packed);
}}
void product_{suffix}(long R, long K, long N, const {real} *a, long lda, const {real} *packed, {real} *c, long ldc,
                      long accumulate) {{
    u_product_{suffix}(1, R, K, N, a, lda, 0, packed, c, ldc, 0, (int)accumulate);
}}
void small_product_{suffix}(long M, long K, long N, const {real} *a, long as_m, long as_k, const {real} *b, long bs_k,
                            long bs_n, {real} *c, long cs_m, long cs_n) {{
    u_small_product_{suffix}(M, K, N, a, as_m, as_k, b, bs_k, bs_n, c, cs_m, cs_n);
}}""")
    parts.append("""
void bf16_to_f(long n, const uint16_t *restrict in, float *restrict out) {
    for (long j = 0; j < n; j++) out[j] = u_bf16_to_f(in[j]);
}
void f_to_bf16(long n, const float *restrict in, uint16_t *restrict out) {
    for (long j = 0; j < n; j++) out[j] = u_f_to_bf16(in[j]);
}""")
    return "\n".join(parts)


class Library:
    """The harness compiled for one level; arrays go in as pointers, integers as long."""

    def __init__(self, folder, level):
        source, library = folder / "harness.c", folder / "harness.so"
        source.write_text(harness())
        command = [COMPILER, *FLAGS, *LEVELS[level], "-Wall", "-Wextra", "-Werror", str(source), "-o", str(library)]
        subprocess.run([*command, "-lm"], check=True)
        self.functions = ctypes.CDLL(str(library))

    def __call__(self, name, *arguments, returns=None):
        function = getattr(self.functions, name)
        function.restype = returns
        return function(*(ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else SIZE(a) for a in arguments))

    def unary(self, name, x):
        x = np.ascontiguousarray(x)
        out = np.full_like(x, np.nan)
        self(f"{name}_{'f' if x.dtype == np.float32 else 'd'}", x.size, x, out)
        return out

    def pack(self, b):
        """Pack b (K, N) of any strides into memory that is aligned to one element only, with a guard behind it."""
        suffix = "f" if b.dtype == np.float32 else "d"
        K, N = b.shape
        size = self(f"packed_size_{suffix}", K, N, returns=SIZE)
        memory = np.full(size + 2, np.nan, b.dtype)
        strides = [stride // b.itemsize for stride in b.strides]
        self(f"pack_{suffix}", K, N, b, *strides, memory[1:])
        assert np.isnan(memory[[0, -1]]).all()
        assert not np.isnan(memory[1:-1]).any()
        return memory[1:-1]

    def product(self, a, b, start=None):
        """Return a b, or start + a b, of which c is a window in NaN that must stay."""
        suffix = "f" if a.dtype == np.float32 else "d"
        R, K, N = *a.shape, b.shape[1]
        c = np.full((R + 1, N + 3), np.nan, a.dtype)
        if start is not None:
            c[:R, :N] = start
        lda = a.strides[0] // a.itemsize
        self(f"product_{suffix}", R, K, N, a, lda, self.pack(b), c, N + 3, int(start is not None))
        assert np.isnan(c[R]).all()
        assert np.isnan(c[:R, N:]).all()
        return c[:R, :N].copy()


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    return {level: Library(tmp_path_factory.mktemp(level), level) for level in RUNNABLE}


@pytest.fixture(params=RUNNABLE)
def library(request, libraries):
    return libraries[request.param]


def bits(x):
    return np.ascontiguousarray(x).view(np.uint32 if x.dtype == np.float32 else np.uint64)


def arguments(dtype, count=30_000):
    """Return every magnitude there is, and more of where the functions bend."""
    random = np.random.default_rng(1)
    integer = np.int32 if dtype == np.float32 else np.int64
    limits = np.iinfo(integer)
    anything = random.integers(limits.min, limits.max, count, dtype=integer).view(dtype)
    overflow = 110 if dtype == np.float32 else 760
    return np.concatenate(
        [
            anything[np.isfinite(anything)],
            *(random.uniform(-edge, edge, count).astype(dtype) for edge in (1, 2, 20, overflow)),
            np.array([np.finfo(dtype).max, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal], dtype),
        ]
    )


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
    if "Free Software Foundation" not in subprocess.run([COMPILER, "--version"], capture_output=True, text=True).stdout:
        return  # only GCC reports in this form
    source = tmp_path / "harness.c"
    source.write_text(harness())
    command = [COMPILER, *FLAGS, *LEVELS[level], "-fopt-info-vec", str(source), "-o", str(tmp_path / "harness.so")]
    report = subprocess.run([*command, "-lm"], check=True, capture_output=True, text=True).stderr
    lines = {int(line) for line in re.findall(r"harness\.c:(\d+):\d+: optimized: loop vectorized", report)}
    definitions = enumerate(source.read_text().splitlines(), start=1)
    wanted = {f"{name}_{suffix}" for name in UNARY for suffix in TYPES if name not in LIBM}
    assert wanted <= {line[5:].partition("(")[0] for number, line in definitions if number in lines}


def test_unused_functions_do_not_warn(tmp_path):
    source = tmp_path / "unused.c"
    source.write_text(prelude())
    for level in RUNNABLE:
        command = [COMPILER, *FLAGS, *LEVELS[level], "-Wall", "-Wextra", "-Werror", str(source)]
        subprocess.run([*command, "-o", str(tmp_path / "unused.so")], check=True)


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


def operands(dtype, rows, inner, columns):
    """Return a with rows further apart than they are long, NaN in between, and b."""
    random = np.random.default_rng((rows, inner, columns))
    a = np.full((rows, inner + 2), np.nan, dtype)
    a[:, :inner] = random.normal(size=(rows, inner))
    return a[:, :inner], random.normal(size=(inner, columns)).astype(dtype)


def assert_product(c, a, b, start=0.0):
    a, b = a.astype(np.float64), b.astype(np.float64)
    bound = (np.finfo(c.dtype).eps * (a.shape[1] + 1)) * (abs(a) @ abs(b) + abs(start))
    assert (abs(c - (start + a @ b)) <= bound).all()


@pytest.mark.parametrize("dtype", TYPES.values())
def test_product_of_any_shape(library, dtype):
    rows, inner, columns = [0, 1, 2, 5, 6, 7, 13], [0, 1, 3, 17, 130], [0, 1, 7, 8, 16, 33, 63, 64, 65, 113, 128, 200]
    for R, K, N in itertools.product(rows, inner, columns):
        a, b = operands(dtype, R, K, N)
        start = np.random.default_rng(N).normal(size=(R, N)).astype(dtype)
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


@pytest.mark.parametrize("dtype", TYPES.values())
def test_bits_of_a_row_do_not_depend_on_the_number_of_rows(library, dtype):
    for K, N in ((37, 7), (64, 200), (20, 300)):
        a, b = operands(dtype, 1000, K, N)
        start = np.random.default_rng(7).normal(size=(1000, N)).astype(dtype)
        whole, added = library.product(a, b), library.product(a, b, start)
        for R in (*range(1, 21), 63):
            for first in (0, 11):
                rows = slice(first, first + R)
                np.testing.assert_array_equal(library.product(a[rows], b), whole[rows])
                np.testing.assert_array_equal(library.product(a[rows], b, start[rows]), added[rows])


@pytest.mark.parametrize("dtype", TYPES.values())
def test_a_sum_goes_on_from_where_it_stopped(library, dtype):
    a, b = operands(dtype, 8, 100, 90)
    half = library.product(a[:, :43], b[:43])
    np.testing.assert_array_equal(library.product(a[:, 43:], b[43:], half), library.product(a, b))


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
    """Chains over k in one order and the same polynomials: AVX2 and AVX-512 give the same bits."""
    fused = [libraries[level] for level in ("avx2", "avx512") if level in libraries]
    for dtype in TYPES.values():
        a, b = operands(dtype, 9, 33, 77)
        products = [library.product(a, b) for library in fused]
        values = [[library.unary(name, arguments(dtype, 1000)) for name in UNARY] for library in fused]
        for product, value in zip(products, values, strict=True):
            np.testing.assert_array_equal(product, products[0])
            np.testing.assert_array_equal(value, values[0])
