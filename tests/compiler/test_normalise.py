"""Each aten operation that is translated: what it becomes computes what it did, and is aten's no more."""

import pytest
import torch
from torch import fx

from unrolled.compiler.graph import Builder, Graph
from unrolled.compiler.interpret import evaluate
from unrolled.compiler.normalise import Normaliser

ATEN = torch.ops.aten
ROWS = 7


def normalised(operation, *args, **kwargs):
    """One operation as a graph, with the tensors that are its inputs."""
    traced, tensors = fx.Graph(), []

    def argument(value):
        if isinstance(value, list):
            return [argument(item) for item in value]
        if not isinstance(value, torch.Tensor):
            return value
        tensors.append(value)
        placeholder = traced.placeholder(f"a{len(tensors)}")
        placeholder.meta["val"] = value
        return placeholder

    node = traced.call_function(operation, tuple(argument(arg) for arg in args), kwargs)
    node.meta["val"] = operation(*args, **kwargs)
    traced.output(node)
    builder = Builder()
    normaliser = Normaliser(fx.GraphModule({}, traced), builder, {})
    inputs = []
    for found in traced.nodes:
        if found.op == "placeholder":
            value = found.meta["val"]
            normaliser.ids[found] = builder.add("input", (), value.shape, value.dtype)
            inputs.append(normaliser.ids[found])
    normaliser.run(node)
    operand = normaliser.operand(node)
    results = [ref.index for ref in (operand if isinstance(operand, tuple) else (operand,))]
    graph = Graph(ROWS, tuple(builder.nodes), tuple(inputs), (), (), tuple(results), ())
    return graph, dict(zip(inputs, tensors, strict=True))


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


A, C, V = drawn(1, ROWS, 6), drawn(2, ROWS, 6), drawn(3, 6)
K = (3 * A).long()  # integers, some of them negative
D, M, N = drawn(4, ROWS, 2, 3), drawn(5, 6, 4), drawn(6, ROWS, 3, 2)
PLACES, NUMBER = torch.arange(ROWS)[:, None] % 6, torch.tensor(3.0)

