"""Inside torch.compile and torch.export a sequence is one operator, whatever the number of steps and rows."""

import gc
import subprocess
import sys
import weakref

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from unrolled import Cell, Recurrent, Stack, UnsupportedStep, unroll
from unrolled.cells import GRU, LSTM
from unrolled.compiler import fallback
from unrolled.compiler.lowered import _LOWERED
from unrolled.compiler.recent import Recent
from unrolled.core import leaves
from unrolled.layers.unroll import _TRACEABLE
from unrolled.nn.dynamo import accept

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # PyTorch's own
    pytest.mark.skipif(not _TRACEABLE, reason="this PyTorch traces the loop"),
]


@pytest.fixture(autouse=True)
def _anew(monkeypatch):
    """Warnings are said again; PyTorch counts the programs of a function, here of ``forward``, over all tests."""
    torch._dynamo.reset()
    monkeypatch.setattr(fallback, "_SAID", Recent(1024))


class Leaky(Cell):
    def __init__(self):
        super().__init__()
        self.input_size, self.hidden_size, self.dt = 3, 4, 0.1
        self.inner = nn.Linear(7, 4)

    def step(self, x, h):
        h = (1 - self.dt) * h + self.dt * torch.tanh(self.inner(torch.cat([x, h], -1)))
        return h, h


class Watched:
    """A backend that runs what it is given, and counts."""

    def __init__(self):
        self.count, self.operators = 0, []

    def __call__(self, graph, examples):
        from torch._dynamo.backends.common import aot_autograd

        def seen(graph, examples):
            self.operators += [str(node.target) for node in graph.graph.nodes if "unrolled." in str(node.target)]
            return graph.forward

        from functorch.compile import make_boxed_func

        self.count += 1
        return aot_autograd(fw_compiler=lambda g, e: make_boxed_func(seen(g, e)))(graph, examples)


def results(run, module, x, **options):
    x = x.clone().requires_grad_()
    module.zero_grad()
    made = leaves(run(x, **options))
    sum(leaf.sin().sum() for leaf in made).backward()
    return [*made, x.grad, *(parameter.grad for parameter in module.parameters())]


def agree(run, module, x, **options):
    torch.testing.assert_close(results(run, module, x, **options), results(module, module, x, **options))


def test_no_break_one_operator_and_two_graphs_for_all_sizes():
    layer, backend = Recurrent(LSTM(3, 4)), Watched()
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    for steps, rows in ((5, 2), (7, 3), (4, 6), (31, 5)):
        agree(compiled, layer, torch.randn(steps, rows, 3))
    assert backend.count == 2  # the second takes any number
    assert backend.operators == ["unrolled.sequence.default", "unrolled.sequence_backward.default"] * 2


@pytest.mark.parametrize("reverse", [False, True])
def test_masks_resets_and_lengths(reverse):
    layer, x = Recurrent(GRU(3, 4), reverse=reverse), torch.randn(5, 3, 3)
    mask, reset = torch.rand(5, 3) > 0.3, torch.rand(5, 3) > 0.6
    x[~mask] = torch.nan
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    made = results(compiled, layer, x, mask=mask, reset=reset, lengths=torch.tensor([5, 0, 3]))
    expected = results(layer, layer, x, mask=mask, reset=reset, lengths=torch.tensor([5, 0, 3]))
    torch.testing.assert_close(made, expected)


def test_a_stack_without_gradients_by_inductor():
    stack, x = Stack([LSTM(3, 4), GRU(4, 4)]).eval(), torch.randn(5, 2, 3)
    with torch.no_grad():
        compiled = torch.compile(stack, fullgraph=True)
        torch.testing.assert_close(compiled(x), stack(x))


