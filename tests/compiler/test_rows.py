"""What mixes the rows of the batch is refused wherever it stands, and what does not is not."""

import pytest
import torch
from torch.nn import functional as F

from unrolled import UnsupportedStep
from unrolled.compiler.fingerprint import read
from unrolled.compiler.rows import check_rows
from unrolled.compiler.trace import trace

TABLE = torch.randn(7, 3)


@torch.library.custom_op("unrolled_tests::centred", mutates_args=())
def centred(a: torch.Tensor) -> torch.Tensor:
    return a - a.mean(0)


@centred.register_fake
def _(a):
    return torch.empty_like(a)


def columns_written(a):
    a = a.clone()
    a[:, [0, 2]] = 1.0
    return a


def checked(step):
    found = read(step)
    return check_rows(trace(step, torch.randn(5, 4, 3), torch.zeros(4, 3), found.tensors, found.names).graph)


MIXING = {
    "sorted": lambda x, h: x.flip(0),
    "cut": lambda x, h: torch.cat([x[1:], x[:1]]),
    "counted": lambda x, h: x + torch.arange(x.shape[0])[:, None],
    "running sum": lambda x, h: x.cumsum(0),
    "greatest": lambda x, h: x - x.amax(0),
    "regrouped": lambda x, h: x.reshape(3, -1).t(),
    "looked up": lambda x, h: torch.tanh(x)[x.argmax(1)],
    "written": lambda x, h: h.index_put((x.argmax(1), x.argmin(1)), torch.ones(())),
    "embedded": lambda x, h: F.embedding(x.argmax(1), torch.tanh(x)),
    "told the number": lambda x, h: x / x.shape[0],
    "an operation of the user": lambda x, h: centred(x.detach()),
    "of several results": lambda x, h: x + torch.topk(x, 2)[0].sum(1, keepdim=True),
}
FREE = {
    "looked up in a table": lambda x, h: TABLE[x.argmax(1)],
    "embedded": lambda x, h: F.embedding(x.argmax(1), TABLE),
    "columns": lambda x, h: x[:, [2, 0, 1]],
    "columns written": lambda x, h: columns_written(x),
    "running sum": lambda x, h: x.cumsum(-1),
    "gathered": lambda x, h: x.detach().gather(1, x.argmax(1, keepdim=True)),
    "outer product": lambda x, h: (x[:, :, None] * h[:, None]).flatten(1)[:, :3],
    "moved": lambda x, h: x.t().reshape(3, -1).t(),
}


@pytest.mark.parametrize("name", MIXING)
def test_a_mixture_is_refused_with_its_line(name):
    with pytest.raises(UnsupportedStep, match=r"test_rows\.py:\d+.*backend='reference'"):
        checked(lambda x, h: (MIXING[name](x, h), h + x))


@pytest.mark.parametrize("name", FREE)
def test_what_keeps_rows_apart_is_free(name):
    def step(x, h):
        value = FREE[name](x, h)
        return value, h + value.sum(1, keepdim=True)

    checked(step)
