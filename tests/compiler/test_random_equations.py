"""Random equations on every backend: results, last states and every gradient are the reference's.

Each kernel holds several equations of the folder ``equations``. ``UNROLLED_SEED`` draws other ones.
"""

import collections
import gc
import importlib.util
import math
import os
import random
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from unrolled.compiler import build, run_planned
from unrolled.compiler.runtime import toolchain
from unrolled.compiler.trace import trace
from unrolled.core import leaves, run_reference, settle


def package(folder):
    """A folder of modules that import one another; tests are not on the path."""
    spec = importlib.util.spec_from_file_location(folder.name, folder / "__init__.py")
    module = sys.modules[folder.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


equations = package(Path(__file__).with_name("equations"))

SEED = int(os.environ.get("UNROLLED_SEED", "0"))
KERNELS = 52
AS_SHIPPED = (0, 27)  # one of each dtype at the shipped level of the C compiler, which takes fifteen times as long
TOGETHER = [2 if block in AS_SHIPPED else 4 for block in range(KERNELS)]  # 204 equations
MARGIN = {torch.float64: 1e-9, torch.float32: 2e-5}  # nearer to a kink, rounding may fall on its other side
FLOOR = {torch.float64: 0.01, torch.float32: 1.0}  # errors are relative to the largest element, or to this
BACKENDS = {"plan": partial(run_planned, compiled=False), "compiled": partial(run_planned, compiled=True)}


def dtype_of(block):
    return torch.float32 if block % 4 == 3 else torch.float64


def equations_of(block):
    """The equations of a kernel, numbered by themselves in each dtype."""
    dtype = dtype_of(block)
    first = sum(TOGETHER[other] for other in range(block) if dtype_of(other) == dtype)
    return [equations.write(SEED, number, dtype) for number in range(first, first + TOGETHER[block])]


class Margin(TorchDispatchMode):
    """The least distance of a run's values from a kink or jump of an operation that it calls."""

    def __init__(self):
        super().__init__()
        self.least = float("inf")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        distance = DISTANCES.get(func._schema.name.removeprefix("aten::"))
        if distance is not None and args[0].numel():
            self.least = min(self.least, float(distance(*args, **(kwargs or {})).abs().min()))
        return func(*args, **(kwargs or {}))


def from_integers(a, b=1.0, **_):
    return a / b - (a / b).round()


def from_runner_up(sign, a, dims=(), keep=False, *, dim=None, keepdim=False):
    dims = dims if dim is None else dim
    dims = [dims] if isinstance(dims, int) else list(dims) or range(a.dim())
    dims = [d % a.dim() for d in dims]
    a = sign * a.permute(*(d for d in range(a.dim()) if d not in dims), *dims).flatten(-len(dims))
    best = a.topk(2, -1).values
    return best[..., 0] - best[..., 1]


def from_bounds(a, low=None, high=None, *, min=None, max=None):  # noqa: A002
    bounds = [bound for bound in (low, high, min, max) if bound is not None]
    return torch.stack([a - bound for bound in bounds])


DISTANCES = {
    **dict.fromkeys(["abs", "sign", "relu", "leaky_relu", "elu"], lambda a, *_: a),
    "_to_copy": lambda a, dtype=None, **_: (
        from_integers(a) if dtype == torch.int64 and a.is_floating_point() else a.double() + math.inf
    ),
    **dict.fromkeys(["floor", "ceil", "trunc", "remainder", "fmod"], from_integers),
    "div": lambda a, b, rounding_mode=None: from_integers(a, b) if rounding_mode else torch.full((1,), math.inf),
    "round": lambda a: from_integers(a + 0.5),
    **dict.fromkeys(["gt", "ge", "lt", "le", "maximum", "minimum"], lambda a, b: a - b),
    **dict.fromkeys(["amax", "max", "argmax"], partial(from_runner_up, 1)),
    **dict.fromkeys(["amin", "min", "argmin"], partial(from_runner_up, -1)),
    **dict.fromkeys(["clamp", "clamp_min", "clamp_max", "hardtanh"], from_bounds),
    **dict.fromkeys(["hardsigmoid", "hardswish"], lambda a: from_bounds(a, -3, 3)),
}


def draw_run(rng):
    """T, B, the options of a run, and the seed of its numbers."""
    steps, rows = rng.choice([4, 4, 4, 3, 1]), rng.choice([3, 3, 2, 5, 1])
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    options = {"reverse": rng.random() < 0.4, "truncated_bptt_steps": rng.choice([None, None, 1, 2, 3])}
    if rng.random() < 0.5:
        options["mask"] = torch.rand(steps, rows, generator=generator) < 0.7
    if rng.random() < 0.3:
        options["lengths"] = torch.randint(0, steps + 1, (rows,), generator=generator)
    if rng.random() < 0.5:
        options["reset"] = torch.rand(steps, rows, generator=generator) < 0.3
    return steps, rows, options, generator.initial_seed()


def run_with_gradients(backend, cell, written, drawn, attempt, dtype):
    """For each equation of a cell: outputs, last states and every gradient, each with its name."""
    steps, rows, options, seed = drawn
    generator = torch.Generator().manual_seed(seed + attempt)

    def draw(*shape):
        return (2 * torch.rand(*shape, generator=generator) - 1).to(dtype)

    x = tuple((1.5 * draw(steps, rows, *equation.x)).requires_grad_() for equation in written)
    first, other = (
        tuple(tuple(draw(rows, *shape).requires_grad_() for shape in equation.state) for equation in written)
        for _ in range(2)
    )
    if "reset" in options:
        options = {**options, "reset_state": other}
    outputs, last = backend(cell.step, settle(x, first, **options))
    loss = sum((leaf * draw(*leaf.shape)).sum() for leaf in [*leaves(outputs), *leaves(last)])
    results = []
    for k, part in enumerate(cell.parts):
        inputs = {"x": x[k]}
        inputs |= {f"first state {i}": leaf for i, leaf in enumerate(first[k])}
        inputs |= {f"reset state {i}": leaf for i, leaf in enumerate(other[k])}
        inputs |= dict(part.named_parameters())
        inputs |= {f"closed-over tensor {i}": leaf for i, leaf in enumerate(part.closed)}
        grads = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True, retain_graph=True)
        found = {f"output {i}": leaf for i, leaf in enumerate(leaves(outputs[k]))}
        found |= {f"last state {i}": leaf for i, leaf in enumerate(leaves(last[k]))}
        found |= {f"gradient of {name}": grad for name, grad in zip(inputs, grads, strict=True)}
        results.append({name: leaf if leaf is None else leaf.detach() for name, leaf in found.items()})
    return results


