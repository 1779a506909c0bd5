"""Kernels on disk: found, built once, and built anew whenever they are not what they claim to be."""

import json
import os
import shutil
import stat
import threading
import time

import pytest

from unrolled.compiler.runtime import clear_cache, load
from unrolled.compiler.runtime.cache import kernel_key
from unrolled.compiler.runtime.folder import scratch_folder
from unrolled.compiler.runtime.toolchain import SUFFIX, instruction_set

SOURCE = """
__attribute__((visibility("default"))) int next(int x) { return x + 1; }
"""
OTHER = SOURCE.replace("+ 1", "+ 2")


def files(folder, source=SOURCE):
    """The library and the record of a kernel."""
    key = kernel_key(source, instruction_set())
    return folder / f"{key}{SUFFIX}", folder / f"{key}.json"


def test_a_kernel_is_built_once_and_then_found_without_any_process(wrapper, calls, forget, no_process):
    wrapper()
    first = load(SOURCE)
    assert first.next(1) == 2
    assert load(SOURCE) is first
    forget()
    no_process()
    assert load(SOURCE).next(2) == 3
    assert calls() == 1


def test_another_text_another_compiler_or_other_flags_are_another_kernel(monkeypatch):
    isa = instruction_set()
    keys = {kernel_key(SOURCE, isa), kernel_key(OTHER, isa), kernel_key(SOURCE, "portable" * (isa != "portable"))}
    monkeypatch.setenv("CC", "cc")
    keys.add(kernel_key(SOURCE, isa))
    assert len(keys) == 4
    assert load(SOURCE).next(1) == 2
    assert load(OTHER).next(1) == 3


def test_a_machine_that_has_lost_its_compiler_runs_what_it_has_built(monkeypatch, forget):
    load(SOURCE)
    forget()
    monkeypatch.setenv("PATH", "")
    assert load(SOURCE).next(1) == 2


def test_threads_that_ask_at_once_get_one_library_built_once(wrapper, calls):
    wrapper("sleep 0.2")
    got = []
    threads = [threading.Thread(target=lambda: got.append(load(SOURCE))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(map(id, got))) == 1
    assert calls() == 1


def test_sixteen_cold_processes_compile_once(wrapper, calls, python, folder):
    wrapper("sleep 0.2")
    printed = python(f"""
        import os
        from unrolled.compiler.runtime import load
        children = []
        for _ in range(16):
            child = os.fork()
            if not child:
                os._exit(load({SOURCE!r}).next(41))
            children.append(child)
        print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    """)
    assert json.loads(printed) == [42] * 16
    assert calls() == 1
    assert not list(folder.glob("*.tmp"))


def test_a_process_killed_while_it_compiles_locks_nobody_out(wrapper, calls, python, folder):
    wrapper("if mkdir first 2>/dev/null; then touch started; while [ ! -e end ]; do sleep 0.02; done; fi")
    python(f"""
        import os, signal, time
        from pathlib import Path
        from unrolled.compiler.runtime import load
        child = os.fork()
        if not child:
            load({SOURCE!r})
            os._exit(0)
        while not Path("started").exists():
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert load({SOURCE!r}).next(1) == 2  # the killed one's compiler is still running
        Path("end").touch()
    """)
    assert calls() == 2
    left = list(folder.glob("*.tmp"))
    assert len(left) <= 1  # what the killed one made
    for path in left:
        os.utime(path, (0, 0))
    load(OTHER)
    assert not list(folder.glob("*.tmp"))


def test_the_lock_of_a_killed_process_does_not_live_on_in_its_children(python):
    python("""
        import os, signal, time
        from pathlib import Path
        from unrolled.compiler.runtime.folder import locked
        lock = Path("x.lock")
        child = os.fork()
        if not child:
            with locked(lock):
                if not os.fork():
                    Path("started").touch()
                    while not Path("end").exists():
                        time.sleep(0.01)
                    os._exit(0)
                os.wait()
        while not Path("started").exists():
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        signal.alarm(20)  # what waits for ever is killed
        with locked(lock):
            Path("end").touch()
    """)


def truncate(library, _):
    library.write_bytes(library.read_bytes()[:1000])


def empty(library, _):
    library.write_bytes(b"")


def flip_a_bit(library, _):
    content = bytearray(library.read_bytes())
    content[len(content) // 2] ^= 1
    library.write_bytes(content)


def put_another_in_its_place(library, _):
    load(OTHER)
    shutil.copy(files(library.parent, OTHER)[0], library)


def link_to_another_place(library, _):
    moved = library.parent.parent / "moved.so"
    library.rename(moved)
    library.symlink_to(moved)


def let_others_write(library, _):
    library.chmod(0o666)


def lose_the_library(library, _):
    library.unlink()


def lose_the_record(_, record):
    record.unlink()


def spoil_the_record(_, record):
    record.write_bytes(b"\xff[")


def record_no_object(_, record):
    record.write_text("[1, 2]")


def change(record, **entries):
    record.write_text(json.dumps({**json.loads(record.read_text()), **entries}))


def record_another_processor(_, record):
    change(record, processor="x86_64 ABACUS")


def record_another_format(_, record):
    change(record, format=0)


def record_another_isa(_, record):
    change(record, isa="abacus")


def put_what_is_no_library(library, record):
    import hashlib

    library.write_bytes(b"rubbish")
    change(record, sha256=hashlib.sha256(b"rubbish").hexdigest())


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        empty,
        flip_a_bit,
        put_another_in_its_place,
        link_to_another_place,
        let_others_write,
        lose_the_library,
        lose_the_record,
        spoil_the_record,
        record_no_object,
        record_another_processor,
        record_another_format,
        record_another_isa,
        put_what_is_no_library,
    ],
)
def test_what_is_damaged_or_foreign_is_built_anew(damage, folder, wrapper, calls, forget, no_process):
    wrapper()
    load(SOURCE)
    forget()
    library, record = files(folder)
    damage(library, record)
    before = calls()
    forget()
    assert load(SOURCE).next(1) == 2
    assert calls() == before + 1
    forget()
    no_process()
    assert load(SOURCE).next(1) == 2  # it has been mended


def test_only_the_user_can_touch_what_is_kept(folder):
    before = os.umask(0)
    try:
        load(SOURCE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_record_says_what_the_library_is(folder):
    load(SOURCE)
    record = json.loads(files(folder)[1].read_text())
    assert set(record) == {"format", "sha256", "processor", "isa", "compiler", "time"}
    assert record["compiler"][0].endswith("cc")


def test_leftovers_are_swept_when_they_are_old(folder):
    load(SOURCE)
    old, new, stray = folder / "a.tmp", folder / "b.tmp", folder / "build.c.tmp"
    old.touch()
    new.touch()
    stray.mkdir()
    (stray / "kernel.so").touch()
    for path in (old, stray):
        os.utime(path, (time.time() - 7200,) * 2)
    with scratch_folder(folder):
        pass
    assert not old.exists()
    assert not stray.exists()
    assert new.exists()


def test_clearing_removes_what_the_cache_made_and_nothing_else(folder):
    assert clear_cache() == 0
    assert not folder.exists()
    load(SOURCE)
    load(OTHER)
    (folder / "zig" / "o").mkdir(parents=True)
    (folder / "mine.so").touch()
    assert clear_cache() == 2
    assert [path.name for path in folder.iterdir()] == ["mine.so"]
