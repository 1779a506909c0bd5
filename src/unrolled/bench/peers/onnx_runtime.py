"""onnxruntime's LSTM, GRU and RNN operators, inference.

Its gates stand in another order: i o f c for an LSTM, z r h for a GRU (with the reset after the product,
``linear_before_reset``); its own layout is (T, directions, B, H).
"""

from typing import Any

import torch
from torch import Tensor

from ..problem import GATES, Problem
from ..sides import Named, Side
from .installed import imported

ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}  # where its gates stand among torch's
OPSET, FORMAT = 14, 8  # of 2021: every version that is supported reads them


def onnx_runtime(kind: str, problem: Problem) -> Side:
    """A session of one node, with as many threads as torch has."""
    runtime = imported("onnxruntime")
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    session = runtime.InferenceSession(_model(kind, problem), settings, providers=["CPUExecutionProvider"])
    feeds = {"x": problem.x.numpy(), **{name: value[None].numpy() for name, value in problem.state.items()}}
    names = ["outputs", *(f"last {name}" for name in problem.state)]

    def run() -> Any:
        return session.run(names, feeds)

    def named(result: Any) -> Named:
        found = {name: torch.from_numpy(value) for name, value in zip(names, result, strict=True)}
        return {name: value[:, 0] if name == "outputs" else value[0] for name, value in found.items()}

    return Side("onnxruntime", run, named, pool="onnxruntime")


def reordered(kind: str, weight: Tensor) -> Tensor:
    """Rows of a weight or a bias, gate by gate, in its order."""
    gates = weight.chunk(GATES[kind])
    return torch.cat([gates[k] for k in ORDER[kind]])


def _model(kind: str, problem: Problem) -> bytes:
    onnx = imported("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    T, B, H = problem.shape.T, problem.shape.B, problem.shape.H
    weights = {name: reordered(kind, value) for name, value in problem.weights.items()}
    held = {
        "W": weights["weight_ih"],
        "R": weights["weight_hh"],
        "b": torch.cat([weights["bias_ih"], weights["bias_hh"]]),
    }
    states = list(problem.state)
    lasts = [f"last {name}" for name in states]
    more = {"linear_before_reset": 1} if kind == "gru" else {}
    node = helper.make_node(kind.upper(), ["x", "W", "R", "b", "", *states], ["outputs", *lasts], hidden_size=H, **more)
    given = [helper.make_tensor_value_info("x", kinds.FLOAT, [T, B, H])]
    given += [helper.make_tensor_value_info(name, kinds.FLOAT, [1, B, H]) for name in states]
    made = [helper.make_tensor_value_info("outputs", kinds.FLOAT, [T, 1, B, H])]
    made += [helper.make_tensor_value_info(name, kinds.FLOAT, [1, B, H]) for name in lasts]
    tensors = [onnx.numpy_helper.from_array(value[None].contiguous().numpy(), name) for name, value in held.items()]
    graph = helper.make_graph([node], kind, given, made, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT)
    return model.SerializeToString()  # type: ignore[no-any-return]
