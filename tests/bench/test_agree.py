"""The check before every comparison: right peers pass, and every kind of wrong one is caught."""

import importlib.util
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from unrolled import Cell
from unrolled.bench.agree import Disagreement, check, check_bfloat16, distance
from unrolled.bench.options import Shape
from unrolled.bench.ours import gated_cell, ours
from unrolled.bench.peers import python_loop
from unrolled.bench.peers.torch_nn import torch_nn
from unrolled.bench.problem import gated
from unrolled.bench.races import CELLS, OwnCell, Race, gated_race, loop_race, own_race, run_race
from unrolled.bench.results import Failure, Row

SHAPE = Shape(7, 3, 4)
TOLD = {"lstm": (4, ["h", "c"]), "gru": (3, ["h"]), "rnn": (1, ["h"])}


def computed(side):
    return side.named(side.run())


def found(race):
    return list(run_race(race, 0.0))


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("training", [False, True])
def test_torch_nn_agrees_and_every_gradient_is_compared(kind, training):
    given = gated(kind, SHAPE)
    mine = computed(ours(gated_cell(kind, given), given, training=training))
    theirs = computed(torch_nn(kind, given, training=training))
    states = TOLD[kind][1]
    names = {"outputs", *(f"last {name}" for name in states)}
    if training:
        names |= {f"gradient of {name}" for name in ("x", *states, *given.weights)}
    assert set(mine) == set(theirs) == names
    check(mine, theirs, given.reduced, peer="torch.nn")
    assert mine["outputs"].shape == (7, 3, 4)
    assert all(float(value.abs().max()) > 0 for value in mine.values())


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("swap", [(0, 1), (1, 2)])
def test_swapped_gates_are_caught(kind, swap):
    given = gated(kind, SHAPE)
    order = list(range(TOLD[kind][0]))
    order[swap[0]], order[swap[1]] = order[swap[1]], order[swap[0]]
    wrong = {name: torch.cat([w.chunk(len(order))[k] for k in order]) for name, w in given.weights.items()}
    mine = computed(ours(gated_cell(kind, given), given, training=False))
    with pytest.raises(Disagreement, match="outputs: unrolled and it differ by"):
        check(
            mine,
            computed(torch_nn(kind, replace(given, weights=wrong), training=False)),
            given.reduced,
            peer="it",
        )


@pytest.mark.parametrize("name", ["outputs", "last c", "gradient of x", "gradient of h", "gradient of bias_hh"])
def test_a_fault_in_any_one_result_is_caught(name):
    given = gated("lstm", SHAPE)
    mine = computed(ours(gated_cell("lstm", given), given, training=True))
    theirs = {key: value.clone() for key, value in mine.items()}
    check(mine, theirs, given.reduced, peer="peer")
    theirs[name].view(-1)[-1] += 0.001 * float(mine[name].abs().max())
    with pytest.raises(Disagreement, match=f"^{name}: unrolled and peer differ by 1.0e-03"):
        check(mine, theirs, given.reduced, peer="peer")
    del theirs[name]
    with pytest.raises(Disagreement, match=f"has results {name} that"):
        check(mine, theirs, given.reduced, peer="peer")


def test_what_is_not_finite_or_of_another_shape_disagrees():
    one, bad = torch.ones(2, 3), torch.tensor([[1.0, math.nan, 1.0], [1.0, 1.0, 1.0]])
    for mine, theirs in ((one, bad), (bad, one), (bad, bad)):
        with pytest.raises(Disagreement, match="differ by inf"):
            check({"y": mine}, {"y": theirs}, 4, peer="peer")
    with pytest.raises(Disagreement, match=r"unrolled has the shape \(2, 3\), peer \(3, 2\)"):
        check({"y": one}, {"y": one.T}, 4, peer="peer")
    assert distance(torch.zeros(2), torch.zeros(2)) == 0
    assert distance(torch.ones(2), torch.zeros(2)) == math.inf


def test_the_truth_lets_magnified_rounding_pass_and_no_mistake():
    truth = {"y": torch.linspace(1, 2, 50, dtype=torch.float64)}
    mine, near, wrong = ({"y": truth["y"] + e} for e in (1e-3, -2e-3, 0.2))
    with pytest.raises(Disagreement):
        check(mine, near, 4, peer="peer")
    check(mine, near, 4, peer="peer", truth=truth)
    with pytest.raises(Disagreement):
        check(mine, wrong, 4, peer="peer", truth=truth)
    with pytest.raises(Disagreement):  # two that are equally wrong cannot be compared either
        check(wrong, {"y": truth["y"] - 0.2}, 4, peer="peer", truth=truth)
    with pytest.raises(Disagreement):  # much nearer than the other: that is no chance
        check({"y": truth["y"] + 1e-9}, mine, 4, peer="peer", truth=truth)


