"""``backend="auto"``: compiled where it can be, otherwise the reference and one warning; a named backend never."""

import gc
import os
import threading
import warnings
import weakref
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from unrolled import Cell, InputTypeError, Recurrent, UnsupportedStep, unroll
from unrolled.cells import GRU
from unrolled.compiler import engine, fallback
from unrolled.compiler.recent import Recent

X, S = torch.randn(5, 4, 3), torch.zeros(4, 3)
NO_COMPILER = "/no/such/compiler"


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(engine, "_CACHE", Recent(256))
    monkeypatch.setattr(fallback, "_SAID", Recent(1024))


@pytest.fixture
def tried(monkeypatch):
    """The steps that the compiler was asked to build."""
    steps, build = [], engine._find_or_build

    def spy(step, *args, **options):
        steps.append(step)
        return build(step, *args, **options)

    monkeypatch.setattr(engine, "_find_or_build", spy)
    return steps


def mixes(x, s):
    s = torch.tanh(x + s - s.mean(0))
    return s, s


def line_of(warning):
    """The line of this file at which a warning points."""
    assert warning.filename == __file__
    return Path(__file__).read_text().splitlines()[warning.lineno - 1]


def said(call):
    """The texts of the warnings of a call, and its results."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = call()
    return [str(warning.message) for warning in caught], results


def test_what_can_be_compiled_is():
    outputs, _ = Recurrent(GRU(3, 5))(X)
    assert "Sequence" in type(outputs.grad_fn).__name__
    by_loop, _ = Recurrent(GRU(3, 5), backend="reference")(X)
    assert "Sequence" not in type(by_loop.grad_fn).__name__


def test_a_refused_step_runs_by_the_reference_and_says_where_and_why():
    with pytest.warns(UserWarning, match=r"Not compiled.*rows.*test_fallback\.py:\d+") as caught:
        outputs, end = unroll(mixes, X, S)
    assert line_of(caught[0]).strip() == "outputs, end = unroll(mixes, X, S)"
    expected, expected_end = unroll(mixes, X, S, backend="reference")
    assert torch.equal(outputs, expected)
    assert torch.equal(end, expected_end)


class Mixing(Cell):
    hidden_size = 3

    def step(self, x, s):
        return mixes(x, s)


def test_a_layer_in_a_model_warns_at_the_line_that_calls_it():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = Recurrent(Mixing())

        def forward(self, x):
            return self.layer(x)[0]  # here

    with pytest.warns(UserWarning, match="Not compiled") as caught:
        Model()(X)
    assert line_of(caught[0]).endswith("# here")


def test_it_warns_once_and_traces_once(tried):
    texts, _ = said(lambda: [unroll(mixes, X, S) for _ in range(5)])
    assert len(texts) == 1
    assert len(tried) == 1
    texts, _ = said(lambda: unroll(mixes, X[:2, :2], S[:2]))  # neither T nor B makes it another step
    assert texts == []
    assert len(tried) == 1


def test_what_is_another_step_is_tried_again(tried):
    class Changing(Cell):
        hidden_size = 3
        mixing = True

        def step(self, x, s):
            s = x + s - s.mean(0) if self.mixing else x + s
            return s, s

    cell = Changing()
    layer = Recurrent(cell)
    texts, _ = said(lambda: (layer(X), layer(X), layer(X.double()), layer(X.double())))
    assert len(texts) == 1
    assert len(tried) == 2
    cell.mixing = False
    assert said(lambda: layer(X))[0] == []
    torch.testing.assert_close(layer(X), Recurrent(cell, backend="reference")(X))
    assert len(tried) == 3


def test_where_warnings_are_errors_every_call_fails():
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(UserWarning, match="Not compiled"):
                unroll(mixes, X, S)


def test_many_threads_warn_once():
    def work():
        results.append(unroll(mixes, X, S)[1])

    results: list[torch.Tensor] = []
    threads = [threading.Thread(target=work) for _ in range(8)]

    def all_of_them():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    texts, _ = said(all_of_them)
    assert len(texts) == 1
    assert len(results) == 8
    assert all(torch.equal(result, results[0]) for result in results)


def test_what_is_remembered_is_bounded_and_holds_no_tensor(monkeypatch):
    monkeypatch.setattr(engine, "_CACHE", Recent(3))

    def many():
        for size in range(1, 7):
            unroll(mixes, X[..., :1].expand(5, 4, size), torch.zeros(4, size))
        table = torch.randn(3)
        unroll(lambda x, s: (s, s - s.mean(0) + table), X, S)
        return weakref.ref(table)

    _, watched = said(many)
    assert len(engine._CACHE.entries) == 3
    gc.collect()
    assert watched() is None


# ---------------------------------------------------------------- errors of the step itself


def wrong_sizes(x, s):
    return s, s @ torch.ones(7, 7)


def breaks(x, s):
    raise KeyError("mine")


def returns_one(x, s):
    return s


def changes_dtype(x, s):
    return s, s.double()


OWN = {
    "sizes": (wrong_sizes, RuntimeError, "mat1 and mat2"),
    "raises": (breaks, KeyError, "mine"),
    "returns one": (returns_one, InputTypeError, r"expected it to return \(output, state\), got Tensor"),
    "dtype": (changes_dtype, InputTypeError, "expected dtype torch.float32, got torch.float64"),
}


@pytest.mark.parametrize("backend", ["auto", "plan", "compiled"])
@pytest.mark.parametrize("case", OWN)
def test_an_error_of_the_step_is_shown_as_it_is(case, backend):
    step, kind, text = OWN[case]
    random_state = torch.get_rng_state()
    for _ in range(2):
        with pytest.raises(kind, match=text) as caught:
            unroll(step, X, S, backend=backend)
        assert not isinstance(caught.value, UnsupportedStep)
        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None
    assert torch.equal(torch.get_rng_state(), random_state)


def branches(x, s):
    return s, (s + 1 if s.sum() > 0 else s)


@pytest.mark.parametrize("backend", ["plan", "compiled"])
@pytest.mark.parametrize("step", [mixes, branches])
def test_a_named_backend_never_falls_back(step, backend):
    with pytest.raises(UnsupportedStep, match="step"):
        unroll(step, X, S, backend=backend)


def test_a_number_of_rows_written_into_the_step_runs_by_the_reference():
    def step(x, s):
        return torch.ones(4), s + x

    texts, (outputs, _) = said(lambda: unroll(step, X, S))
    assert len(texts) == 1
    assert torch.equal(outputs, torch.ones(5, 4))
    with pytest.raises(UnsupportedStep, match="number of rows"):
        unroll(step, X, S, backend="compiled")


def test_the_compilers_own_failure_is_not_the_users(monkeypatch):
    def fails(*args, **options):
        torch.rand(1)
        raise AssertionError("unforeseen")

    monkeypatch.setattr(fallback, "run_planned", fails)
    torch.manual_seed(1)
    texts, found = said(lambda: Recurrent(GRU(3, 3))(X))
    torch.manual_seed(1)
    assert torch.equal(found[0], Recurrent(GRU(3, 3), backend="reference")(X)[0])
    assert len(texts) == 1
    assert "the kernel failed, AssertionError: unforeseen" in texts[0]


@pytest.mark.parametrize("error", [MemoryError("none"), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_no_memory_is_no_matter_of_the_step(monkeypatch, error):
    def fails(*args, **options):
        raise error

    monkeypatch.setattr(fallback, "run_planned", fails)
    with pytest.raises(type(error)) as caught:
        unroll(mixes, X, S)
    assert caught.value is error


# ---------------------------------------------------------------- the random state


def draws(x, s):
    s = x + s - s.mean(0) + torch.rand_like(s) * torch.rand(())
    return s, s


def seeds(x, s):
    torch.manual_seed(3)
    return s, s - s.mean(0) + torch.rand_like(s)


@pytest.mark.parametrize("step", [draws, seeds])
def test_seeded_runs_are_those_of_the_reference(step):
    def run(backend):
        torch.manual_seed(11)
        results = [unroll(step, X, S, backend=backend)[1] for _ in range(2)]
        return [*results, torch.rand(3)]

    expected = run("reference")
    _, found = said(lambda: run("auto"))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


# ---------------------------------------------------------------- contexts


def forward_mode(layer, x):
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        return torch.autograd.forward_ad.unpack_dual(layer(dual)[0]).tangent


def autocast(layer, x):
    with torch.autocast("cpu", torch.bfloat16):
        return layer(x)[0]


CONTEXTS = {
    "grad": lambda layer, x: torch.func.grad(lambda x: layer(x)[0].sum())(x),
    "vmap": lambda layer, x: torch.func.vmap(lambda x: layer(x)[0], in_dims=1, out_dims=1)(x[:, :, None]),
    "forward mode": forward_mode,
    "autocast": autocast,
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_context_is_refused_and_not_the_step(name, tried):
    cell = GRU(3, 5)
    layer, slow = Recurrent(cell), Recurrent(cell, backend="reference")
    for _ in range(2):
        texts, found = said(lambda: CONTEXTS[name](layer, X))
        assert torch.equal(found, CONTEXTS[name](slow, X))
    assert texts == []
    assert "Sequence" in type(layer(X)[0].grad_fn).__name__
    assert CONTEXTS[name](layer, X).shape == found.shape


def test_without_gradients():
    layer = Recurrent(GRU(3, 5))
    expected = layer(X)[0].detach()
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            torch.testing.assert_close(layer(X)[0], expected)


@pytest.mark.skipif(torch.__version__ < "2.7", reason="this torch.export cannot follow next(...) in Python")
def test_other_tracers_get_the_operations():
    layer = Recurrent(GRU(3, 5))
    expected = layer(X)[0]
    exported = torch.export.export(layer, (X,))
    torch.testing.assert_close(exported.module()(X)[0], expected)
    with FakeTensorMode():
        outputs, _ = Recurrent(GRU(3, 5))(torch.randn(5, 4, 3))
        assert outputs.shape == (5, 4, 5)


STATES = {
    "int64": torch.zeros(4, 3, dtype=torch.int64),
    "int32": torch.zeros(4, 3, dtype=torch.int32),
    "uint8": torch.zeros(4, 3, dtype=torch.uint8),
    "complex": torch.zeros(4, 3, dtype=torch.complex64),
    "half": torch.zeros(4, 3, dtype=torch.float16),
    "complex with gradient": torch.zeros(4, 3, dtype=torch.complex128, requires_grad=True),
}


@pytest.mark.parametrize("name", STATES)
def test_states_of_every_dtype(name):
    state = STATES[name]
    x = torch.arange(60).reshape(5, 4, 3).to(state.dtype)

    def step(x, s):
        return s * 2, s + x

    _, found = said(lambda: unroll(step, x, state))
    expected = unroll(step, x, state, backend="reference")
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert found[1].dtype == state.dtype
    assert found[1].requires_grad == state.requires_grad


def test_a_sparse_matrix_in_the_step():
    matrix = torch.eye(3).to_sparse()

    def step(x, s):
        s = (matrix @ s.T).T + x
        return s, s

    texts, (_, end) = said(lambda: unroll(step, X, S))
    assert len(texts) == 1
    torch.testing.assert_close(end, X.sum(0))


# ---------------------------------------------------------------- the machine


@pytest.mark.skipif(os.name != "posix", reason="paths of posix")
def test_without_a_compiler(monkeypatch, tmp_path, tried):
    monkeypatch.setenv("CC", NO_COMPILER)
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "kernels"))
    cell = GRU(3, 6)
    layer, slow = Recurrent(cell), Recurrent(cell, backend="reference")
    texts, found = said(lambda: [layer(X)[0] for _ in range(3)])
    assert torch.equal(found[2], slow(X)[0])
    assert len(texts) == len(tried) == 1
    assert "`unrolled doctor`" in texts[0]
    with pytest.raises(UnsupportedStep, match="CC"):
        Recurrent(cell, backend="compiled")(X)
    monkeypatch.delenv("CC")
    assert "Sequence" in type(layer(X)[0].grad_fn).__name__


def test_without_a_place_for_kernels(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "file" / "kernels"))
    cell = GRU(3, 7)
    texts, found = said(lambda: [Recurrent(cell)(X)[0] for _ in range(3)])
    assert torch.equal(found[0], Recurrent(cell, backend="reference")(X)[0])
    assert len(texts) == 1
    assert "UNROLLED_CACHE" in texts[0]
    assert "`unrolled doctor`" in texts[0]


def test_a_full_disk(monkeypatch, tmp_path):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "kernels"))
    monkeypatch.setattr("unrolled.compiler.runtime.cache.write_whole", full)
    texts, _ = said(lambda: [Recurrent(GRU(3, 8))(X) for _ in range(3)])
    assert len(texts) == 1
    assert "No space left on device" in texts[0]


def test_tensors_without_elements_are_refused():
    with pytest.raises(UnsupportedStep, match="without elements"):
        unroll(lambda x, s: (s, 0.5 * s), X, torch.randn(4, 0), backend="compiled")
    with pytest.raises(UnsupportedStep, match="without elements"):
        unroll(lambda x, s: (s[:, :0], 0.5 * s), X, S, backend="compiled")
