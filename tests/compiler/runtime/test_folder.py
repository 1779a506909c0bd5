"""The folder: where it is, when it is refused, and what happens when it cannot be written to."""

import errno
import os
from pathlib import Path

import pytest

from unrolled import UnsupportedStep
from unrolled.compiler.runtime import cache_folder, find_text, load, store_text
from unrolled.compiler.runtime import folder as module

SOURCE = """
__attribute__((visibility("default"))) int next(int x) { return x + 1; }
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"UNROLLED_CACHE": "/a/b", "XDG_CACHE_HOME": "/x"}, "/a/b"),
        ({"UNROLLED_CACHE": "~/b"}, "/home/me/b"),
        ({"UNROLLED_CACHE": "", "XDG_CACHE_HOME": "/x"}, "/x/unrolled"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/unrolled"),
        ({}, "/home/me/.cache/unrolled"),
    ],
)
def test_where_it_is(monkeypatch, variables, expected):
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.delenv("UNROLLED_CACHE")
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_a_relative_folder_is_one_of_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNROLLED_CACHE", "here")
    assert cache_folder() == tmp_path / "here"


def test_a_user_without_a_home(monkeypatch):
    monkeypatch.setenv("UNROLLED_CACHE", "~nobody-of-this-name/x")
    with pytest.raises(UnsupportedStep, match=r"no folder to keep kernels in .* Set UNROLLED_CACHE"):
        load(SOURCE)


def refused(reason):
    return pytest.raises(UnsupportedStep, match=f"{reason}.*Set UNROLLED_CACHE to a folder that only you can write to")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(folder, mode):
    folder.mkdir()
    folder.chmod(mode)
    with refused(rf"others can write to it \(chmod go-w {folder}\)"):
        load(SOURCE)
    assert not list(folder.iterdir())


def test_kernels_of_a_folder_that_was_opened_to_others_are_not_loaded(folder, forget):
    load(SOURCE)
    forget()
    folder.chmod(0o777)
    with refused("others can write to it"):
        load(SOURCE)


def test_a_link_is_refused_wherever_it_points(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with refused("expected a folder, got a symbolic link"):
        load(SOURCE)
    folder.unlink()
    folder.symlink_to(tmp_path / "nowhere")
    with refused("expected a folder, got a symbolic link"):
        load(SOURCE)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_folder_of_another_user_is_refused(folder, monkeypatch):
    folder.mkdir(mode=0o700)
    owner = folder.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with refused(f"expected a folder of user {owner + 1}, got one of user {owner}"):
        load(SOURCE)


def test_a_folder_that_everybody_could_replace_is_refused(tmp_path, monkeypatch):
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    monkeypatch.setenv("UNROLLED_CACHE", str(place / "cache"))
    with refused(f"others can replace it, since everybody can write to {place}"):
        load(SOURCE)
    place.chmod(0o1777)  # as /tmp: only the owner may rename it
    assert load(SOURCE).next(1) == 2


def test_a_file_in_its_place_is_refused(folder, tmp_path, monkeypatch):
    folder.touch()
    with refused("expected a folder, got a file"):
        load(SOURCE)
    monkeypatch.setenv("UNROLLED_CACHE", str(folder / "below"))
    with refused(f"{folder / 'below'}: no folder to keep kernels in"):
        load(SOURCE)


def failing(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_read_only_folder_still_gives_what_is_in_it(folder, monkeypatch, forget):
    load(SOURCE)
    forget()
    monkeypatch.setattr(module.tempfile, "mkstemp", failing(errno.EROFS))
    monkeypatch.setattr(module.os, "open", failing(errno.EROFS))  # the lock's
    assert load(SOURCE).next(1) == 2
    with refused(r"cannot keep a kernel there \(Read-only file system\)"):
        load(SOURCE.replace("+ 1", "+ 2"))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk(folder, monkeypatch, call, wrapper, calls):
    wrapper()
    monkeypatch.setattr(module.os, call, failing(errno.ENOSPC))
    with refused(r"cannot keep a kernel there \(No space left on device\)"):
        load(SOURCE)
    assert not list(folder.glob("*.tmp"))
    monkeypatch.undo()
    assert calls() == 0


def test_a_disk_that_is_full_for_the_compiler(wrapper):
    wrapper(after='echo "/tmp/x.s: No space left on device" >&2; exit 1')
    with refused(r"cannot keep a kernel there \(No space left on device\)"):
        load(SOURCE)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(monkeypatch, number):
    monkeypatch.setattr(module.fcntl, "flock", failing(number))
    assert load(SOURCE).next(1) == 2


TEXTS = ["{}", "", "a\nb\n\n", "φ ☃ \x00"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back(text):
    assert find_text("trace", "a") is None
    store_text("trace", "a", text)
    assert find_text("trace", "a") == text
    assert find_text("trace", "b") is None
    assert find_text("plan", "a") is None
    store_text("trace", "a", "other")
    assert find_text("trace", "a") == "other"


def test_a_damaged_text_is_no_text(folder):
    store_text("trace", "a", "[1, 2]")
    store_text("trace", "b", "[3, 4]")
    first, second = sorted(folder.iterdir())
    first.write_bytes(second.read_bytes())
    assert (find_text("trace", "a") is None) != (find_text("trace", "b") is None)
    for content in (b"", b"\xff\n", second.read_bytes()[:-1], second.read_bytes() + b" ", b"\n[3, 4]"):
        second.write_bytes(content)
        assert find_text("trace", "a") is None
        assert find_text("trace", "b") is None


def test_texts_pass_over_trouble_with_the_folder(folder, monkeypatch):
    store_text("trace", "a", "x")
    monkeypatch.setattr(module.os, "fsync", failing(errno.ENOSPC))
    store_text("trace", "a", "y")
    assert find_text("trace", "a") == "x"
    assert len(list(folder.iterdir())) == 1
    folder.chmod(0o777)
    store_text("trace", "a", "z")
    assert find_text("trace", "a") is None


def test_a_kind_is_a_word():
    with pytest.raises(ValueError, match=r"kind: expected lower-case letters and _, got '\.\./x'"):
        store_text("../x", "a", "")
