"""The whole benchmark at tiny sizes: what it finds, what it says, what happens when it is interrupted."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from torch import nn

from unrolled import InputError
from unrolled.bench import GROUPS, Options, Results, Shape, benchmark, every_cell, run
from unrolled.bench.benchmark import Watcher
from unrolled.bench.memory import NotMeasured, training_bytes
from unrolled.bench.options import parse_groups, parse_shape
from unrolled.bench.plot import plot
from unrolled.bench.races import CELLS, OwnCell
from unrolled.bench.report import report
from unrolled.bench.results import FORMAT, Failure, Growth, Row, Share, geometric_mean
from unrolled.bench.timing import Times

TINY = Options(groups=("gru", "layernorm", "step"), shapes=(Shape(4, 2, 4), Shape(3, 1, 4)), seconds=0, quick=True)
T1, T2 = Times(1.0, 2.0, 5), Times(3.0, 5.0, 5)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("unrolled.bench.peak.TRIES", 1)
    monkeypatch.setattr("unrolled.bench.single.STEPS", 3)
    monkeypatch.setattr("unrolled.bench.special.SHARE", Shape(3, 2, 4))
    monkeypatch.setattr("unrolled.bench.special.BF16", (Shape(3, 2, 4),))
    monkeypatch.setattr("unrolled.bench.special.LENGTHS", tuple(Shape(T, 2, 4) for T in (3, 5, 9)))
    monkeypatch.setattr("unrolled.bench.special.BATCHES", tuple(Shape(3, B, 4) for B in (1, 2, 3, 4)))
    monkeypatch.setattr("unrolled.bench.special.LONG", Shape(16, 2, 4))
    for name in ("STEP_SIZES", "QUICK_STEP_SIZES"):
        monkeypatch.setattr(f"unrolled.bench.benchmark.{name}", (4,))
    monkeypatch.setattr("unrolled.bench.special.training_bytes", lambda *_, every=None, **__: 100 if every else 200)


@pytest.fixture
def no_peers(monkeypatch):
    for name in ("onnxruntime", "onnx", "jax"):
        monkeypatch.setitem(sys.modules, name, None)


def some_results(**more):
    rows = [
        Row("lstm", "LSTM", "training", Shape(100, 1, 64), "torch.nn.LSTM", T1, T2),
        Row("lstm", "LSTM", "training", Shape(100, 1, 64), "jax lax.scan", T1, T1),
        Row("lstm", "LSTM", "training", Shape(10_000, 32, 1024), "torch.nn.LSTM", T2, T1),
        Row("memory", "checkpoint_every=100", "training", Shape(9, 2, 4), "without", T1, T2, "bytes"),
    ]
    machine = {"processor": "P" * 60, "instructions": "avx2", "cores": 4, "system": "Linux " * 10}
    given = {
        "started": "now",
        "machine": machine,
        "versions": {"torch": "2.13.0", "jax": None},
        "threads": {"torch": 2, "jax": None},
        "missing": {"jax": "jax"},
        "rows": rows,
        "complete": True,
    }
    return Results(**{**given, **more})


def test_every_group_is_measured_without_any_peer_but_torch(no_peers, monkeypatch):
    monkeypatch.setitem(CELLS, "invented", {"mixture": CELLS["invented"]["mixture"]})
    monkeypatch.setattr(every_cell, "names", lambda: ["Elman"])

    class Own(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.cell = nn.GRUCell(size, size)

        def initial_state(self, batch_size):
            return self.cell.weight_hh.new_zeros(batch_size, self.cell.hidden_size)

        def step(self, x, h):
            h = self.cell(x, h)
            return h, h

    results = run(replace(TINY, groups=tuple(GROUPS), shapes=TINY.shapes[:1], quick=False), cell=OwnCell("Own", Own))
    assert results.failures == []
    assert results.complete
    assert results.missing == {"onnxruntime": "onnxruntime, onnx", "jax": "jax"}
    assert {row.group for row in results.rows} == set(GROUPS) - {"share", "linear", "cells"}
    assert {row.peer for row in results.rows if row.group == "lstm"} == {"torch.nn.LSTM"}
    assert [one.name for one in results.cells] == ["Elman"]
    assert [share.mode for share in results.shares] == ["inference", "training"]
    assert all(0 < share.share < 1 for share in results.shares)
    assert [len(growth.shapes) for growth in results.growth] == [3, 4]
    assert {row.unit for row in results.rows if row.group == "memory"} == {"bytes", "seconds"}
    text = report(results)
    assert all(len(line) <= 80 for line in text.splitlines())
    joined = " ".join(text.split())
    assert "missing: onnxruntime (onnxruntime, onnx not installed; pip install 'unrolled[bench]')" in joined
    assert "missing: jax (jax not installed;" in joined


def test_the_schema():
    found = json.loads(json.dumps(run(TINY).to_dict()))
    assert found["format"] == FORMAT
    assert found["complete"] is True
    assert set(found) == {
        *("format", "complete", "started", "seconds", "machine", "versions", "threads", "missing", "peak_gflops"),
        *("rows", "summary", "shares", "growth", "cells", "failures"),
    }
    assert set(found["machine"]) == {"processor", "instructions", "cores", "usable_cores", "system", "python"}
    assert found["threads"]["torch"] == found["threads"]["unrolled"]
    assert found["versions"]["torch"]
    assert found["peak_gflops"]["one_thread"] > 0
    for row in found["rows"]:
        assert set(row) == {"group", "name", "mode", "shape", "peer", "ours", "theirs", "unit", "ratio"}
        assert set(row["shape"]) == {"T", "B", "H"}
        assert set(row["ours"]) == set(row["theirs"]) == {"best", "median", "count"}
        assert row["ours"]["best"] <= row["ours"]["median"]
        assert row["ratio"]["best"] == pytest.approx(row["theirs"]["best"] / row["ours"]["best"])
    for line in found["summary"]:
        assert line["minimum"] <= line["geometric_mean"] * (1 + 1e-9)
    assert found["growth"] == found["shares"] == found["cells"] == found["failures"] == []


def test_the_summary():
    lines = some_results().summary()
    assert [(line["peer"], line["count"]) for line in lines] == [
        ("torch.nn.LSTM", 2),
        ("jax lax.scan", 1),
        ("without", 1),
    ]
    assert lines[0]["geometric_mean"] == pytest.approx(1.0)
    assert lines[0]["minimum"] == pytest.approx(1 / 3)
    assert lines[0]["minimum_shape"] == {"T": 10_000, "B": 32, "H": 1024}
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)


def test_the_report():
    shapes = (Shape(100_000, 4, 16), Shape(10, 1, 2))
    results = some_results(
        shares=[Share("training", shapes[0], 100.0, 400.0)],
        growth=[Growth("T", shapes, (Times(4.0, 4.0, 3), Times(2e-5, 2e-5, 3)))],
        failures=[Failure("lstm", "LSTM training 1x2x3", "jax lax.scan", "outputs: " + "far " * 40)],
        complete=False,
    )
    text = report(results)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "  100x1x64               1 s         3.00 (2.50)         1.00 (1.00)" in text
    assert "  10000x32x1024          3 s         0.33 (0.40)                   -" in text
    assert "100 GFLOP/s of 400    25.0 %" in text
    assert "checkpoint_every=100, training: peak memory" in text
    assert "  10x1x2               20 µs   0.20" in text
    assert "LSTM training 1x2x3 with jax lax.scan: outputs: far" in text
    assert text.endswith("Interrupted: this is what was measured until then.")
    assert "Traceback" not in text


def test_a_row_whose_peer_fails_still_has_its_place():
    results = some_results(rows=[], failures=[Failure("cell", "Own training 1x2x3", "", "why")])
    text = report(results)
    assert "Own training 1x2x3: why" in text
    assert "Over all shapes" not in text


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_plot(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"ratios.{suffix}"
    plot(some_results(), path)
    content = path.read_bytes()
    assert content.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[suffix])
    plot(some_results(rows=[]), path)  # interrupted at once


def test_ctrl_c_keeps_what_there_is():
    class Impatient(Watcher):
        def begins(self, title):
            if title.startswith("GRU training"):
                raise KeyboardInterrupt

    results = run(TINY, watcher=Impatient())
    assert not results.complete
    assert [(row.mode, str(row.shape)) for row in results.rows if row.peer.startswith("torch")] == [
        ("inference", "4x2x4"),
        ("inference", "3x1x4"),
    ]
    assert results.to_dict()["complete"] is False


def test_a_comparison_that_fails_does_not_end_the_others(monkeypatch):
    def fails(*_, **__):
        raise OSError("nothing\nleft")

    monkeypatch.setattr(benchmark, "gated_race", fails)
    results = run(TINY)
    assert {failure.reason for failure in results.failures} == {"nothing left"}
    assert {row.group for row in results.rows} == {"layernorm", "step"}
    assert results.complete


def test_the_watcher_is_told_of_everything():
    class Counts(Watcher):
        count = ends = 0

        def started(self, results, count):
            self.count = count

        def ended(self):
            self.ends += 1

    watcher = Counts()
    run(replace(TINY, groups=("step",)), watcher=watcher)
    assert watcher.count == watcher.ends == 1


def test_what_cannot_be_asked_for():
    with pytest.raises(InputError, match="cell: expected a cell for the group 'cell', got None"):
        run(replace(TINY, groups=("cell",)))
    for wrong in ({"groups": ("lstn",)}, {"groups": ()}, {"shapes": ()}, {"threads": 0}, {"seconds": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            replace(TINY, **wrong)
    for text in ("", "3x4", "3x4x0", "axbxc", "3x4x5x6", "-1x2x3", "²x2x3"):
        with pytest.raises(ValueError, match="expected TxBxH"):
            parse_shape(text)
    assert parse_shape("100X16x128") == Shape(100, 16, 128)
    assert parse_groups("gru, lstm,gru") == ("gru", "lstm")
    with pytest.raises(ValueError, match="got 'lstn'"):
        parse_groups("gru,lstn")


def test_memory_is_measured_in_a_process_of_its_own():
    shape = Shape(60, 8, 64)
    kept = 6 * shape.T * shape.B * shape.H * 4  # bytes: outputs, four gates and the memory, at least
    found = training_bytes("torch.nn", shape)
    assert kept / 2 < found < 30 * kept


def test_a_process_that_fails_says_why(monkeypatch, tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho Traceback >&2\necho 'MemoryError: too little' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(NotMeasured, match="the process that measures memory failed: MemoryError: too little"):
        training_bytes("torch.nn", Shape(3, 2, 4))


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = "import sys, unrolled.bench\nfrom unrolled.bench import Options\nOptions()\n"
    code += "heavy = {'torch', 'numpy', 'jax', 'onnxruntime', 'matplotlib'} & set(sys.modules)\nassert not heavy, heavy"
    subprocess.run([sys.executable, "-c", code], check=True)
