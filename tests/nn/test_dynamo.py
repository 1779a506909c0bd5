"""Inside torch.compile and torch.export a sequence is one operator, whatever the number of steps and rows."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from unrolled import Cell, InputError, Recurrent, Stack, unroll
from unrolled.cells import GRU, LSTM
from unrolled.compiler.portable import read
from unrolled.core import leaves
from unrolled.layers.unroll import _TRACEABLE
from unrolled.nn.dynamo import accept

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # PyTorch's own
    pytest.mark.skipif(not _TRACEABLE, reason="this PyTorch traces the loop"),
]


@pytest.fixture(autouse=True)
def _anew():
    """PyTorch counts the programs of a function, here that of ``forward``, over all tests."""
    torch._dynamo.reset()


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
assert builder.VariableBuilder.wrap_module.accepts == {Derived}
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


def test_a_text_that_is_not_what_it_says_is_refused():
    import base64
    import json
    import zlib

    program = torch.export.export(Recurrent(GRU(3, 4)), (torch.randn(4, 2, 3),), strict=False)
    text = next(n.args[-1] for n in program.graph.nodes if "unrolled" in str(n.target))
    read(text)
    plain = zlib.decompress(base64.b64decode(text)).decode()

    def packed(changed):
        assert changed != plain
        return base64.b64encode(zlib.compress(changed.encode())).decode()

    for bad in (
        "?",
        text[:-8],
        packed(plain.replace('"mm"', '"exec"', 1)),
        packed(plain.replace("[1,", "[99,", 1)),
        packed(plain.replace("[12,3]", "[12,9]", 1)),  # a weight that is larger than it is
        packed(json.dumps([1, {"dtype": "float32"}, None])),
    ):
        with pytest.raises(InputError, match="a step in a saved program"):
            read(bad)
