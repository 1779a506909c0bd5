"""XLSTM and its blocks: against the authors' package, step by step against the whole, lengths, resets, gradients."""

import pytest
import torch
from torch import nn

from unrolled import InputError, InputTypeError, Recurrent
from unrolled.core import leaves
from unrolled.models import XLSTM, CausalConvolution, MLSTMBlock, SLSTMBlock

T, B, SIZE, HEADS = 9, 3, 8, 2
EXACT = {"rtol": 1e-10, "atol": 1e-11}  # the same sums in another order, in float64


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(4)


def randomised(module):
    """In float64, no parameter at a value that it begins with."""
    module = module.double()
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return module


def make(blocks="ms", **options):
    return randomised(XLSTM(SIZE, blocks, num_heads=HEADS, **options))


def gradients(outputs, wanted):
    loss = sum((leaf * torch.linspace(0.5, 1.5, leaf.numel()).to(leaf).view_as(leaf)).sum() for leaf in outputs)
    return torch.autograd.grad(loss, wanted)


def same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def sequence():
    return torch.randn(T, B, SIZE, dtype=torch.float64, requires_grad=True)


def authors_pairs_of_mlstm(ours, theirs):
    """(our parameter, theirs as a function of it); their gains are 1 + a weight."""
    layer, cell = theirs.xlstm, theirs.xlstm.mlstm_cell
    inputs, forgets = cell.igate, cell.fgate
    return [
        (ours.norm.weight, theirs.xlstm_norm.weight, lambda w: w - 1),
        (ours.up.weight, layer.proj_up.weight, lambda w: w),
        (ours.convolution.cell.weight, layer.conv1d.conv.weight, lambda w: w.T.unsqueeze(1)),
        (ours.convolution.cell.bias, layer.conv1d.conv.bias, lambda w: w),
        (ours.query.weight, layer.q_proj.weight, lambda w: w),
        (ours.key.weight, layer.k_proj.weight, lambda w: w),
        (ours.value.weight, layer.v_proj.weight, lambda w: w),
        (ours.gates.weight, inputs.weight, lambda w: w[:HEADS]),
        (ours.gates.weight, forgets.weight, lambda w: w[HEADS:]),
        (ours.gates.bias, inputs.bias, lambda w: w[:HEADS]),
        (ours.gates.bias, forgets.bias, lambda w: w[HEADS:]),
        (ours.head_norm.weight, cell.outnorm.weight, lambda w: w - 1),
        (ours.skip, layer.learnable_skip, lambda w: w),
        (ours.down.weight, layer.proj_down.weight, lambda w: w),
    ]


def authors_pairs_of_slstm(ours, theirs):
    layer = theirs.xlstm
    named = (layer.fgate, layer.igate, layer.zgate, layer.ogate)  # the map that they call fgate makes i, and igate f
    return [
        (ours.norm.weight, theirs.xlstm_norm.weight, lambda w: w - 1),
        (ours.convolution.cell.weight, layer.conv1d.conv.weight, lambda w: w.T.unsqueeze(1)),
        (ours.convolution.cell.bias, layer.conv1d.conv.bias, lambda w: w),
        *((mine.weight, other.weight, lambda w: w) for mine, other in zip(ours.gates, named, strict=True)),
        (ours.memory.cell.weight_hh, layer.slstm_cell._recurrent_kernel_, lambda w: w),
        (ours.memory.cell.bias, layer.slstm_cell._bias_, lambda w: w),
        (ours.head_norm.weight, layer.group_norm.weight, lambda w: w - 1),
        (ours.feed_forward_norm.weight, theirs.ffn_norm.weight, lambda w: w - 1),
        (ours.feed_forward.up.weight, theirs.ffn.proj_up.weight, lambda w: w),
        (ours.feed_forward.down.weight, theirs.ffn.proj_down.weight, lambda w: w),
    ]


def held_to_authors(ours, theirs, pairs):
    theirs.double()
    with torch.no_grad():
        for mine, other, of in pairs:
            other.copy_(of(mine))
    x = sequence()
    y, _ = ours(x)
    found = theirs(x.transpose(0, 1)).transpose(0, 1)
    same([y], [found])
    of_ours = gradients([y], [x, *(mine for mine, _, _ in pairs)])
    of_theirs = gradients([found], [x, *(other for _, other, _ in pairs)])
    torch.testing.assert_close(of_ours[0], of_theirs[0], **EXACT)
    for mine, other, (_, _, of) in zip(of_ours[1:], of_theirs[1:], pairs, strict=True):
        shift = of(torch.zeros_like(mine)) if mine.dim() == 1 else 0  # of a gain; a derivative has none
        torch.testing.assert_close(of(mine) - shift, other, **EXACT)


