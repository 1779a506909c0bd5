"""The groups that are not a race at many shapes: share of the peak, bfloat16, memory, growth."""

from dataclasses import replace

import torch

from .agree import check, check_bfloat16
from .memory import training_bytes
from .options import BATCHES, BF16, LENGTHS, LONG, MEMORY, SHARE, Shape
from .ours import NAME, gated_cell, ours
from .peak import burst
from .peers.torch_nn import torch_nn
from .problem import gated
from .races import Found
from .results import Growth, Row, Share
from .sides import Side
from .timing import Times, race


def share(seconds: float, *, quick: bool) -> Found:
    """GFLOP/s of an LSTM's matrix products, as a share of the peak that is measured in the same rounds."""
    shape = replace(SHARE, T=25) if quick else SHARE
    given = gated("lstm", shape)
    cell = gated_cell("lstm", given)
    inference, training = (ours(cell, given, training=wanted) for wanted in (False, True))
    peer = torch_nn("lstm", given, training=True)
    check(training.named(training.run()), peer.named(peer.run()), given.reduced, peer=peer.name)
    inference.run()
    threads = torch.get_num_threads()
    peaks: list[float] = []
    peak = Side("peak", lambda: peaks.append(burst(threads)), lambda _: {})
    times = [Times.of(samples) for samples in race([inference, training, peak], seconds)]
    forward = 2 * shape.T * shape.B * 4 * shape.H * (shape.H + shape.H)
    for mode, work, taken in (("inference", forward, times[0]), ("training", 3 * forward, times[1])):
        yield Share(mode, shape, work / taken.best / 1e9, max(peaks))


def bfloat16(seconds: float, *, quick: bool) -> Found:
    """Training in bfloat16 against float32, the same weights, which both dtypes can hold."""
    for shape in [replace(shape, T=25) for shape in BF16[:1]] if quick else BF16:
        given = gated("lstm", shape)
        rounded = {name: value.bfloat16().float() for name, value in given.weights.items()}
        given = replace(
            given,
            weights=rounded,
            x=given.x.bfloat16().float(),
            state={name: value.bfloat16().float() for name, value in given.state.items()},
            d_outputs=given.d_outputs.bfloat16().float(),
        )
        half = ours(gated_cell("lstm", given).bfloat16(), given, training=True)
        full = ours(gated_cell("lstm", given), given, training=True, name="float32")
        check_bfloat16(half.named(half.run()), full.named(full.run()))
        half_times, full_times = (Times.of(samples) for samples in race([half, full], seconds))
        yield Row("bf16", "LSTM in bfloat16", "training", shape, "our float32", half_times, full_times)


def memory(seconds: float, *, quick: bool) -> Found:
    """Peak memory of a training step against torch.nn.LSTM, and what checkpoint_every saves and costs."""
    mine, its = (_bytes(training_bytes(kind, MEMORY)) for kind in ("unrolled", "torch.nn"))
    yield Row("memory", "LSTM", "training", MEMORY, "torch.nn.LSTM", mine, its, "bytes")
    if quick:
        return
    long, every = LONG, round(LONG.T**0.5)
    name = f"checkpoint_every={every}"
    chunked, whole = (_bytes(training_bytes("unrolled", long, every=each, of_input=False)) for each in (every, None))
    yield Row("memory", name, "training", long, "without", chunked, whole, "bytes")
    given = gated("lstm", long)
    cell = gated_cell("lstm", given)
    sides = [ours(cell, given, training=True, checkpoint_every=each, of_input=False) for each in (every, None)]
    mine_named, whole_named = (side.named(side.run()) for side in sides)
    check(mine_named, whole_named, given.reduced, peer="without checkpoints")
    with_times, without_times = (Times.of(samples) for samples in race(sides, seconds))
    yield Row("memory", name, "training", long, "without", with_times, without_times)


def _bytes(count: int) -> Times:
    return Times(count, count, 1)


def linear(seconds: float, *, quick: bool) -> Found:
    """Training steps of an LSTM while T grows, and while B does."""
    for along, every in (("T", LENGTHS), ("B", BATCHES)):
        shapes = every[:-1] if quick else every
        sides = []
        for shape in shapes:
            given = gated("lstm", shape)
            side = ours(gated_cell("lstm", given), given, training=True, name=f"{NAME} {shape}")
            _check_growth(side, shape)
            sides.append(side)
        times = race(sides, seconds)
        yield Growth(along, shapes, tuple(map(Times.of, times)))


def _check_growth(side: Side, shape: Shape) -> None:
    peer = torch_nn("lstm", gated("lstm", shape), training=True)
    reduced = max(shape.T * shape.B, 2 * shape.H)
    check(side.named(side.run()), peer.named(peer.run()), reduced, peer=peer.name)
