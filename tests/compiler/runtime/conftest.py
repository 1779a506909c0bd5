"""Every test has a cache of its own, no memory of loaded kernels, and none of the user's settings."""

import _ctypes
import os
import subprocess
import sys
import textwrap

import pytest

from unrolled.compiler.runtime import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of this test's kernels, which does not exist yet."""
    for name in ("CC", "UNROLLED_ISA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_loaded", {})
    return tmp_path / "cache"


@pytest.fixture
def forget(monkeypatch):
    """A function that makes this process forget its kernels, as if it were a new one: none may be called again."""

    def call():
        for library in cache._loaded.values():
            _ctypes.dlclose(library._handle)  # or the system's loader would not look at the file again
        cache._loaded.clear()

    return call


@pytest.fixture
def wrapper(tmp_path, monkeypatch):
    """A function that sets $CC to a script; what it does first is given as shell commands."""

    def make(first="", after='exec cc "$@"'):
        path = tmp_path / "wrapped-cc"
        path.write_text(f'#!/bin/sh\ncd "{tmp_path}"\necho call >> calls\n{first}\n{after}\n')
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))
        return path

    return make


@pytest.fixture
def calls(tmp_path):
    """A function that counts how often the wrapper ran."""
    path = tmp_path / "calls"
    return lambda: len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def no_process(monkeypatch):
    """A function after which no process can be started."""

    def refuse(*_, **__):
        raise AssertionError("a process was started")

    def call():
        monkeypatch.setattr(subprocess, "Popen", refuse)
        monkeypatch.setattr(os, "system", refuse)

    return call


@pytest.fixture
def python(tmp_path):
    """A function that runs a program in a process of its own; what it printed."""

    def call(program, timeout=60, **environment):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call