def test_bfloat16_may_round_and_nothing_else():
    exact = torch.randn(40, 40, generator=torch.Generator().manual_seed(1))
    check_bfloat16({"y": exact.bfloat16()}, {"y": exact})
    with pytest.raises(Disagreement, match=r"y: bfloat16 and float32 differ by"):
        check_bfloat16({"y": exact.bfloat16().T}, {"y": exact})


@pytest.mark.parametrize(("group", "name"), [(group, name) for group, names in CELLS.items() for name in names])
def test_every_cell_agrees_with_its_bare_loop(group, name):
    rows = found(loop_race(group, name, SHAPE))
    assert [(type(row), row.peer) for row in rows] == [(Row, "Python loop")]
    race = loop_race(group, name, SHAPE)
    mine, exact = computed(race.ours()), race.truth()
    assert set(mine) == set(exact)
    assert exact["outputs"].dtype == torch.float64
    check(mine, exact, race.reduced, peer="truth")


def test_a_wrong_peer_is_a_failure_and_the_others_are_timed():
    given = gated("lstm", SHAPE)
    wrong = replace(given, weights=given.weights | {"bias_ih": -given.weights["bias_ih"]})

    def broken():
        raise OSError("no such thing")

    peers = {
        "turned": lambda: torch_nn("lstm", wrong, training=True),
        "right": lambda: torch_nn("lstm", given, training=True),
        "broken": broken,
    }
    mine = lambda: ours(gated_cell("lstm", given), given, training=True)  # noqa: E731
    results = found(Race("lstm", "LSTM", "training", SHAPE, given.reduced, mine, peers))
    failures = {item.peer: item.reason for item in results if isinstance(item, Failure)}
    assert set(failures) == {"turned", "broken"}
    assert "not timed" in failures["turned"]
    assert failures["broken"] == "no such thing"
    assert [row.peer for row in results if isinstance(row, Row)] == ["torch.nn.LSTM"]


def test_onnxruntime_agrees():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    for kind in ("lstm", "gru", "rnn"):
        rows = found(gated_race(kind, SHAPE, training=False, missing=()))
        assert [row.peer for row in rows] == [f"torch.nn.{kind.upper()}", "onnxruntime"], rows


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_onnxruntime_with_torchs_gates_is_caught(kind, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from unrolled.bench.peers import onnx_runtime

    monkeypatch.setitem(onnx_runtime.ORDER, kind, tuple(range(TOLD[kind][0])))
    results = found(gated_race(kind, SHAPE, training=False, missing=()))
    assert [item.peer for item in results if isinstance(item, Failure)] == ["onnxruntime"]


JAX = """
from unrolled.bench.options import Shape
from unrolled.bench.races import gated_race, run_race

race = gated_race("lstm", Shape(7, 3, 4), training=True, missing=())
assert [row.peer for row in run_race(race, 0.0)] == ["torch.nn.LSTM", "jax lax.scan"]
side = race.peers["jax lax.scan"]()
assert "gradient of c" in side.named(side.run())
"""


def test_jax_agrees():
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    subprocess.run([sys.executable, "-c", JAX], check=True)  # it minds forks of this process, as other tests do them


class Own(Cell):
    """Two outputs, one without a gradient, a learnable start and a parameter that is not used."""

    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.inner = nn.Linear(2 * hidden_size, hidden_size)
        self.start = nn.Parameter(torch.randn(hidden_size))
        self.unused = nn.Parameter(torch.randn(3))

    def initial_state(self, batch_size, *, device=None, dtype=None):
        return self.start.expand(batch_size, -1)

    def step(self, x, h):
        h = torch.tanh(self.inner(torch.cat([x, h], -1)))
        return (h, (h.detach() > 0)), h


def test_a_cell_of_ones_own_of_any_outputs_and_state():
    rows = found(own_race(OwnCell("Own", Own), SHAPE))
    assert [(type(row), row.group, row.peer) for row in rows] == [(Row, "cell", "Python loop")], rows
    race = own_race(OwnCell("Own", Own), SHAPE)
    mine = computed(race.ours())
    assert float(mine["gradient of start"].abs().max()) > 0
    assert float(mine["gradient of unused"].abs().max()) == 0
    assert set(race.truth()) == set(mine)


class Growing(Own):
    """Rounding errors grow tenfold at every step."""

    def step(self, x, h):
        h = torch.sin(10 * (h + 0.1 * self.inner(torch.cat([x, h], -1))))
        return h, h


def test_a_chaotic_cell_cannot_be_compared_and_says_so():
    results = found(own_race(OwnCell("Growing", Growing), Shape(60, 3, 4)))
    assert [type(item) for item in results] == [Failure]
    assert "expected at most" in results[0].reason


def test_the_loop_gives_what_the_layer_gives():
    cell = Own(4)
    outputs, last = python_loop.run_loop(cell, torch.randn(6, 2, 4))
    assert outputs[0].shape == outputs[1].shape == (6, 2, 4)
    assert torch.equal(outputs[0][-1], last)