CASES = {
    "add": (ATEN.add.Tensor, A, C),
    "add alpha": (ATEN.add.Tensor, V, A, {"alpha": 2}),
    "sub alpha": (ATEN.sub.Tensor, A, C, {"alpha": 2.5}),
    "sub number": (ATEN.sub.Scalar, A, 2.0, 3),
    "rsub": (ATEN.rsub.Tensor, A, C),
    "rsub alpha": (ATEN.rsub.Tensor, V, A, {"alpha": 2.5}),
    "rsub number": (ATEN.rsub.Scalar, A, 2.0, 3),
    "rsub integers": (ATEN.rsub.Scalar, K, 2, 3),
    "clamp": (ATEN.clamp.default, A, -0.5, 0.5),
    "clamp low": (ATEN.clamp.default, A, 0.1),
    "clamp high": (ATEN.clamp.default, A, None, 0.1),
    "clamp low, high": (ATEN.clamp.default, A, 0.1, {"max": 0.2}),
    "clamp named": (ATEN.clamp.default, A, {"min": 0.1, "max": 0.2}),
    "clamp integers": (ATEN.clamp.default, K, 0.5),
    "clamp tensors": (ATEN.clamp.Tensor, A, C, C + 1),
    "clamp_min": (ATEN.clamp_min.Tensor, A, C),
    "clamp_max": (ATEN.clamp_max.Tensor, A, C),
    "clamp_max number": (ATEN.clamp_max.default, A, 0.3),
    "pow 3": (ATEN.pow.Tensor_Scalar, A, 3),
    "pow integers": (ATEN.pow.Tensor_Scalar, K, 2),
    "root of integers": (ATEN.pow.Tensor_Scalar, K.abs(), 0.5),
    "power of integers": (ATEN.pow.Scalar, 2.5, K),
    "power": (ATEN.pow.Tensor_Tensor, A.abs(), C),
    "floor_divide": (ATEN.floor_divide.default, A, C),
    "div trunc": (ATEN.div.Tensor_mode, A, C, {"rounding_mode": "trunc"}),
    "remainder": (ATEN.remainder.Scalar_Tensor, 2.0, C),
    "where": (ATEN.where.ScalarOther, A > 0, C, 1.0),
    "bitwise of flags": (ATEN.bitwise_xor.Tensor, A > 0, C > 0),
    "bitwise": (ATEN.bitwise_or.Scalar, K, 5),
    "isinf": (ATEN.isinf.default, A / (K == 0)),
    "transpose": (ATEN.transpose.int, D, 1, -1),
    "permute": (ATEN.permute.default, D, [0, -1, 1]),
    "flip": (ATEN.flip.default, D, [-1, 1]),
    "select": (ATEN.select.int, A, 1, -2),
    "slice": (ATEN.slice.Tensor, A, -1, -3),
    "split": (ATEN.split.Tensor, A, 4, 1),
    "split named": (ATEN.split.Tensor, A, 4, {"dim": -1}),
    "split sizes": (ATEN.split_with_sizes.default, A, [1, 5], 1),
    "chunk": (ATEN.chunk.default, A, 2, 1),
    "unbind": (ATEN.unbind.int, D, 1),
    "cat": (ATEN.cat.default, [A, K], -1),
    "cat with nothing": (ATEN.cat.default, [A[:, :0], torch.ones(0), C], 1),
    "cat of nothing": (ATEN.cat.default, [A[:, :0], A[:, :0]], 1),
    "cat beside nothing": (ATEN.cat.default, [D[:, :0], D[:, :0]], 2),
    "stack": (ATEN.stack.default, [A, K], 1),
    "copy": (ATEN.copy.default, A, V),
    "slice_scatter": (ATEN.slice_scatter.default, A, C[:, 1:3], 1, 1, 3),
    "slice_scatter all": (ATEN.slice_scatter.default, A, C),
    "slice_scatter nothing": (ATEN.slice_scatter.default, A, C[:, :0], 1, 4, 2),
    "slice_scatter with a step": (ATEN.slice_scatter.default, A, C[:, :2], 1, 1, 5, 2),
    "slice_scatter with a long step": (ATEN.slice_scatter.default, A, C[:, :2], 1, 0, 6, 4),
    "slice_backward with a step": (ATEN.slice_backward.default, C[:, :2], [ROWS, 6], 1, 2, 6, 3),
    "repeat": (ATEN.repeat.default, A, [2, 1, 3]),
    "diagonal": (ATEN.diagonal.default, D, -1, 1, 2),
    "diagonal above": (ATEN.diagonal.default, D, 1, 2, 1),
    "any": (ATEN.any.dim, A > 0.5, 1, True),
    "exp2": (ATEN.exp2.default, A),
    "slice_backward": (ATEN.slice_backward.default, C[:, :2], [ROWS, 6], -1, -2, 2**62, 1),
    "slice_backward nothing": (ATEN.slice_backward.default, C[:, :0], [ROWS, 6], 1, 4, 2, 1),
    "select_scatter": (ATEN.select_scatter.default, A, C[:, 0], 1, 2),
    "select_backward": (ATEN.select_backward.default, C[:, 0], [ROWS, 6], 1, -1),
    "pad": (ATEN.constant_pad_nd.default, D, [1, 0, 0, 2], 2.5),
    "pad by less than nothing": (ATEN.constant_pad_nd.default, D, [-1, 2, 1, -1]),
    "pad by nothing": (ATEN.constant_pad_nd.default, D, [0, 0]),
    "scatter": (ATEN.scatter.value, A, 1, PLACES, 2.0),
    "scatter of the first column": (ATEN.scatter.src, A, -1, PLACES, C),
    "full": (ATEN.full.default, [3], 1, {"dtype": torch.bool}),
    "new_full": (ATEN.new_full.default, A, [3], 7),
    "arange": (ATEN.arange.start_step, 2, 9, 3),
    "iota": (
        torch.ops.prims.iota.default, 5,
        {"start": 2, "step": 3, "dtype": torch.int64, "device": "cpu", "requires_grad": False},
    ),
    "sum": (ATEN.sum.dim_IntList, D, [2, 1]),
    "sum of all": (ATEN.sum.dim_IntList, A, None),
    "sum of flags": (ATEN.sum.dim_IntList, A > 0, [1], True),
    "sum in another dtype": (ATEN.sum.dim_IntList, K, [1], {"dtype": torch.float64}),
    "sum of a number": (ATEN.sum.dim_IntList, NUMBER, [0]),
    "prod": (ATEN.prod.dim_int, A, -1, True),
    "amax": (ATEN.amax.default, A, [1]),
    "argmin": (ATEN.argmin.default, A, -1, True),
    "argmax of one": (ATEN.argmax.default, A[:, :1], 1),
    "argmax of a number": (ATEN.argmax.default, NUMBER, 0),
    "max": (ATEN.max.dim, A, 1),
    "min of a number": (ATEN.min.dim, NUMBER, 0),
    "mv": (ATEN.mv.default, A, V),
    "addmm": (ATEN.addmm.default, M[0], A, M, {"alpha": 2, "beta": 3}),
    "baddbmm": (ATEN.baddbmm.default, D[:, :, :2], D, N, {"beta": 0.5}),
    "bmm of one": (ATEN.bmm.default, A[None], M[None]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operation_computes_what_it_did(name):
    operation, *args = CASES[name]
    kwargs = args.pop() if isinstance(args[-1], dict) else {}
    graph, values = normalised(operation, *args, **kwargs)
    evaluate(graph, range(len(graph.nodes)), values, ROWS, torch.device("cpu"))
    truth = operation(*args, **kwargs)
    truths = [truth] if isinstance(truth, torch.Tensor) else list(truth)
    torch.testing.assert_close([values[index] for index in graph.output], truths, equal_nan=True)
    for index, node in enumerate(graph.nodes):
        assert "." not in node.op
        assert (values[index].shape, values[index].dtype) == (node.shape, node.dtype)


@pytest.mark.parametrize(
    "case",
    [
        (ATEN.scatter.value, A, 1, PLACES.expand(-1, 2), 2.0),  # two elements of each row
        (ATEN.scatter.value, D, 2, PLACES[:, :, None] % 3, 2.0),  # only in the first of two
        (ATEN.argmax.default, A),
        (ATEN.round.decimals, A, {"decimals": 1}),
    ],
    ids=lambda case: str(case[0]),
)
def test_what_no_operation_of_ours_computes_stays_atens(case):
    operation, *args = case
    kwargs = args.pop() if isinstance(args[-1], dict) else {}
    graph, values = normalised(operation, *args, **kwargs)
    assert graph.nodes[graph.output[0]].op == str(operation)
    evaluate(graph, range(len(graph.nodes)), values, ROWS, torch.device("cpu"))
    torch.testing.assert_close(values[graph.output[0]], operation(*args, **kwargs))
