"""The ONNX standard's cases of RNN, GRU and LSTM, and random ones against onnxruntime.

ONNX's rows of gates are i o f c in an LSTM (of peepholes i o f), z r h in a GRU; ours i f g o, and r z n.
"""

import random
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from unrolled import Recurrent, cells
from unrolled import nn as ours

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx.backend.test.case.node")

GATES = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 2, 3, 1]}  # where ours are in ONNX's order
COUPLED = [0, 3, 1]  # i g o
NAMES = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
FUNCTIONS = {
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Relu": "relu",
    "LeakyRelu": "leaky_relu",
    "Elu": "elu",
    "Softsign": F.softsign,
    "HardSigmoid": lambda a: torch.clamp(0.2 * a + 0.5, 0, 1),
}


def blocks(values, gates):
    """Rows (D, G H, ...) in our order of the gates."""
    parts = np.split(values, 4 if len(gates) > 1 and 3 in gates else len(gates), axis=1)
    return torch.from_numpy(np.concatenate([parts[gate] for gate in gates], axis=1))


def options_of(op, given, has_peepholes):
    """The options of our modules."""
    functions = [FUNCTIONS[name] for name in given.get("activations", [])]
    functions = functions[: {"RNN": 1, "GRU": 2, "LSTM": 3}[op]]  # those of the other direction are the same
    if op == "RNN":
        return {"nonlinearity": functions[0]} if functions else {}
    made = {"gate_nonlinearity": functions[0], "nonlinearity": functions[1]} if functions else {}
    if op == "GRU":
        return made | {"reset_after": bool(given.get("linear_before_reset", 0))}
    return made | {"peephole": has_peepholes, "coupled": bool(given.get("input_forget", 0))}


def weights_of(op, values, options):
    """Of each direction the parameters of our cell by their names there."""
    gates = COUPLED if options.get("coupled") else GATES[op]
    size = values["R"].shape[2]
    made = {"weight_ih": blocks(values["W"], gates), "weight_hh": blocks(values["R"], gates)}
    if "B" in values:
        of_x, of_h = np.split(values["B"], 2, axis=1)
        made |= {"bias_ih": blocks(of_x, gates), "bias_hh": blocks(of_h, gates)}
    if "P" in values:
        i, o, f = np.split(values["P"], 3, axis=1)
        made["weight_ch"] = torch.from_numpy(np.stack([i, o] if options["coupled"] else [i, f, o], axis=1))
        assert made["weight_ch"].shape[2] == size
    return made


def run_ours(op, given, values):
    """What the node gives: Y (T, D, B, H), Y_h and of an LSTM Y_c (D, B, H), or with layout 1 batch first."""
    is_batch_first = bool(given.get("layout", 0))
    options = options_of(op, given, "P" in values)
    weights = weights_of(op, values, options)
    x = torch.from_numpy(values["X"])
    x = x.transpose(0, 1) if is_batch_first else x
    start = [torch.from_numpy(values[name]) for name in ("initial_h", "initial_c") if name in values] or None
    start = start if start is None or len(start) > 1 else start[0]
    lengths = torch.from_numpy(values["sequence_lens"]) if "sequence_lens" in values else None
    sizes, direction = (x.shape[2], given["hidden_size"]), given.get("direction", "forward")
    with torch.no_grad():
        if direction == "reverse":
            y, ends = _reverse(op, sizes, options, weights, (x, start, lengths))
        else:
            layer = getattr(ours, op)(*sizes, bias="B" in values, bidirectional=direction != "forward", **options)
            suffixes = ("_l0", "_l0_reverse")[: len(values["W"])]
            layer.load_state_dict({f"{n}{s}": w[k] for n, w in weights.items() for k, s in enumerate(suffixes)})
            y, ends = layer(x, start, lengths=lengths)
    ends = list(ends) if op == "LSTM" else [ends]
    y = y.unflatten(2, (len(values["W"]), -1)).transpose(1, 2)
    if is_batch_first:
        y, ends = y.permute(2, 0, 1, 3), [end.transpose(0, 1) for end in ends]
    return [y, *ends]


def _reverse(op, sizes, options, weights, given):
    """torch's modules do not run backward alone; a cell over time does."""
    cell = getattr(cells, op)(*sizes, "bias_ih" in weights, **options)
    cell.load_state_dict({name: value[0] for name, value in weights.items()})
    x, start, lengths = given
    if start is not None:
        start = tuple(leaf[0] for leaf in start) if op == "LSTM" else start[0]
    y, end = Recurrent(cell, reverse=True)(x, start, lengths=lengths)
    return y, tuple(leaf.unsqueeze(0) for leaf in end) if op == "LSTM" else end.unsqueeze(0)


