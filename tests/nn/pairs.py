"""What the tests of ``unrolled.nn`` share: a module of ours and torch's with the same weights."""

from functools import partial

import torch
from torch import nn

from unrolled import nn as ours

KINDS = {
    "rnn_tanh": ("RNN", {"nonlinearity": "tanh"}),
    "rnn_relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "lstm_proj": ("LSTM", {"proj_size": 3}),
    "gru": ("GRU", {}),
}
CELLS = {
    "rnn_tanh": ("RNNCell", {"nonlinearity": "tanh"}),
    "rnn_relu": ("RNNCell", {"nonlinearity": "relu"}),
    "lstm": ("LSTMCell", {}),
    "gru": ("GRUCell", {}),
}


def uneven(module, scale=1.0):
    """Weights as torch draws them, scaled, and none of them around zero alone."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(scale).add_(0.02)
    return module


def pair(kind, *sizes, table=KINDS, **options):
    """A module of ours and torch's."""
    name, own = table[kind]
    mine, theirs = (partial(getattr(where, name), *sizes, **own, **options)() for where in (ours, nn))
    uneven(mine)
    theirs.load_state_dict(mine.state_dict())
    return mine, theirs


def leaves(tree):
    """The tensors of arguments or results, in order; of a packed sequence its data."""
    if hasattr(tree, "batch_sizes"):
        return [tree.data]
    if tree is None:
        return []
    return [tree] if isinstance(tree, torch.Tensor) else [leaf for part in tree for leaf in leaves(part)]


def random_state(module, *rows, **options):
    """A state before the first step, in torch's form."""
    count = module.num_layers * (2 if module.bidirectional else 1)
    if isinstance(module, nn.LSTM):
        sizes = module.proj_size or module.hidden_size, module.hidden_size
        return tuple(torch.randn(count, *rows, size, **options) for size in sizes)
    return torch.randn(count, *rows, module.hidden_size, **options)
