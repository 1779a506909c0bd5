"""The hand-written C as a library at one processor level, and operands for it."""

import ctypes
import itertools
import shutil
import subprocess

import numpy as np

from unrolled.compiler.codegen.prelude import prelude
from unrolled.compiler.runtime.toolchain import COMMON_FLAGS, ISA_FLAGS, best_instruction_set

COMPILER = shutil.which("gcc") or "cc"
RUNNABLE = list(ISA_FLAGS)[: list(ISA_FLAGS).index(best_instruction_set()) + 1]
UNARY = ["exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "sqrt", "rsqrt", "sin", "cos"]
TYPES = {"f": np.float32, "d": np.float64}
C_NAMES = {"f": "float", "d": "double", "h": "float"}
PACKED = {"f": np.float32, "d": np.float64, "h": np.uint16}
SIZE = ctypes.c_long


def text() -> str:
    """Return the prelude with an exported function around every inline one."""
    parts = [prelude(True)]
    for suffix, name in itertools.product(TYPES, UNARY):
        real = C_NAMES[suffix]
        parts.append(  # one line each: the vectoriser's report names a line
            f"void {name}_{suffix}(long n, const {real} *restrict in, {real} *restrict out)"
            f" {{ for (long j = 0; j < n; j++) out[j] = u_{name}_{suffix}(in[j]); }}"
        )
    for suffix in TYPES:
        parts.append(ELEMENTS.replace("REAL", C_NAMES[suffix]).replace("_S", f"_{suffix}"))
    for suffix, packed in (("f", "float"), ("d", "double"), ("h", "uint16_t")):
        parts.append(PRODUCTS.replace("REAL", C_NAMES[suffix]).replace("PACKED", packed).replace("_S", f"_{suffix}"))
    return "\n".join([*parts, CONVERSIONS])


ELEMENTS = """
void pow_S(long n, const REAL *x, const REAL *y, REAL *out) {
    for (long j = 0; j < n; j++) out[j] = u_pow_S(x[j], y[j]);
}
REAL sum_lanes_S(const REAL *lanes) { return u_sum_lanes_S(lanes); }
void small_product_S(long M, long K, long N, const REAL *a, long as_m, long as_k, const REAL *b, long bs_k,
                     long bs_n, REAL *c, long cs_m, long cs_n) {
    u_small_product_S(M, K, N, a, as_m, as_k, b, bs_k, bs_n, c, cs_m, cs_n);
}
"""
PRODUCTS = """
long packed_size_S(long K, long N) { return u_packed_size_S(K, N); }
long panels_S(long N) { return u_panels_S(N); }
void pack_S(long K, long N, const REAL *b, long sk, long sn, PACKED *packed) { u_pack_S(K, N, b, sk, sn, packed); }
void pack_panels_S(long K, long N, const REAL *b, long sk, long sn, PACKED *packed, long first, long last) {
    u_pack_panels_S(K, N, b, sk, sn, packed, first, last);
}
void product_S(long C, long R, long K, long N, const REAL *a, long lda, long step_a, const PACKED *packed, REAL *c,
               long ldc, long step_c, const REAL *start) {
    u_product_S(C, R, K, N, a, lda, step_a, packed, c, ldc, step_c, start, 0);
}
long total_workspace_S(long N) { return u_total_workspace_S(N); }
void total_S(long rows, long M, long N, const REAL *a, long lda, const REAL *b, long ldb, REAL *c, long ldc,
             long m_first, long m_last, REAL *workspace) {
    u_total_S(rows, M, N, a, lda, b, ldb, c, ldc, m_first, m_last, workspace);
}
void total_rows_S(long rows, long M, const REAL *a, long lda, REAL *c, long m_first, long m_last) {
    u_total_rows_S(rows, M, a, lda, c, m_first, m_last);
}
"""
CONVERSIONS = """
void bf16_to_f(long n, const uint16_t *restrict in, float *restrict out) {
    for (long j = 0; j < n; j++) out[j] = u_bf16_to_f(in[j]);
}
void f_to_bf16(long n, const float *restrict in, uint16_t *restrict out) {
    for (long j = 0; j < n; j++) out[j] = u_f_to_bf16(in[j]);
}
"""


def command(level, source, library):
    """The words that compile a text for one level; anything to complain of is an error."""
    flags = (*COMMON_FLAGS, "-fvisibility=default", *ISA_FLAGS[level], "-Wall", "-Wextra", "-Werror")
    return [COMPILER, *flags, source, "-o", library, "-lm"]


class Library:
    """The text compiled for one level; arrays go in as pointers, integers as long."""

    def __init__(self, folder, level):
        source, library = folder / "harness.c", folder / "harness.so"
        source.write_text(text())
        subprocess.run(command(level, source, library), check=True)
        self.functions = ctypes.CDLL(str(library))
        self.level = level

    def __call__(self, name, *arguments, returns=None):
        function = getattr(self.functions, name)
        function.restype = returns
        return function(*(ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else SIZE(a) for a in arguments))

    def unary(self, name, x):
        x = np.ascontiguousarray(x)
        out = np.full_like(x, np.nan)
        self(f"{name}_{suffix_of(x)}", x.size, x, out)
        return out

    def pack(self, b, suffix=None, shares=None):
        """Pack b (K, N) of any strides into memory that is aligned to one element only, with a guard around it.

        Args:
            b: The matrix.
            suffix: The type; b's own if None.
            shares: How many panels at a time; all by one call if None.
        """
        suffix = suffix or suffix_of(b)
        K, N = b.shape
        size = self(f"packed_size_{suffix}", K, N, returns=SIZE)
        memory = poisoned(size + 2, PACKED[suffix])
        strides = [stride // b.itemsize for stride in b.strides]
        if shares is None:
            self(f"pack_{suffix}", K, N, b, *strides, memory[1:])
        else:
            panels = self(f"panels_{suffix}", N, returns=SIZE)
            for first in reversed(range(0, panels, shares)):
                last = min(first + shares, panels)
                self(f"pack_panels_{suffix}", K, N, b, *strides, memory[1:], first, last)
        assert is_poison(memory[[0, -1]]).all()
        assert not is_poison(memory[1:-1]).any()
        return memory[1:-1]

    def product(self, a, b, start=None, suffix=None, groups=1):
        """Return a b, or a row ``start`` + a b; c is a window in NaN that must stay, in groups with a gap between."""
        suffix = suffix or suffix_of(a)
        R, K, N = *a.shape, b.shape[1]
        height = R // groups
        c = np.full((groups, height + 1, N + 3), np.nan, a.dtype)
        lda = a.strides[0] // a.itemsize
        packed, steps = self.pack(b, suffix), (height * lda, c[0].size)
        self(
            f"product_{suffix}",
            groups,
            height,
            K,
            N,
            a,
            lda,
            steps[0],
            packed,
            c,
            N + 3,
            steps[1],
            0 if start is None else start,
        )
        assert np.isnan(c[:, height]).all()
        assert np.isnan(c[:, :, N:]).all()
        return c[:, :height, :N].reshape(R, N)

    def total(self, a, b, shares=1, suffix=None):
        """Return a.T b; its rows are computed in shares, and it is a window in NaN that must stay."""
        suffix = suffix or suffix_of(a)
        (rows, M), N = a.shape, b.shape[1]
        c = np.full((M + 1, N + 3), np.nan, a.dtype)
        lda, ldb = (x.strides[0] // x.itemsize for x in (a, b))
        for k in range(shares):
            size = self(f"total_workspace_{suffix}", N, returns=SIZE)
            memory = np.full(size + 128, np.nan, a.dtype)
            begin = -memory.ctypes.data % 64 // memory.itemsize
            ends = M * k // shares, M * (k + 1) // shares
            self(f"total_{suffix}", rows, M, N, a, lda, b, ldb, c, N + 3, *ends, memory[begin:])
            assert np.isnan(memory[begin + size :]).all()
        assert np.isnan(c[M]).all()
        assert np.isnan(c[:M, N:]).all()
        return c[:M, :N].copy()


def suffix_of(x):
    return "f" if x.dtype == np.float32 else "d"


def poisoned(size, dtype):
    return np.full(size, 0x7FC1 if dtype == np.uint16 else np.nan, dtype)


def is_poison(x):
    return x == 0x7FC1 if x.dtype == np.uint16 else np.isnan(x)


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


def operands(dtype, rows, inner, columns):
    """Return a with rows further apart than they are long, NaN in between, and b."""
    random = np.random.default_rng((rows, inner, columns))
    a = np.full((rows, inner + 2), np.nan, dtype)
    a[:, :inner] = random.normal(size=(rows, inner))
    return a[:, :inner], random.normal(size=(inner, columns)).astype(dtype)


def assert_product(c, a, b, start=0.0):
    """c is start + a b, as far as sums of c's type can be."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    bound = (np.finfo(c.dtype).eps * (a.shape[1] + 1)) * (abs(a) @ abs(b) + abs(start))
    assert (abs(c - (start + a @ b)) <= bound).all()