def compare(node, values, expected, tolerance):
    """The outputs that a node names."""
    given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    given = {name: value.decode() if isinstance(value, bytes) else value for name, value in given.items()}
    if "activations" in given:
        given["activations"] = [name.decode() for name in given["activations"]]
    made = run_ours(node.op_type, given, values)
    found = [made[place].numpy() for place, name in enumerate(node.output) if name]
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


@pytest.fixture(scope="module")
def standard():
    """The standard's cases by their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other nodes' cases overflow as they are made
        made = onnx.backend.test.case.node.collect_testcases(None)
    return {case.name: case for case in made if case.model and case.model.graph.node[0].op_type in GATES}


def test_the_standards_cases(standard):
    """Within the tolerance that each case names."""
    for case in standard.values():
        node = case.model.graph.node[0]
        for inputs, expected in case.data_sets:
            values = dict(zip(NAMES, inputs, strict=False))
            compare(node, values, expected, {"rtol": case.rtol, "atol": case.atol})
    assert len(standard) == 18


def draw(number):
    """A node and its inputs: what both libraries have."""
    draws, numbers = random.Random(number), np.random.default_rng(number)
    op = draws.choice(["RNN", "GRU", "LSTM", "LSTM"])
    direction = draws.choice(["forward", "reverse", "bidirectional"])
    count, steps, rows = 1 + (direction == "bidirectional"), draws.randint(1, 9), draws.randint(1, 5)
    width, size = draws.randint(1, 9), draws.randint(1, 11)
    given = {"hidden_size": size, "direction": direction}
    gate, inner = draws.choice(["Sigmoid", "HardSigmoid"]), draws.choice(["Tanh", "Tanh", "Relu", "Elu", "Softsign"])
    functions = {"RNN": [inner], "GRU": [gate, inner], "LSTM": [gate, inner, inner]}[op]
    if draws.random() < 0.5:
        given["activations"] = functions * count
    if op == "GRU":
        given["linear_before_reset"] = draws.randint(0, 1)
    if op == "LSTM":
        given["input_forget"] = draws.randint(0, 1)
    height = len(GATES[op]) * size
    shapes = {"X": (steps, rows, width), "W": (count, height, width), "R": (count, height, size)}
    if draws.random() < 0.7:
        shapes["B"] = count, 2 * height
    values = {}
    if draws.random() < 0.6:
        values["sequence_lens"] = numbers.integers(1, steps + 1, rows, dtype=np.int32)
    if draws.random() < 0.6:
        shapes |= {"initial_h": (count, rows, size)} | ({"initial_c": (count, rows, size)} if op == "LSTM" else {})
    if op == "LSTM" and draws.random() < 0.5:
        shapes["P"] = count, 3 * size
    scale = {"X": 1.0, "initial_h": 1.0, "initial_c": 1.0}
    for name, shape in shapes.items():
        values[name] = (scale.get(name, 0.4) * numbers.standard_normal(shape)).astype(np.float32)
    return op, given, values


def model_of(op, given, values):
    """The node alone as a model."""
    make = partial(onnx.helper.make_tensor_value_info, shape=None)
    last = max(NAMES.index(name) for name in values)
    names = [name if name in values else "" for name in NAMES[: last + 1]]
    outputs = ["Y", "Y_h"] + (["Y_c"] if op == "LSTM" else [])
    node = onnx.helper.make_node(op, names, outputs, **given)
    kinds = {name: onnx.helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in values.items()}
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [make(name, kinds[name]) for name in names if name],
        [make(name, onnx.TensorProto.FLOAT) for name in outputs],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)


@pytest.mark.slow
@pytest.mark.parametrize(("block", "backend"), [(0, "auto"), (1, "reference"), (2, "reference"), (3, "reference")])
def test_random_cases_against_onnxruntime(block, backend, monkeypatch):
    """200 in all, 50 of them by kernels, of which almost every case has its own.

    onnxruntime's tanh and sigmoid are rational approximations, which differ by some 1e-7 a step.
    """
    runtime = pytest.importorskip("onnxruntime")
    monkeypatch.setenv("UNROLLED_BACKEND", backend)
    ran, number = 0, 1000 * block
    while ran < 50:
        op, given, values = draw(number)
        number += 1
        assert number < 1000 * block + 500
        model = model_of(op, given, values)
        try:
            session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            expected = session.run(None, values)
        except runtime.capi.onnxruntime_pybind11_state.NotImplemented:
            continue
        compare(model.graph.node[0], values, expected, {"rtol": 1e-5, "atol": 1e-5})
        ran += 1