def test_what_changes_takes_effect():
    layer, x = Recurrent(Leaky()), torch.randn(5, 2, 3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for dt in (0.1, 0.2, 0.3):
        layer.cell.dt = dt
        agree(compiled, layer, x)
    with torch.no_grad():
        layer.cell.inner.weight.mul_(2)
    agree(compiled, layer, x)
    layer.cell.inner.weight = nn.Parameter(torch.randn(4, 7))
    agree(compiled, layer, x)


def test_a_step_that_cannot_be_compiled_is_run_by_the_reference():
    class Dropping(Leaky):
        def step(self, x, h):
            return super().step(nn.functional.dropout(x, 0.5, self.training), h)

    layer, x = Recurrent(Dropping()), torch.randn(5, 2, 3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with pytest.warns(UserWarning, match="draws random numbers"):
        one = compiled(x)[0]
    assert not torch.equal(one, compiled(x)[0])
    agree(torch.compile(layer.eval(), backend="aot_eager", fullgraph=True), layer, x)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # PyTorch looks at it where it goes on after a break
def test_a_break_in_the_step_leaves_the_layer_to_the_eager_kernel():
    class Breaking(Leaky):
        def step(self, x, h):
            torch._dynamo.graph_break()
            return super().step(x, h)

    layer, x = Recurrent(Breaking()), torch.randn(5, 2, 3)
    torch.testing.assert_close(torch.compile(layer, backend="aot_eager")(x), layer(x))


class Derived(nn.LSTM):
    """Takes the same parameters to a step of its own."""

    def forward(self, x):
        weights = self.weight_ih_l0, self.bias_ih_l0, self.weight_hh_l0, self.bias_hh_l0

        def step(x, state):
            h, c = state
            gates = nn.functional.linear(x, *weights[:2]) + nn.functional.linear(h, *weights[2:])
            i, f, g, o = gates.chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            return h, (h, c)

        start = x.new_zeros(x.shape[1], self.hidden_size)
        return unroll(step, x, (start, start))


def test_a_subclass_of_a_recurrent_layer_of_torch_is_accepted_and_others_are_as_before():
    accept(Derived)
    layer, x = Derived(3, 4), torch.randn(5, 2, 3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    made, expected = results(compiled, layer, x), results(lambda x: nn.LSTM.forward(layer, x), layer, x)
    torch.testing.assert_close(made, [leaf.reshape(m.shape) for leaf, m in zip(expected, made, strict=True)])
    assert not torch._dynamo.config.allow_rnn
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(nn.LSTM(3, 4), backend="eager", fullgraph=True)(x)


WAITING = """
import sys
from torch import nn
from unrolled.nn.dynamo import accept
class Derived(nn.GRU): pass
accept(Derived)
assert "torch._dynamo" not in sys.modules
import torch._dynamo.variables.builder as builder
assert builder.VariableBuilder.wrap_module.accepts >= {Derived}
"""


def test_accepting_waits_for_the_import():
    subprocess.run([sys.executable, "-W", "ignore", "-c", WAITING], check=True, timeout=120)


LOADING = """
import sys, torch, unrolled.compiler.operator
x, expected = torch.load(sys.argv[2])
torch.testing.assert_close(torch.export.load(sys.argv[1]).module()(x)[0], expected)
"""


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_program_runs_at_other_sizes_and_in_another_process(strict, tmp_path):
    layer, x = Recurrent(GRU(3, 4)), torch.randn(9, 5, 3)
    sizes = ({0: torch.export.Dim("T"), 1: torch.export.Dim("B")},)
    program = torch.export.export(layer, (torch.randn(4, 2, 3),), dynamic_shapes=sizes, strict=strict)
    agree(program.module(), layer, x)
    torch.testing.assert_close(program.run_decompositions().module()(x), tuple(layer(x)), check_dtype=True)
    torch.export.save(program, tmp_path / "program.pt2")
    torch.save((x, layer(x)[0].detach()), tmp_path / "figures.pt")
    files = [str(tmp_path / name) for name in ("program.pt2", "figures.pt")]
    subprocess.run([sys.executable, "-W", "ignore", "-c", LOADING, *files], check=True, timeout=120)


class Counting(Leaky):
    """Counts its steps, and computes with the count."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def step(self, x, h):
        self.count += 1
        h = torch.tanh(self.inner(torch.cat([x, h], -1)) / self.count)
        return h, h


def test_a_step_that_counts_is_exported_as_the_loop():
    layer, other, x = Recurrent(Counting()), Recurrent(Counting(), backend="reference"), torch.randn(4, 2, 3)
    other.load_state_dict(layer.state_dict())
    with pytest.warns(UserWarning, match="step changes what it reads"):
        program = torch.export.export(layer, (x,), strict=False)
    torch.testing.assert_close(program.module()(x)[0], other(x)[0])


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_program_without_a_gradient_says_so(strict):
    layer, x = Recurrent(GRU(3, 4)), torch.randn(4, 2, 3)
    with torch.no_grad():
        module = torch.export.export(layer, (x,), strict=strict).module()
    made = module(x)[0]
    torch.testing.assert_close(made, layer(x)[0])
    with pytest.raises(UnsupportedStep, match="Export it where that tensor needs one"):
        made.sum().backward()
    layer.cell.weight_hh.requires_grad_(False)
    module = torch.export.export(layer, (x,), strict=strict).module()
    expected = torch.autograd.grad(layer(x)[0].sum(), layer.cell.weight_ih)
    parameters = dict(module.named_parameters())
    made = torch.autograd.grad(module(x)[0].sum(), parameters["cell.weight_ih"])
    torch.testing.assert_close(made, expected)
    parameters["cell.weight_hh"].requires_grad_(True)
    with pytest.raises(UnsupportedStep, match="Export it where that tensor needs one"):
        module(x)[0].sum().backward()


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_gradient_of_a_gradient_is_an_error(backend):
    layer, x = Recurrent(GRU(3, 4)), torch.randn(4, 2, 3).requires_grad_()
    made = torch.compile(layer, backend=backend, fullgraph=True)(x)[0]
    first = torch.autograd.grad(made.sum(), x, create_graph=True)[0]  # of ones, which need no gradient themselves
    with pytest.raises(RuntimeError, match=r"no gradient of a gradient|does not currently support double backward"):
        torch.autograd.grad(first.square().sum(), list(layer.parameters()), allow_unused=True)


def test_a_gradient_of_a_gradient_of_an_exported_program_is_an_error():
    layer, x = Recurrent(GRU(3, 4)), torch.randn(4, 2, 3)
    made = torch.export.export(layer, (x,), strict=False).module()(x.requires_grad_())[0]
    first = torch.autograd.grad(made.sum(), x, create_graph=True)[0]
    with pytest.raises(UnsupportedStep, match="no gradient of a gradient"):
        first.square().sum().backward()


def test_vmap_inside():
    layer, x = Recurrent(GRU(3, 4)), torch.randn(4, 2, 3)
    each = torch.func.vmap(lambda row: layer(row[:, None])[0][:, 0], 1, 1)
    with pytest.warns(UserWarning, match="torch.func transforms"):
        made = torch.compile(each, backend="aot_eager", fullgraph=True)(x)
    torch.testing.assert_close(made, layer(x)[0])


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # PyTorch looks at it where it goes on after a break
def test_lengths_as_a_list_of_numbers():
    layer, x = Recurrent(GRU(3, 4)), torch.randn(5, 3, 3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for lengths in ([5, 0, 3], [1, 2, 5]):
        torch.testing.assert_close(compiled(x, lengths=lengths), layer(x, lengths=lengths))
    torch.testing.assert_close(compiled(x, lengths=[9, -1, 3]), layer(x, lengths=[5, 0, 3]))  # not looked at


class Nested(Leaky):
    """Its graph holds another graph."""

    def step(self, x, h):
        h = checkpoint(lambda x, h: torch.tanh(self.inner(torch.cat([x, h], -1))), x, h, use_reentrant=False)
        return h, h


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("cell", [Leaky, Nested])
def test_a_compiled_layer_is_let_go(backend, cell):
    layer, x = Recurrent(cell()), torch.randn(4, 2, 3)
    gc.collect()
    before = len(_LOWERED)
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    compiled(x)[0].sum().backward()
    assert len(_LOWERED) == before + 1
    gone = weakref.ref(layer), weakref.ref(layer.cell.inner.weight)
    del compiled, layer
    torch._dynamo.reset()
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
    assert len(_LOWERED) == before


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_inside_a_checkpoint(backend):
    layer, x = Recurrent(GRU(3, 4)), torch.randn(4, 2, 3)

    def again(x):
        return checkpoint(lambda x: layer(x)[0], x, use_reentrant=False)

    made = results(torch.compile(again, backend=backend, fullgraph=True), layer, x)
    expected = results(lambda x: layer(x)[0], layer, x)
    torch.testing.assert_close(made, expected)