@pytest.mark.parametrize("chunk_size", [None, 4])
def test_the_block_of_a_matrix_memory_is_that_of_the_authors_package(chunk_size):
    block = pytest.importorskip("xlstm.blocks.mlstm.block")
    layer = block.mLSTMLayerConfig(
        embedding_dim=SIZE, num_heads=HEADS, context_length=T, round_proj_up_to_multiple_of=8
    )
    theirs = block.mLSTMBlock(block.mLSTMBlockConfig(mlstm=layer, _num_blocks=1, _block_idx=0))
    read = theirs.xlstm.mlstm_cell.backend_fn
    theirs.xlstm.mlstm_cell.backend_fn = lambda **given: read(eps=0.0, **given)  # as in the paper
    ours = randomised(MLSTMBlock(SIZE, num_heads=HEADS, chunk_size=chunk_size))
    held_to_authors(ours, theirs, authors_pairs_of_mlstm(ours, theirs))


def test_the_block_of_a_scalar_memory_is_that_of_the_authors_package():
    block, parts = pytest.importorskip("xlstm.blocks.slstm.block"), pytest.importorskip("xlstm.components.feedforward")
    layer = block.sLSTMLayerConfig(
        embedding_dim=SIZE, num_heads=HEADS, backend="vanilla", dtype="float32", enable_automatic_mixed_precision=False
    )
    forward = parts.FeedForwardConfig(embedding_dim=SIZE, proj_factor=4 / 3, round_proj_up_to_multiple_of=8)
    theirs = block.sLSTMBlock(block.sLSTMBlockConfig(slstm=layer, feedforward=forward, _num_blocks=1, _block_idx=0))
    ours = randomised(SLSTMBlock(SIZE, num_heads=HEADS))
    held_to_authors(ours, theirs, authors_pairs_of_slstm(ours, theirs))


def test_the_convolution_is_torchs():
    layer = randomised(Recurrent(CausalConvolution(SIZE, 4)))
    x = sequence()
    other = nn.Conv1d(SIZE, SIZE, 4, padding=3, groups=SIZE).double()
    with torch.no_grad():
        other.weight.copy_(layer.cell.weight.T.unsqueeze(1))
        other.bias.copy_(layer.cell.bias)
    y, last = layer(x)
    same([y, last], [other(x.permute(1, 2, 0))[..., :T].permute(2, 0, 1), x[-3:].transpose(0, 1)])
    grads = gradients([y], [x, layer.cell.bias]), gradients([other(x.permute(1, 2, 0))[..., :T].permute(2, 0, 1)], [x])
    torch.testing.assert_close(grads[0][0], grads[1][0], **EXACT)


@pytest.mark.parametrize("blocks", ["m", "s", "msm"])
@pytest.mark.parametrize("chunk_size", [None, 4])
def test_step_by_step_is_the_whole(blocks, chunk_size):
    model, x = make(blocks, chunk_size=chunk_size), sequence()
    whole, end = model(x)
    state, steps = None, []
    with torch.no_grad():
        for now in x:
            y, state = model.step(now, state)
            steps.append(y)
    same([whole, *leaves(end)], [torch.stack(steps), *leaves(state)])
    first, state = model(x[:5])
    others, state = model(x[5:], state)
    same([whole, *leaves(end)], [torch.cat([first, others]), *leaves(state)])
    wanted = [x, *model.parameters()]
    same(gradients([whole], wanted), gradients([torch.cat([first, others])], wanted))


@pytest.mark.parametrize("chunk_size", [None, 4])
def test_rows_that_end_earlier_and_episodes_that_begin(chunk_size):
    """A row by itself, an episode by itself; NaN in the padding."""
    model, x = make(chunk_size=chunk_size), sequence()
    lengths, begins = [9, 0, 5], 4
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[begins, 0] = True
    valid = torch.arange(T)[:, None] < torch.tensor(lengths)
    y, end = model(torch.where(valid[..., None], x, torch.nan), lengths=lengths, reset=reset)
    before, _ = model(x[:begins, :1])
    after, end_0 = model(x[begins:, :1])
    short, end_2 = model(x[:5, 2:])
    pieces = torch.zeros_like(y)
    pieces[:, 0], pieces[:5, 2] = torch.cat([before, after])[:, 0], short[:, 0]
    same([y], [pieces])
    for whole, *parts in zip(leaves(end), leaves(end_0), leaves(end_2), strict=True):
        same([whole[0], whole[2]], [parts[0][0], parts[1][0]])
    wanted = [x, *model.parameters()]
    same(gradients([y], wanted), gradients([pieces], wanted))
    mask, end_of_mask = model(torch.where(valid[..., None], x, torch.nan), mask=valid, reset=reset)
    same([y, *leaves(end)], [mask, *leaves(end_of_mask)])


