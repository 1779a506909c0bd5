"""The processor's instructions, and the C compilers of this machine."""

import errno
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ...core import InputError, UnsupportedStep
from .folder import cache_folder

SUFFIX = ".dll" if sys.platform == "win32" else ".so"
REMEDY = "Install gcc or clang, or pip install 'unrolled[compiler]'."
CPUINFO = Path("/proc/cpuinfo")
PATIENCE = 300  # seconds for one kernel, which takes about one

# From the least to the best. They ask for the instructions whose presence PyTorch has checked, no more: a virtual
# machine may hide some of those that -march=x86-64-v3 also takes for granted, and gcc 10 does not know that name.
AVX512 = (
    *("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma", "-mf16c"),
    "-mprefer-vector-width=512",
)
ISA_FLAGS = {
    "portable": (),
    "avx2": ("-mavx2", "-mfma", "-mf16c"),
    "avx512": AVX512,
    "avx512_bf16": (*AVX512, "-mavx512bf16"),
}
# Sums keep their order, products are not fused behind our back, and -0.0 stays -0.0: only errno and floating-point
# traps are given up, which nobody reads.
COMMON_FLAGS = (
    *("-std=gnu11", "-O3", "-shared", "-fvisibility=hidden"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"),
    *(() if sys.platform == "win32" else ("-fPIC",)),
)
LIBRARIES = () if sys.platform == "win32" else ("-lm",)

# What a compiler must manage: a header, the mathematics library, a shared library.
TRIAL = """\
#include <math.h>
__attribute__((visibility("default")))
void trial(const float *x, float *y, int count) {
    for (int i = 0; i < count; i++) y[i] = tanhf(x[i]) + 1.0f;
}
"""


@dataclass(frozen=True)
class Compiler:
    """A C compiler: its name for messages, and the words that start it."""

    name: str
    command: tuple[str, ...]

    @property
    def is_zig(self) -> bool:
        """Whether it is zig's clang, which compiles for this very processor unless told otherwise."""
        return any(Path(word).stem in ("zig", "ziglang") for word in self.command)

    def arguments(self, isa: str) -> list[str]:
        """What comes before the source on its command line."""
        baseline = ("-mcpu=baseline",) if self.is_zig else ()
        return [*self.command, *COMMON_FLAGS, *baseline, *ISA_FLAGS[isa]]


def processor() -> str:
    """The processor's kind, and the best instructions that PyTorch found on it."""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def best_instruction_set() -> str:
    """What this processor can run: "avx512_bf16", "avx512", "avx2" or "portable"."""
    best = {"AVX512": "avx512", "AVX2": "avx2"}.get(torch.backends.cpu.get_cpu_capability(), "portable")
    return "avx512_bf16" if best == "avx512" and _multiplies_bfloat16() else best


def _multiplies_bfloat16() -> bool:
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # not in every version
    if callable(asked):
        return bool(asked())
    try:
        return "avx512_bf16" in CPUINFO.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False


def instruction_set() -> str:
    """What kernels are compiled for: ``$UNROLLED_ISA``, or else the best that this processor can run.

    Raises:
        InputError: ``$UNROLLED_ISA`` is not one of the four names.
        UnsupportedStep: This processor cannot run it.
    """
    best = best_instruction_set()
    forced = os.environ.get("UNROLLED_ISA", "")
    if not forced:
        return best
    known = list(ISA_FLAGS)
    if forced not in known:
        raise InputError(f"UNROLLED_ISA: expected avx512_bf16, avx512, avx2 or portable, got {forced!r}.")
    if known.index(forced) > known.index(best):
        raise UnsupportedStep(
            f"UNROLLED_ISA: expected {' or '.join(known[: known.index(best) + 1])} on this processor "
            f"({processor()}), got {forced}."
        )
    return forced


def compilers() -> Iterator[Compiler]:
    """The compilers to try, in this order: ``$CC`` and no other if it is set; cc, gcc, clang; the ziglang wheel."""
    if named := os.environ.get("CC", "").strip():
        yield Compiler(f"$CC ({named})", _words_of(named))
        return
    seen = set()
    for name in ("cc", "gcc", "clang"):
        path = shutil.which(name)
        if path and os.path.realpath(path) not in seen:
            seen.add(os.path.realpath(path))
            yield Compiler(name, (path,))
    wheel = importlib.util.find_spec("ziglang")
    if wheel is not None and wheel.origin is not None:
        name = "zig.exe" if sys.platform == "win32" else "zig"
        yield Compiler("the ziglang package", (str(Path(wheel.origin).with_name(name)), "cc"))


def _words_of(command: str) -> tuple[str, ...]:
    if shutil.which(command):  # a path, spaces and all
        return (command,)
    try:
        return tuple(shlex.split(command, posix=sys.platform != "win32"))
    except ValueError:  # an open quote: let it fail as the name of a program
        return (command,)


def compile_library(source: str, target: Path, isa: str, kept: Path) -> Compiler:
    """Compile a C text to a shared library with the first compiler that works; which one that was.

    Compilers are not tested beforehand. When one fails, a trial tells whether it or the source is at fault.

    Args:
        source: The text.
        target: The library to make.
        isa: What it is to run on.
        kept: Where a person finds the text.

    Raises:
        UnsupportedStep: There is no compiler that works, or it refuses the source.
        OSError: The disk is full.
    """
    broken = []
    for compiler in compilers():
        fault = attempt(compiler, source, target, isa)
        if not fault:
            return compiler
        if not attempt(compiler, TRIAL, target, isa):
            raise UnsupportedStep(f"{compiler.name} cannot compile the kernel: {fault} (its source: {kept}).")
        broken.append(f"{compiler.name}: {fault}")
    raise UnsupportedStep(no_compiler(broken))


def no_compiler(broken: list[str]) -> str:
    """The words for a machine without a compiler that works; ``broken`` says what is wrong with each."""
    found = f" ({'; '.join(broken)})" if broken else ""
    if os.environ.get("CC", "").strip():
        return f"the compiler that the environment variable CC names does not work{found}. Correct it, or unset CC."
    return f"expected a C compiler that works, got none{found}. {REMEDY}"


def attempt(compiler: Compiler, source: str, target: Path, isa: str) -> str:
    """Compile a text; what the compiler complains of, empty if the library is there.

    A compiler, or its assembler, that does not know AVX512-BF16 yet compiles for AVX-512.

    Raises:
        OSError: The disk is full.
    """
    fault = _attempt(compiler, source, target, isa)
    if isa == "avx512_bf16" and "bf16" in fault:
        return _attempt(compiler, source, target, "avx512")
    return fault


def _attempt(compiler: Compiler, source: str, target: Path, isa: str) -> str:
    command = [*compiler.arguments(isa), "-x", "c", "-", "-o", str(target), *LIBRARIES]
    environment = {**os.environ, "LC_ALL": "C"}
    environment.setdefault("ZIG_GLOBAL_CACHE_DIR", str(cache_folder() / "zig"))
    try:
        done = subprocess.run(
            command,
            input=source.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"nothing came of it in {PATIENCE} s"
    except OSError as error:
        return f"{compiler.command[0]}: {error.strerror or error}"
    if done.returncode == 0 and target.is_file():
        return ""
    said = done.stdout.decode(errors="replace")
    for number in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(number) in said:
            raise OSError(number, os.strerror(number))
    if done.returncode < 0:
        return f"ended by signal {-done.returncode}"
    return _first_complaint(said) or f"exit code {done.returncode}, and not a word"


def _first_complaint(said: str) -> str:
    """The first line that tells of an error: the compiler's, or the linker's before its summary."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line.lower() and not line.startswith(("collect2:", "clang:"))]
    first = (errors or lines or [""])[0]
    return re.sub(r"^<stdin>:", "line ", first).removesuffix(".")


def version(compiler: Compiler) -> str:
    """The first line that it says of itself; empty if it says nothing."""
    try:
        done = subprocess.run([*compiler.command, "--version"], capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next(iter(done.stdout.decode(errors="replace").splitlines()), "").strip()
