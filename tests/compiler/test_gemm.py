"""Products outside a step: against float64, torch's gradients, and themselves with other rows and threads."""

import gc
import itertools

import pytest
import torch
from torch.nn import functional as F

from unrolled.compiler import gemm
from unrolled.layers.linear import Linear

DTYPES = (torch.float32, torch.float64, torch.bfloat16)
SIZES = [
    (1, 1, 1),
    (5, 3, 7),
    (13, 130, 65),
    (0, 3, 4),
    (4, 0, 3),
    (3, 4, 0),
    (300, 41, 70),
    (33, 2100, 20),
    (2, 64, 515),
]


def matrices(rows, inner, columns, dtype=torch.float32):
    torch.manual_seed(rows + 3 * inner + 7 * columns)
    return [torch.randn(*shape).to(dtype) for shape in ((rows, inner), (columns, inner), (columns,), (rows, columns))]


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def assert_close(found, a, b, start=0.0):
    """A sum of products: its error is of the size of the rounding of all of its terms, as in a random walk."""
    dtype, a, b = found.dtype, a.double(), b.double()
    true, size = a @ b + start, a.abs() @ b.abs() + abs(start)
    rounding = torch.finfo(dtype).eps * (1 if dtype == torch.bfloat16 else a.shape[1] ** 0.5)
    assert ((found.double() - true).abs() <= rounding * size).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_shape(dtype, threads):
    for rows, inner, columns in SIZES:
        x, weight, bias, grad = matrices(rows, inner, columns, dtype)
        assert_close(gemm.linear(x, weight, bias), x, weight.t(), bias.double())
        assert_close(gemm.product(x, weight.t()), x, weight.t())
        assert_close(gemm.total(grad, x), grad.t(), x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_layout(dtype):
    x, weight, bias, grad = matrices(30, 20, 50, dtype)
    wide = torch.full((60, 150), float("nan"), dtype=dtype)
    for original, step in itertools.product((x, x.t().contiguous().t()), (1, 2)):
        view = wide[: 30 * step : step, : 20 * step : step].copy_(original)
        for given in (original, view):
            expected = gemm.linear(x, weight, bias)
            assert torch.equal(gemm.linear(given, weight, bias), expected)
            assert torch.equal(gemm.linear(given, weight.t().contiguous().t(), bias), expected)
            assert torch.equal(gemm.total(given, grad), gemm.total(x, grad))
    assert torch.equal(
        gemm.linear(x[:1].expand(4, 20), weight, bias[:1].expand(50)),
        gemm.linear(x[:1], weight, bias[:1].expand(50)).expand(4, 50),
    )
    many = x.view(2, 3, 5, 20)
    assert torch.equal(gemm.linear(many, weight, bias), gemm.linear(x, weight, bias).view(2, 3, 5, 50))
    assert torch.equal(gemm.linear(x[0], weight, bias), gemm.linear(x, weight, bias)[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_does_not_depend_on_the_others_nor_on_threads(dtype):
    x, weight, bias, grad = matrices(200, 300, 90, dtype)
    before = torch.get_num_threads()
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        whole = gemm.linear(x, weight, bias)
        for rows in (slice(0, 1), slice(7, 20), slice(100, 200)):
            assert torch.equal(gemm.linear(x[rows], weight, bias), whole[rows])
        found.append((whole, gemm.total(grad, x), gemm.product(grad, weight)))
    torch.set_num_threads(before)
    for others in zip(*found, strict=True):
        assert all(torch.equal(others[0], other) for other in others)


def test_gradients_once_and_twice(threads):
    x, weight, bias, grad = matrices(5, 4, 3, torch.float64)
    given = [t.requires_grad_() for t in (x, weight, bias)]
    assert torch.autograd.gradcheck(gemm.linear, given)
    assert torch.autograd.gradgradcheck(gemm.linear, given)
    given = [t.requires_grad_() for t in (grad, x)]
    assert torch.autograd.gradcheck(gemm.total, given)
    assert torch.autograd.gradgradcheck(gemm.total, given)


@pytest.mark.parametrize("wanted", list(itertools.product([False, True], repeat=3)))
def test_only_the_gradients_that_are_wanted(wanted):
    x, weight, bias, _ = matrices(6, 5, 4)
    found, expected = [], []
    for function, results in ((gemm.linear, found), (F.linear, expected)):
        given = [t.clone().requires_grad_(w) for t, w in zip((x, weight, bias), wanted, strict=True)]
        made = function(*given)
        assert made.requires_grad == any(wanted)
        if any(wanted):
            made.square().sum().backward()
        results += [t.grad for t in given]
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b)


def test_a_kept_weight_is_packed_again_when_it_changes():
    """In place, through .data, replaced, moved to the memory of another that is gone; one of many."""
    x = torch.randn(2, 40)
    layer = Linear(40, 30)
    with torch.no_grad():
        for change in (
            lambda: None,
            lambda: layer.weight.add_(1),
            lambda: layer.weight.data.mul_(2),
            lambda: layer.weight.data[17].zero_(),
            lambda: layer.weight.data[:, 3].zero_(),
            lambda: setattr(layer, "weight", torch.nn.Parameter(torch.randn(30, 40))),
            lambda: layer.weight.set_(torch.randn(30, 40)),
        ):
            change()
            for _ in range(3):
                torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))
        for _ in range(20):
            gc.collect()
            weight = torch.randn(30, 40)
            torch.testing.assert_close(gemm.linear(x, weight), F.linear(x, weight))
            del weight
        several = [torch.randn(30, 40) for _ in range(12)]
        for _, weight in itertools.product(range(3), several):
            torch.testing.assert_close(gemm.linear(x, weight), F.linear(x, weight))
        shared = torch.randn(60, 40)
        for half in (shared[:30], shared[30:], shared[::2]):
            torch.testing.assert_close(gemm.linear(x, half), F.linear(x, half))
    with torch.inference_mode():
        weight = torch.randn(30, 40)
        for _ in range(3):
            torch.testing.assert_close(gemm.linear(x, weight), F.linear(x, weight))
            weight += 1