def away_from_kinks(cell, written, drawn, enough):
    """The float64 reference on numbers at which nothing is near a kink or a jump; which numbers, and the results."""
    for attempt in range(200):
        margin = Margin()

        def watched(step, run, margin=margin):
            with margin:
                return run_reference(step, run)

        truth = run_with_gradients(watched, cell, written, drawn, attempt, torch.float64)
        if margin.least > enough:
            return attempt, truth
    raise AssertionError("an operation with a kink was given values that always tie")


def errors(found, truth, floor):
    """For each tensor its largest error, relative to its largest element or to ``floor``."""
    for name, exact in truth.items():
        value = found[name]
        if value is None or exact is None:
            nothing = exact if value is None else value
            assert nothing is None or not nothing.any(), f"{name} is missing"
        elif exact.numel():
            assert torch.isfinite(value).all(), f"{name} is not finite"
            yield name, float((value - exact).abs().max() / (exact.abs().max() + floor))


@pytest.fixture(scope="module", autouse=True)
def fewer_collections():
    """A trace makes objects by the hundred thousand: a tenth of its time went to looking for cycles among them."""
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)
    yield
    gc.set_threshold(*thresholds)


@pytest.fixture
def quick(request, monkeypatch):
    """One trace serves both backends, and the C compiler does not optimise, but for some kernels."""
    known = []

    def once(*args):
        if not known:
            known.append(trace(*args))
        return known[0]

    monkeypatch.setattr(build, "trace", once)
    if request.getfixturevalue("block") not in AS_SHIPPED:
        flags = tuple("-O0" if flag.startswith("-O") else flag for flag in toolchain.COMMON_FLAGS)
        monkeypatch.setattr(toolchain, "COMMON_FLAGS", flags)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(KERNELS))
def test_results_and_gradients_are_the_references(block, quick):
    dtype, written, rng = dtype_of(block), equations_of(block), random.Random(f"run {SEED} {block}")
    print(*written, sep="\n")  # shown if the test fails
    cell, exact = (equations.Together(written, kind) for kind in (dtype, torch.float64))
    for _ in range(2):
        drawn = draw_run(rng)
        attempt, truth = away_from_kinks(exact, written, drawn, MARGIN[dtype])
        eager = run_with_gradients(run_reference, cell, written, drawn, attempt, dtype)
        for backend, run in BACKENDS.items():
            found = run_with_gradients(run, cell, written, drawn, attempt, dtype)
            for equation, *results in zip(written, found, eager, truth, strict=True):
                compare(dtype, *results, f"{backend}, {equation.name}, T, B, options, seed {drawn}, attempt {attempt}")


def compare(dtype, found, eager, truth, what):
    own = max((error for _, error in errors(eager, truth, FLOOR[dtype])), default=0.0)
    bound = 1e-12 if dtype == torch.float64 else 4 * own + 1e-6
    for name, error in errors(found, truth, FLOOR[dtype]):
        assert error <= bound, f"{name} is off by {error:.2g}, more than {bound:.2g}: {what}"


def test_every_operation_occurs(capsys):
    """The table of what the kernels above hold."""
    counts = {dtype: [collections.Counter(), collections.Counter()] for dtype in (torch.float64, torch.float32)}
    for block in range(KERNELS):
        for equation in equations_of(block):
            forward, backward = counts[equation.dtype]
            forward.update(equation.used)
            backward.update(equation.differentiated)
    columns = [counter for pair in counts.values() for counter in pair]
    with capsys.disabled():
        print(f"\n{sum(TOGETHER)} random equations of seed {SEED}; in how many of them each operation occurs")
        print(f"{'operation':32}{'float64: forward':>18}{'backward':>10}{'float32: forward':>18}{'backward':>10}")
        for name in equations.table(torch.float32):
            cells = [counter[name] or "-" for counter in columns]
            print("{:32}{:>18}{:>10}{:>18}{:>10}".format(name, *cells))
    for dtype, (forward, backward) in counts.items():
        names = set(equations.table(dtype))
        assert names <= set(forward)
        assert names - equations.FLAT <= set(backward)
