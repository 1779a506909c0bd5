"""Whether kernels can be compiled and run on this machine: what was found, what is used, and why."""

import ctypes
import os
import platform
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from ...core import UnrolledError, UnsupportedStep
from . import cache, folder, threads, toolchain

_VALUES = (0.0, -0.5, 2.0)


@dataclass(frozen=True)
class Finding:
    """One line: of what, what was found, and why it is so or what follows."""

    label: str
    finding: str
    why: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All findings; ``trouble`` is empty where kernels work, and otherwise names the remedy."""

    findings: tuple[Finding, ...]
    trouble: str = ""


def diagnose() -> Diagnosis:
    """Look at the machine, compile a tiny kernel with every compiler, and run one."""
    findings = [
        Finding("platform", sysconfig.get_platform(), f"Python {platform.python_version()}, torch {torch.__version__}"),
        Finding("processor", processor_words(), "as torch finds it"),
    ]
    troubles: list[str] = []
    for part in (_instructions, _cache, _compilers, _threads, _proof):
        found, trouble = part()
        findings += found
        troubles += [trouble] * bool(trouble)
    return Diagnosis(tuple(findings), troubles[0] if troubles else "")


Part = tuple[list[Finding], str]


def processor_words() -> str:
    """Such as ``x86_64 AVX2, 8 cores``."""
    count = os.cpu_count() or 1
    return f"{toolchain.processor()}, {count} core{'s' * (count > 1)}"


def _instructions() -> Part:
    forced = os.environ.get("UNROLLED_ISA", "")
    try:
        isa = toolchain.instruction_set()
    except UnrolledError as error:
        return [Finding("kernels for", "nothing", "UNROLLED_ISA cannot be followed")], str(error)
    why = "UNROLLED_ISA says so" if forced else "the best that this processor has"
    return [Finding("kernels for", isa, why)], ""


def _compilers() -> Part:
    isa = toolchain.best_instruction_set()
    findings, broken, used = [], [], False
    for compiler in toolchain.compilers():
        fault = _try(compiler, isa)
        if fault:
            findings.append(Finding("compiler", compiler.name, f"does not work: {fault}"))
            broken.append(f"{compiler.name}: {fault}")
            continue
        why = f"{' '.join(compiler.command)}, {toolchain.version(compiler) or 'of an unknown version'}"
        findings.append(Finding("compiler", compiler.name, f"{'works too' if used else 'used'}: {why}"))
        used = True
    if not findings:
        findings.append(Finding("compiler", "none", "no $CC, no cc, gcc or clang on the PATH, no ziglang package"))
    return findings, "" if used else toolchain.no_compiler(broken)


def _try(compiler: toolchain.Compiler, isa: str) -> str:
    try:
        place = folder.open_folder()
        with folder.scratch_folder(place) as scratch:
            return toolchain.attempt(compiler, toolchain.TRIAL, scratch / f"trial{toolchain.SUFFIX}", isa)
    except UnsupportedStep:
        return "not tried, for want of a cache folder"
    except OSError as error:
        return error.strerror or str(error)


def _cache() -> Part:
    try:
        place = folder.cache_folder()
        folder.open_folder()
        folder.write_whole(place / f"{'0' * 64}.lock", b"")
        (place / f"{'0' * 64}.lock").unlink()
    except UnsupportedStep as error:
        return [Finding("cache", "refused", "see below")], str(error)
    except OSError as error:
        trouble = f"{place}: cannot keep a kernel there ({error.strerror or error}). {folder.REMEDY}"
        return [Finding("cache", str(place), f"cannot be written to: {error.strerror or error}")], trouble
    kernels = sum(path.suffix == toolchain.SUFFIX for path in place.iterdir())
    size = sum(map(_size, place.rglob("*"))) / 1e6
    return [Finding("cache", str(place), f"{kernels} kernel{'s' * (kernels != 1)}, {size:.1f} MB")], ""


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:  # gone meanwhile
        return 0


def _threads() -> Part:
    found = threads.runtime()
    count = threads.thread_count()
    if not found.parallel:
        return [Finding("threads", "1", found.why_not)], ""
    return [Finding("threads", str(count), f"of torch's own pool ({_file_of(found.parallel)})")], ""


def _file_of(address: int) -> str:
    """The file that the code at an address was loaded from."""
    maps = Path("/proc/self/maps")
    for line in maps.read_text().splitlines() if maps.exists() else ():
        start, _, rest = line.partition("-")
        if int(start, 16) <= address < int(rest.split()[0], 16):
            return Path(line.split()[-1]).name
    return "OpenMP"


def _proof() -> Part:
    """Load a kernel as every kernel is loaded, run it, and compare."""
    begin = time.perf_counter()
    try:
        library = cache.load(toolchain.TRIAL)
    except UnrolledError as error:
        return [Finding("a tiny kernel", "does not run", "see below")], str(error)
    array = ctypes.c_float * len(_VALUES)
    result = array()
    library.trial(array(*_VALUES), result, len(_VALUES))
    expected = torch.tensor(_VALUES, dtype=torch.float64).tanh() + 1
    if not torch.allclose(torch.tensor(list(result), dtype=torch.float64), expected, rtol=1e-6, atol=0):
        trouble = f"a tiny kernel computes {list(result)} and not {expected.tolist()}: try another compiler, CC=clang."
        return [Finding("a tiny kernel", "is wrong", "see below")], trouble
    return [Finding("a tiny kernel", "runs", f"in {time.perf_counter() - begin:.2f} s, and its numbers are right")], ""
