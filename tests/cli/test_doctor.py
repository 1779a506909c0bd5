"""`unrolled doctor`: what a user reads, and the exit code that a script reads."""

import os
import pty
import subprocess
import sys

import pytest

from unrolled.compiler.runtime import cache

LABELS = ["platform", "processor", "kernels for", "cache", "compiler", "threads", "a tiny kernel"]


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    for name in ("CC", "UNROLLED_ISA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(cache, "_loaded", {})


def labels(shown):
    return [line[:15].strip() for line in shown.partition("\n\n")[0].splitlines() if line[:1] != " "]


def joined(shown):
    return " ".join(shown.split())


def test_all_is_well(main, tmp_path):
    code, shown, errors = main("doctor")
    assert (code, errors) == (0, "")
    assert set(labels(shown)) == set(LABELS)
    assert f"{tmp_path}/cache, 0 kernels, 0.0 MB" in joined(shown)
    assert "and its numbers are right" in joined(shown)
    assert shown.endswith("\n\nSteps can be compiled here.\n")
    assert all(len(line) <= 80 for line in shown.splitlines() if str(tmp_path) not in line)
    assert "1 kernel," in joined(main("doctor")[1])
    assert [path for path in (tmp_path / "cache").iterdir() if path.suffix == ".tmp"] == []


def test_no_compiler(main, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "ziglang", None)
    code, shown, _ = main("doctor")
    assert code == 1
    assert "none, no $CC, no cc, gcc or clang on the PATH, no ziglang package" in joined(shown)
    assert joined(shown).endswith(
        "Reason: expected a C compiler that works, got none. Install gcc or clang, or pip install 'unrolled[compiler]'."
    )


@pytest.mark.parametrize(
    ("name", "value", "finding", "reason"),
    [
        ("CC", "gone -x", "$CC (gone -x), does not work: gone: No such file", "variable CC names does not work"),
        ("UNROLLED_ISA", "sse", "nothing, UNROLLED_ISA cannot be followed", "portable, got 'sse'."),
        ("UNROLLED_CACHE", "/dev/null", "refused, see below", "expected a folder, got a file"),
        ("UNROLLED_CACHE", "/dev/null/x", "refused, see below", "/dev/null/x: no folder to keep kernels in"),
        ("UNROLLED_CACHE", "~no-such-user", "refused, see below", "no folder to keep kernels in"),
    ],
)
def test_what_is_wrong_is_named(main, monkeypatch, name, value, finding, reason):
    monkeypatch.setenv(name, value)
    code, shown, errors = main("doctor")
    assert (code, errors) == (1, "")
    assert finding in joined(shown)
    assert reason in joined(shown).partition("Reason: ")[2]
    assert set(labels(shown)) == set(LABELS)


def test_what_was_forced_is_said(main, monkeypatch):
    monkeypatch.setenv("UNROLLED_ISA", "portable")
    assert "portable, UNROLLED_ISA says so" in joined(main("doctor")[1])


def test_a_compiler_that_computes_nonsense(main, monkeypatch, tmp_path):
    script = tmp_path / "cc-of-another-world"
    script.write_text('#!/bin/sh\nexec cc "$@" -Dtanhf=sinf\n')
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    code, shown, _ = main("doctor")
    assert code == 1
    assert "Reason: a tiny kernel computes [" in joined(shown)


def test_on_a_terminal_it_keeps_to_the_columns(tmp_path):
    columns = 50
    terminal, its_end = pty.openpty()
    command = [sys.executable, "-m", "unrolled", "doctor"]
    environment = {**os.environ, "COLUMNS": str(columns)}
    process = subprocess.Popen(command, stdout=its_end, stderr=its_end, stdin=its_end, env=environment, cwd=tmp_path)
    os.close(its_end)
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    assert process.wait() == 0
    lines = shown.decode().splitlines()
    place = str(tmp_path)  # no path is broken in two
    assert all(len(line) <= columns for line in lines if place not in line)
    assert lines[-1] == "Steps can be compiled here."


def test_the_cache_is_cleared(main, tmp_path):
    main("doctor")
    assert main("doctor", "--clear-cache") == (0, f"1 kernel removed from {tmp_path}/cache\n", "")
    assert main("doctor", "--clear-cache") == (0, f"0 kernels removed from {tmp_path}/cache\n", "")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_folder_that_is_not_safe_is_not_cleared(main, tmp_path):
    main("doctor")
    (tmp_path / "cache").chmod(0o777)
    code, _, errors = main("doctor", "--clear-cache")
    assert code == 1
    assert "others can write to it" in errors
    assert len(list((tmp_path / "cache").iterdir())) == 4
