"""unrolled.nn's layers inside torch.compile and torch.export: one operator, any number of steps and rows."""

import copy
import io
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.export import Dim, export

import unrolled
from unrolled import nn as ours
from unrolled.core import leaves
from unrolled.layers import unroll

pytestmark = [
    pytest.mark.skipif(not unroll.__globals__["_TRACEABLE"], reason="before PyTorch 2.13 the loop is traced"),
    pytest.mark.filterwarnings("ignore:`isinstance"),  # within torch.export
]
KINDS = ["RNN", "LSTM", "GRU"]


class Model(nn.Module):
    """A recurrent module between two others."""

    def __init__(self, layer):
        super().__init__()
        self.first, self.layer, self.last = nn.Linear(3, 3), layer, nn.LazyLinear(2)

    def forward(self, x, hx=None, **options):
        outputs, state = self.layer(torch.relu(self.first(x)), hx, **options)
        return self.last(outputs), state


@pytest.fixture(autouse=True)
def _anew():
    torch._dynamo.reset()


def graphs(model, backend="aot_eager", **options):
    """The model compiled, and a list that grows by one for every graph."""
    seen = []

    def count(graph, inputs):
        seen.append(graph)
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    return torch.compile(model, backend=count, fullgraph=True, **options), seen


def gradients(run, model, *arguments, **options):
    model.zero_grad()
    made = leaves(run(*arguments, **options))
    sum(leaf.sin().sum() for leaf in made).backward()
    return [*made, *(parameter.grad.clone() for parameter in model.parameters())]


@pytest.mark.parametrize("kind", KINDS)
def test_no_break_and_two_graphs_for_all_sizes(kind):
    model = Model(getattr(ours, kind)(3, 4, num_layers=2, bidirectional=True))
    model(torch.randn(5, 2, 3))
    compiled, seen = graphs(model)
    for steps, rows in ((5, 2), (7, 3), (4, 6), (19, 5)):
        x = torch.randn(steps, rows, 3)
        torch.testing.assert_close(gradients(compiled, model, x), gradients(model, model, x))
    assert len(seen) == 2  # the second takes any number of steps and rows
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    torch.testing.assert_close(gradients(compiled, model, x), gradients(model, model, x))
    assert len(seen) == 2


def test_a_converted_model():
    model = Model(nn.GRU(3, 4, batch_first=True, num_layers=2, dropout=0.5)).eval()
    x = torch.randn(2, 5, 3)
    expected = model(x)[0]
    unrolled.convert(model)
    compiled, seen = graphs(copy.deepcopy(model), "eager")
    torch.testing.assert_close(compiled(x)[0], expected)
    assert "wrap" in str(seen[0].graph)


def test_states_lengths_and_resets():
    model = Model(ours.LSTM(3, 4, num_layers=2, peephole=True, bidirectional=True))
    x, reset = torch.randn(6, 3, 3), torch.rand(6, 3) < 0.3
    state = torch.randn(4, 3, 4), torch.randn(4, 3, 4)
    model(x)
    compiled, seen = graphs(model)
    for lengths in ([6, 0, 3], [1, 6, 6]):
        options = {"lengths": torch.tensor(lengths), "reset": reset}
        made = gradients(compiled, model, x, state, **options)
        torch.testing.assert_close(made, gradients(model, model, x, state, **options))
    assert len(seen) == 1


def test_autocast():
    layer, x = ours.LSTM(3, 4), torch.randn(5, 2, 3)
    compiled, _ = graphs(layer)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = compiled(x)[0]
        assert outputs.dtype == torch.bfloat16
        torch.testing.assert_close(outputs, layer(x)[0])
    torch.testing.assert_close(layer(x)[0], copy.deepcopy(layer)(x)[0])
    torch.testing.assert_close(compiled(x)[0], layer(x)[0])


def test_torchs_own_layers_are_refused_as_before():
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(Model(nn.LSTM(3, 4)), fullgraph=True, backend="eager")(torch.randn(5, 2, 3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strict", [False, True])
def test_exported_with_any_batch_and_time(kind, strict):
    layer = getattr(ours, kind)(3, 4, 2, bidirectional=True).eval()
    sizes = {0: Dim("T", min=2), 1: Dim("B", min=2)}
    program = export(layer, (torch.randn(5, 2, 3),), dynamic_shapes=({**sizes},), strict=strict)
    assert "unrolled.sequence" in str(program.graph)
    for again in (program, program.run_decompositions()):
        for steps, rows in ((9, 7), (2, 3)):
            x = torch.randn(steps, rows, 3)
            torch.testing.assert_close(again.module()(x), layer(x))


def test_an_exported_program_in_another_process(tmp_path):
    layer = ours.LSTM(3, 4).eval()
    x = torch.randn(5, 2, 3)
    program = export(layer, (x,), dynamic_shapes=({0: Dim("T", min=2), 1: Dim("B", min=2)},))
    longer = torch.randn(9, 3, 3)
    torch.export.save(program, tmp_path / "layer.pt2")
    torch.save((longer, layer(longer)[0]), tmp_path / "expected.pt")
    code = (
        "import sys, torch, unrolled.compiler.operator\n"
        "x, expected = torch.load(sys.argv[2])\n"
        "got = torch.export.load(sys.argv[1]).module()(x)[0]\n"
        "torch.testing.assert_close(got, expected)"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "layer.pt2"), str(tmp_path / "expected.pt")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


def test_copies_have_cells_of_their_own():
    layer, x = ours.GRU(3, 4), torch.randn(5, 2, 3)
    layer(x)
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    for twin in (copy.deepcopy(layer), torch.load(buffer, weights_only=False)):
        assert torch.equal(twin(x)[0], layer(x)[0])
        with torch.no_grad():
            twin.weight_ih_l0.zero_()
        assert not torch.equal(twin(x)[0], layer(x)[0])
