"""Attention, beside its equations written out for one query at a time."""

import math

import pytest
import torch

from unrolled.core import InputError
from unrolled.models import Attention
from unrolled.models.attention import ATTENTIONS

T, B, S, H, M = 4, 3, 5, 3, 2
LENGTHS = [5, 2, 0]
MASK = torch.arange(S)[:, None] < torch.tensor(LENGTHS)


def make(kind):
    torch.manual_seed(0)
    return Attention(kind, H, M).double()


def given():
    rng = torch.Generator().manual_seed(1)
    query = torch.randn(T, B, H, dtype=torch.double, generator=rng)
    memory = torch.randn(S, B, M, dtype=torch.double, generator=rng)
    return query, memory


def score(attend, h, m):
    if attend.kind == "multiplicative":
        return float(h @ attend.key.weight @ m)
    return float(attend.weight @ torch.tanh(attend.query.weight @ h + attend.key.weight @ m + attend.query.bias))


@pytest.mark.parametrize("kind", ATTENTIONS)
@torch.no_grad()
def test_the_equations(kind):
    attend = make(kind)
    query, memory = given()
    context, weights = attend(query, attend.keys(memory), memory, MASK)
    for t in range(T):
        for row, length in enumerate(LENGTHS):
            powers = [math.exp(score(attend, query[t, row], memory[s, row])) for s in range(length)]
            expected = [power / sum(powers) for power in powers] + [0.0] * (S - length)
            torch.testing.assert_close(weights[t, row], torch.tensor(expected, dtype=torch.double))
            mean = sum((a * memory[s, row] for s, a in enumerate(expected)), torch.zeros(M, dtype=torch.double))
            torch.testing.assert_close(context[t, row], mean)


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_the_padding_changes_nothing_and_neither_does_the_order_of_the_rows(kind):
    attend = make(kind)
    query, memory = given()
    context, weights = attend(query, attend.keys(memory), memory, MASK)
    other = memory.masked_fill(~MASK.unsqueeze(-1), 1e6)
    again, same = attend(query, attend.keys(other), other, MASK)
    assert torch.equal(again, context)
    assert torch.equal(same, weights)
    order = torch.tensor([2, 0, 1])
    moved, _ = attend(query[:, order], attend.keys(memory[:, order]), memory[:, order], MASK[:, order])
    torch.testing.assert_close(moved, context[:, order])


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_gradients(kind):
    attend = make(kind)
    inputs = [part.requires_grad_() for part in given()]

    def result(query, memory):
        return attend(query, attend.keys(memory), memory, MASK)

    assert torch.autograd.gradcheck(result, inputs)
    context, _ = result(*inputs)
    context.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0 for p in attend.parameters())


def test_a_kind_that_there_is_not():
    with pytest.raises(InputError, match="attention: expected one of multiplicative, additive, got 'dot'"):
        Attention("dot", H, M)