@pytest.mark.parametrize(
    "given",
    [
        (torch.ones(2, 3), torch.ones(4, 2)),
        (torch.ones(2, 3), torch.ones(4, 3, dtype=torch.float64)),
        (torch.ones(2, 3), torch.ones(4, 3), torch.ones(5)),
        (torch.ones(2, 3, dtype=torch.int64), torch.ones(4, 3)),
        (torch.tensor(1.0), torch.ones(4, 3)),
    ],
)
def test_what_does_not_fit_is_refused_as_by_torch(given):
    with pytest.raises(RuntimeError) as theirs:
        F.linear(*given)
    with pytest.raises(RuntimeError) as ours:
        gemm.linear(*given)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own, at its first dual tensor
def test_under_transforms_and_without_a_compiler_it_is_torchs(monkeypatch, tmp_path):
    x, weight, bias, _ = matrices(6, 5, 4)
    expected = F.linear(x, weight, bias)
    torch.testing.assert_close(torch.func.vmap(gemm.linear, (0, None, None))(x, weight, bias), expected)
    derivative = torch.func.jvp(lambda w: gemm.linear(x, w, bias), (weight,), (weight,))[1]
    torch.testing.assert_close(derivative, x @ weight.t())
    with torch.autocast("cpu", torch.bfloat16):
        assert gemm.linear(x, weight, bias).dtype == torch.bfloat16
    assert gemm.linear(x.half(), weight.half(), bias.half()).dtype == torch.half
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", str(tmp_path / "missing"))
    assert torch.equal(gemm.linear(x, weight, bias), expected)
    given = [t.clone().requires_grad_() for t in (x, weight, bias)]
    gemm.linear(*given).sum().backward()
    torch.testing.assert_close(given[1].grad, x.sum(0).expand(4, 5))


def test_a_matrix_product_in_either_order():
    torch.manual_seed(1)
    a, b = torch.randn(200, 64), torch.randn(64, 50)
    torch.testing.assert_close(gemm.matrix_product(a, b), a @ b)
    torch.testing.assert_close(gemm.matrix_product(a.t(), a[:, :50]), a.t() @ a[:, :50])
    assert torch.equal(gemm.matrix_product(a[:2, :3], b[:3]), a[:2, :3] @ b[:3])


@pytest.mark.filterwarnings("ignore:`torch.jit.trace`")
def test_who_traces_sees_an_operation():
    x, weight, bias, _ = matrices(6, 5, 4)
    traced = torch.jit.trace(lambda x: gemm.linear(x, weight, bias), x, check_trace=False)
    torch.testing.assert_close(traced(2 * x), F.linear(2 * x, weight, bias))