@pytest.mark.slow
def test_derivatives_are_those_of_differences():
    model = randomised(XLSTM(4, "ms", num_heads=2, chunk_size=2))
    x = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in model.named_parameters()]

    def run(x, *parameters):
        y, end = torch.func.functional_call(model, dict(zip(names, parameters, strict=True)), (x,), {"lengths": [3, 2]})
        return y, *leaves(end)

    assert torch.autograd.gradcheck(run, (x, *(p.detach().clone().requires_grad_() for p in model.parameters())))


@pytest.mark.slow
def test_every_backend_computes_the_same():
    x, found = sequence(), []
    for backend in ("reference", "plan", "compiled"):
        torch.manual_seed(5)
        model = make("ms", chunk_size=None, backend=backend)
        y, end = model(x, lengths=[9, 4, 0])
        found.append([y, *leaves(end), *gradients([y], [x, *model.parameters()])])
    same(found[0], found[1])
    same(found[0], found[2])


@pytest.mark.slow
def test_it_learns_in_float32_with_dropout():
    torch.manual_seed(0)
    model = XLSTM(SIZE, "ms", num_heads=2, dropout=0.1)
    assert model.eval()(torch.ones(3, 2, SIZE))[0].equal(model(torch.ones(3, 2, SIZE))[0])
    x = torch.randn(12, 4, SIZE)
    target, optimizer = x.roll(1, 0), torch.optim.Adam(model.train().parameters(), 0.02)
    losses = []
    for _ in range(25):
        loss = (model(x)[0][1:] - target[1:]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(("size", "parts"), [(7, 2), (11, 2), (13, 2), (8, 4), (9, 3)])
def test_any_size_has_blocks_that_divide_it(size, parts):
    block = MLSTMBlock(size, num_heads=2)
    assert block.query.weight.shape == (parts, 2 * size // parts, 2 * size // parts)
    assert block(torch.randn(3, 2, size))[0].shape == (3, 2, size)


def test_options_of_the_blocks():
    assert len(make("mmms").blocks) == 4
    x = sequence()
    plain = randomised(SLSTMBlock(SIZE, num_heads=HEADS, kernel_size=0))
    y, state = plain(x)
    assert state.window == ()
    first, state = plain(x[:4])
    same([y], [torch.cat([first, plain(x[4:], state)[0]])])
    forget = [block.memory.cell.bias[SIZE : SIZE + 4] for block in XLSTM(SIZE, "ss", num_heads=2).blocks]
    torch.testing.assert_close(forget[1], 5 - 12 * (torch.arange(4) / 3) ** 1.6)


@pytest.mark.parametrize("blocks", ["", "lstm", 3])
def test_blocks_that_there_are_not(blocks):
    with pytest.raises(InputError, match="blocks: expected a letter for each block, m or s"):
        XLSTM(8, blocks)


def test_what_is_refused_and_how():
    model = XLSTM(SIZE, "ms", num_heads=2)
    with pytest.raises(InputError, match="num_heads: expected a divisor"):
        XLSTM(SIZE, "s", num_heads=3)
    with pytest.raises(InputError, match="num_heads: expected a divisor"):
        XLSTM(SIZE, "m", num_heads=5)
    with pytest.raises(InputError, match=r"x: expected \(T, B, I\) with I = size = 8, got \(2, 8\)"):
        model(torch.zeros(2, 8))
    with pytest.raises(InputError, match=r"x: expected \(B, I\) with I = size = 8, got \(2, 7\)"):
        model.step(torch.zeros(2, 7))
    with pytest.raises(InputTypeError, match="x: expected a tensor, got list"):
        model([1])
    with pytest.raises(InputError, match="state: expected a tuple with one state for each of the 2 blocks"):
        model(torch.zeros(2, 2, 8), (torch.zeros(1),))
