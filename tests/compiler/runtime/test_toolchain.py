"""Which instructions and which compiler are used, and what is said when there are none."""

import ctypes
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch

from unrolled import InputError, UnsupportedStep
from unrolled.compiler.runtime import instruction_set, load, toolchain
from unrolled.compiler.runtime.toolchain import ISA_FLAGS, best_instruction_set

SOURCE = """
__attribute__((visibility("default"))) int next(int x) { return x + 1; }
"""
WIDTH = """
#if defined(__AVX512F__)
#define WIDTH 512
#elif defined(__AVX2__)
#define WIDTH 256
#else
#define WIDTH 0
#endif
__attribute__((visibility("default"))) int width(void) { return WIDTH; }
"""
WIDTHS = {"portable": 0, "avx2": 256, "avx512": 512, "avx512_bf16": 512}
BFLOAT16 = """
#ifdef __AVX512BF16__
#define KNOWN 1
#else
#define KNOWN 0
#endif
__attribute__((visibility("default"))) int known(void) { return KNOWN; }
"""


LEVELS = list(ISA_FLAGS)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A function that puts a script into the only folder on the PATH; in it ``real-cc`` is the real compiler."""
    shell, compiler, search = shutil.which("bash"), shutil.which("cc"), os.environ["PATH"]
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "ziglang", None)

    def script(name, text):
        file = folder / name
        file.write_text(f"#!{shell}\nreal-cc() {{ PATH='{search}' {compiler} \"$@\"; }}\n{text}\n")
        file.chmod(0o755)
        return file

    return script


@pytest.mark.parametrize("isa", ISA_FLAGS)
def test_each_instruction_set_that_this_processor_has(isa, monkeypatch):
    monkeypatch.setenv("UNROLLED_ISA", isa)
    if LEVELS.index(isa) > LEVELS.index(best_instruction_set()):
        with pytest.raises(UnsupportedStep, match=rf"UNROLLED_ISA: expected portable.*, got {isa}\."):
            load(WIDTH)
    else:
        assert instruction_set() == isa
        assert load(WIDTH).width() == WIDTHS[isa]
        assert load(BFLOAT16).known() == (isa == "avx512_bf16")


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(
    ("capability", "isa"),
    [("AVX512", "avx512"), ("AVX2", "avx2"), ("DEFAULT", "portable"), ("SVE256", "portable"), ("NO AVX", "portable")],
)
def test_the_best_that_torch_found_is_used(capability, isa, bfloat16, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bfloat16, raising=False)
    assert instruction_set() == ("avx512_bf16" if bfloat16 and isa == "avx512" else isa)


@pytest.mark.parametrize(
    ("text", "isa"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n", "avx512_bf16"),
        ("flags\t\t: fpu avx512f\n", "avx512"),
        (None, "avx512"),
    ],
)
def test_a_torch_that_cannot_tell_of_bfloat16(text, isa, monkeypatch, tmp_path):
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    monkeypatch.setattr(toolchain, "CPUINFO", file)
    assert instruction_set() == isa


@pytest.mark.parametrize(
    "complaint",
    [
        "cc: error: unrecognized command-line option '-mavx512bf16'",
        "{standard input}:9: Error: no such instruction: `vdpbf16ps %zmm1,%zmm2,%zmm3'",
    ],
)
def test_a_compiler_from_before_bfloat16_still_works(complaint, path, monkeypatch):
    monkeypatch.setattr(toolchain, "best_instruction_set", lambda: "avx512_bf16")
    monkeypatch.setitem(ISA_FLAGS, "avx512", ())  # to run anywhere
    path("cc", f'case "$*" in *-mavx512bf16*) echo {shlex.quote(complaint)} >&2; exit 1;; esac; real-cc "$@"')
    assert load(BFLOAT16).known() == 0


def test_what_the_processor_lacks_is_refused(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setenv("UNROLLED_ISA", "avx512")
    message = r"UNROLLED_ISA: expected portable or avx2 on this processor \(\w+ AVX2\), got avx512\."
    with pytest.raises(UnsupportedStep, match=message):
        instruction_set()


def test_a_name_that_is_none(monkeypatch):
    monkeypatch.setenv("UNROLLED_ISA", "sse")
    with pytest.raises(InputError, match=r"UNROLLED_ISA: expected avx512_bf16, avx512, avx2 or portable, got 'sse'\."):
        load(SOURCE)


def test_arithmetic_is_as_written():
    library = load("""
        #define VISIBLE __attribute__((visibility("default")))
        VISIBLE float fused(float a, float b, float c) { return a * b + c; }
        VISIBLE float sum(const float *x, int n) { float s = 0; for (int i = 0; i < n; i++) s += x[i]; return s; }
        VISIBLE float zero(float x) { return x + 0.0f; }
        VISIBLE float negative(float x) { return 0.0f - x; }
        VISIBLE int is_nan(float x) { return x != x; }
    """)
    for function in (library.fused, library.sum, library.zero, library.negative):
        function.restype = ctypes.c_float
    library.fused.argtypes = [ctypes.c_float] * 3
    library.zero.argtypes = library.negative.argtypes = library.is_nan.argtypes = [ctypes.c_float]
    a = torch.tensor(1 + 2**-12)
    assert library.fused(a, a, -(1 + 2**-11)) == (a * a - (1 + 2**-11)).item() == 0  # fused it would be 2**-24
    values = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    expected = torch.zeros(())
    for value in values:
        expected = expected + value
    assert library.sum((ctypes.c_float * 1000)(*values.tolist()), 1000) == expected.item()
    assert str(library.zero(-0.0)) == "0.0"
    assert str(library.negative(0.0)) == "0.0"
    assert library.is_nan(float("nan")) == 1


def test_no_compiler(path):
    message = (
        r"expected a C compiler that works, got none\. Install gcc or clang, or pip install 'unrolled\[compiler\]'"
    )
    with pytest.raises(UnsupportedStep, match=message):
        load(SOURCE)


def test_a_compiler_that_does_not_work_is_passed_over(path, forget):
    path("cc", "echo cc: fatal error: no as >&2; exit 1")
    with pytest.raises(UnsupportedStep, match=r"got none \(cc: cc: fatal error: no as\)\. Install"):
        load(SOURCE)
    path("gcc", 'real-cc "$@"')
    assert load(SOURCE).next(1) == 2


def test_a_compiler_that_makes_nothing_does_not_work(path):
    path("cc", "exit 0")
    path("clang", "kill -9 $$")
    message = r"\(cc: exit code 0, and not a word; clang: ended by signal 9\)"
    with pytest.raises(UnsupportedStep, match=message):
        load(SOURCE)


@pytest.mark.parametrize(
    ("named", "fault"),
    [
        ("no-such-compiler -x", "no-such-compiler: No such file or directory"),
        ("'open quote", "'open quote: No such file or directory"),
        ("false", "exit code 1, and not a word"),
        ("/", "/: Permission denied"),
    ],
)
def test_a_bad_cc_is_named_and_no_other_is_used(named, fault, monkeypatch):
    monkeypatch.setenv("CC", named)
    with pytest.raises(UnsupportedStep) as caught:
        load(SOURCE)
    assert str(caught.value) == (
        f"the compiler that the environment variable CC names does not work ($CC ({named}): {fault}). "
        "Correct it, or unset CC."
    )


def test_cc_may_hold_arguments(monkeypatch, wrapper):
    text = '__attribute__((visibility("default"))) int number(void) { return NUMBER; }'
    monkeypatch.setenv("CC", "cc -DNUMBER=3 '-DTEXT=\"a b\"'")
    assert load(text).number() == 3
    monkeypatch.setenv("CC", "cc -DNUMBER=4")
    assert load(text).number() == 4


def test_cc_may_be_a_path_with_spaces(path, monkeypatch, tmp_path):
    real = path("cc", 'real-cc "$@"')
    (tmp_path / "a b").mkdir()
    monkeypatch.setenv("CC", str(real.rename(tmp_path / "a b" / "cc")))
    assert load(SOURCE).next(1) == 2


def test_a_text_that_does_not_compile(folder):
    with pytest.raises(UnsupportedStep) as caught:
        load("\nint f(void) { return nothing; }\n")
    message = str(caught.value)
    assert message.startswith("cc cannot compile the kernel: line 2:22: error: ")
    assert "nothing" in message
    kept = message.partition("(its source: ")[2].removesuffix(").")
    assert os.path.dirname(kept) == str(folder)
    assert Path(kept).read_text() == "\nint f(void) { return nothing; }\n"
    assert not list(folder.glob("*.tmp"))


def test_a_text_that_does_not_assemble():
    with pytest.raises(UnsupportedStep, match=r"cannot compile the kernel: .*Error: no such instruction"):
        load('__asm__("nowhere");')


def test_a_linker_that_fails_is_quoted_not_its_summary(monkeypatch):
    monkeypatch.setenv("CC", "cc -lnowhere")
    with pytest.raises(UnsupportedStep, match=r"\$CC \(cc -lnowhere\): .*ld: cannot find -lnowhere"):
        load(SOURCE)


def test_a_library_that_the_system_will_not_load():
    text = 'int nowhere(void); __attribute__((visibility("default"))) int f(void) { return nowhere(); }'
    with pytest.raises(UnsupportedStep, match=r"built, but the system will not load it .*undefined symbol: nowhere"):
        load(text)


def test_the_ziglang_wheel_comes_last_and_is_told_the_processor(path, tmp_path, monkeypatch):
    wheel = tmp_path / "wheels" / "ziglang"
    wheel.mkdir(parents=True)
    (wheel / "__init__.py").touch()
    say = f'echo "$ZIG_GLOBAL_CACHE_DIR" "$@" > "{tmp_path}/said"; shift; real-cc "${{@/-mcpu=*/-O3}}"'
    path("zig", say).rename(wheel / "zig")
    monkeypatch.delitem(sys.modules, "ziglang")
    monkeypatch.syspath_prepend(str(wheel.parent))
    assert load(SOURCE).next(1) == 2
    said = (tmp_path / "said").read_text()
    assert said.startswith(f"{tmp_path}/cache/zig cc ")
    assert " -mcpu=baseline " in said


@pytest.mark.slow
@pytest.mark.parametrize("isa", ISA_FLAGS)
def test_the_real_ziglang_wheel(isa, monkeypatch):
    pytest.importorskip("ziglang")
    if LEVELS.index(isa) > LEVELS.index(best_instruction_set()):
        pytest.skip(f"this processor lacks {isa}")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("UNROLLED_ISA", isa)
    assert load(WIDTH).width() == WIDTHS[isa]
