"""Cells for rows of the table: a layer-norm LSTM, and three that nobody has tuned a kernel for."""

from math import pi

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core import Cell

Sizes = dict[str, tuple[int, ...]]


class BenchCell(Cell):
    """A cell whose weights are given by name, in the order of ``sizes``."""

    state_names: tuple[str, ...] = ("h",)
    weight_x: Tensor
    weight_h: Tensor
    bias: Tensor

    @staticmethod
    def sizes(hidden_size: int) -> Sizes:
        """The weights' names and sizes."""
        raise NotImplementedError

    def __init__(self, hidden_size: int):
        super().__init__()
        self.input_size = self.hidden_size = hidden_size
        self.state_size = hidden_size if len(self.state_names) == 1 else (hidden_size,) * len(self.state_names)
        for name, size in self.sizes(hidden_size).items():
            self.register_parameter(name, nn.Parameter(torch.zeros(size)))


class LayerNormLSTM(BenchCell):
    """An LSTM with layer norms of both products and of the memory.

    i, f, g, o = LN(W_ih x(t)) + LN(W_hh h(t-1));  c(t) = σ(f) c(t-1) + σ(i) tanh(g);  h(t) = σ(o) tanh(LN(c(t)))

    Reference:
        Ba, Kiros and Hinton 2016, arXiv:1607.06450, equations 20 to 22.
    """

    state_names = ("h", "c")
    weight_ih: Tensor
    weight_hh: Tensor
    gain_ih: Tensor
    shift_ih: Tensor
    gain_hh: Tensor
    shift_hh: Tensor
    gain_c: Tensor
    shift_c: Tensor

    @staticmethod
    def sizes(hidden_size: int) -> Sizes:
        """Two products, and gain and bias of three norms."""
        H, gates = hidden_size, 4 * hidden_size
        weights: Sizes = {"weight_ih": (gates, H), "weight_hh": (gates, H)}
        norms = {"ih": gates, "hh": gates, "c": H}
        return weights | {f"{part}_{name}": (size,) for name, size in norms.items() for part in ("gain", "shift")}

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One step: h(t), (h(t), c(t))."""
        h, c = state
        H = self.hidden_size
        of_x = F.layer_norm(F.linear(x, self.weight_ih), (4 * H,), self.gain_ih, self.shift_ih)
        of_h = F.layer_norm(F.linear(h, self.weight_hh), (4 * H,), self.gain_hh, self.shift_hh)
        i, f, g, o = (of_x + of_h).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(F.layer_norm(c, (H,), self.gain_c, self.shift_c))
        return h, (h, c)


class Mixture(BenchCell):
    """A state that a softmax mixes of three candidates: squashed, rectified, and the old one fading.

    p = softmax over three of W_p x(t) + U_p h(t-1) + b_p;  a = W x(t) + U h(t-1) + b
    h(t) = p₁ tanh(a) + p₂ softplus(a) / 2 + p₃ 0.9 h(t-1)
    """

    @staticmethod
    def sizes(hidden_size: int) -> Sizes:
        """One product with the input and one with the state, for the candidates and the three shares."""
        H = hidden_size
        return {"weight_x": (4 * H, H), "weight_h": (4 * H, H), "bias": (4 * H,)}

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """One step: h(t), which is also the output."""
        a = F.linear(x, self.weight_x, self.bias) + F.linear(h, self.weight_h)
        a, shares = a.split([self.hidden_size, 3 * self.hidden_size], -1)
        p = torch.softmax(shares.unflatten(-1, (3, self.hidden_size)), -2)
        h = p[..., 0, :] * torch.tanh(a) + p[..., 1, :] * F.softplus(a) / 2 + p[..., 2, :] * 0.9 * h
        return h, h


class Rotor(BenchCell):
    """Two states that turn about each other by an angle of the input's and their own choosing.

    θ = π tanh(W x(t) + U a(t-1) + b);  u = silu(V x(t))
    a(t) = 0.95 (a cos θ − b sin θ) + 0.1 u;  b(t) = 0.95 (a sin θ + b cos θ);  output a(t) b(t) + a(t)
    """

    state_names = ("a", "b")

    @staticmethod
    def sizes(hidden_size: int) -> Sizes:
        """Two products with the input, one with the state."""
        H = hidden_size
        return {"weight_x": (2 * H, H), "weight_h": (H, H), "bias": (H,)}

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One step: output, (a(t), b(t))."""
        a, b = state
        angle, drive = F.linear(x, self.weight_x).chunk(2, -1)
        angle = pi * torch.tanh(angle + F.linear(a, self.weight_h, self.bias))
        cos, sin = torch.cos(angle), torch.sin(angle)
        a, b = 0.95 * (a * cos - b * sin) + 0.1 * F.silu(drive), 0.95 * (a * sin + b * cos)
        return a * b + a, (a, b)


class Spring(BenchCell):
    """Positions and speeds of springs that push each other; the speed is normalised.

    v(t) = v + 0.2 (tanh(W x(t) + U h(t-1) + b) − h(t-1) − 0.1 v);  h(t) = h + 0.2 v(t) / rms(v(t))
    """

    state_names = ("h", "v")

    @staticmethod
    def sizes(hidden_size: int) -> Sizes:
        """One product with the input, one with the state."""
        H = hidden_size
        return {"weight_x": (H, H), "weight_h": (H, H), "bias": (H,)}

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One step: h(t), (h(t), v(t))."""
        h, v = state
        push = torch.tanh(F.linear(x, self.weight_x, self.bias) + F.linear(h, self.weight_h))
        v = v + 0.2 * (push - h - 0.1 * v)
        h = 0.95 * h + 0.2 * v * torch.rsqrt(v.square().mean(-1, keepdim=True) + 0.01)
        return h, (h, v)
