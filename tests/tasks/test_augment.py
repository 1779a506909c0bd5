"""Features with parts left out, and stretched in time."""

import pytest
import torch

from unrolled.core import InputError
from unrolled.tasks.augment import mask_bands, mask_time, stretch, warp_bands


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def runs(zero):
    """How many runs of True there are."""
    return int((zero.int().diff(prepend=torch.zeros(1, dtype=torch.int32)) == 1).sum())


def test_each_row_loses_one_run_of_steps_of_its_own():
    x, lengths = torch.ones(40, 50, 3), torch.arange(50) % 40 + 1
    gone = (mask_time(x, 0.5, lengths=lengths, generator=seeded()) == 0).all(2)
    assert torch.equal(gone, (mask_time(x, 0.5, lengths=lengths, generator=seeded()) == 0).any(2))
    assert all(runs(row) <= 1 for row in gone.T)
    assert (gone.sum(0) <= 0.5 * lengths + 1).all()
    assert not (gone & (torch.arange(40)[:, None] >= lengths)).any()
    assert len({tuple(row.tolist()) for row in gone.T}) > 20


def test_each_row_loses_one_run_of_bands_at_all_steps():
    gone = mask_bands(torch.ones(7, 50, 40), 0.3, generator=seeded()) == 0
    assert torch.equal(gone, gone[:1].expand_as(gone))
    assert all(runs(row) <= 1 for row in gone[0])
    assert int(gone[0].sum(1).max()) <= 13
    assert len({tuple(row.tolist()) for row in gone[0]}) > 20


@pytest.mark.parametrize("change", [mask_time, mask_bands, warp_bands, lambda *a, **k: stretch(*a, **k)[0]])
def test_one_sequence_is_a_batch_of_one_and_the_generator_decides(change):
    x = torch.randn(31, 5, generator=seeded(1))
    found = change(x, 0.6, generator=seeded(4))
    assert torch.equal(found, change(x[:, None], 0.6, generator=seeded(4))[:, 0])
    before = torch.get_rng_state()
    change(x, 0.6, generator=seeded(4))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("change", [mask_time, mask_bands, lambda *a: stretch(*a)[0], warp_bands])
def test_nothing_is_changed_by_a_share_of_0(change):
    x = torch.randn(9, 4, 3, generator=seeded(1))
    assert torch.equal(change(x, 0.0), x)


def test_a_stretched_line_is_a_line_between_the_same_ends():
    lengths = torch.tensor([30, 7, 1, 2])
    at = torch.arange(30.0)[:, None]
    x = torch.where(at < lengths, at, 0.0)[..., None]
    found, longer = stretch(x, 0.5, lengths=lengths, generator=seeded(2))
    assert found.shape == (int(longer.max()), 4, 1)
    assert (longer >= (lengths / 1.5).round()).all()
    assert (longer <= (lengths * 1.5).round()).all()
    assert not torch.equal(longer, lengths)
    for row, (old, new) in enumerate(zip(lengths.tolist(), longer.tolist(), strict=True)):
        torch.testing.assert_close(found[:new, row, 0], torch.linspace(0, old - 1, new) if new > 1 else torch.zeros(1))
        assert not found[new:, row].any()


def test_warped_bands_of_a_line_are_a_line_that_is_held_at_its_end():
    x = torch.arange(12.0).expand(3, 40, 12)
    found = warp_bands(x, 0.5, generator=seeded(3))
    factors = found[0, :, 1]  # of each row: where band 1 was
    assert (found[1:] == found[:1]).all()  # all steps alike
    torch.testing.assert_close(found[0], (torch.arange(12.0) * factors[:, None]).clamp(max=11))
    assert 1 / 1.5 <= float(factors.min()) < 0.8 < 1.2 < float(factors.max()) <= 1.5
    torch.testing.assert_close(warp_bands(x[:, 0], 0.5, generator=seeded(3)), found[:, 0])


def test_a_row_of_length_0_keeps_it():
    _, lengths = stretch(torch.zeros(4, 3, 2), 0.5, lengths=torch.tensor([4, 0, 1]))
    assert lengths[1] == 0 < lengths[2]
    assert stretch(torch.zeros(0, 3, 2), 0.5)[0].shape == (0, 3, 2)
    assert stretch(torch.zeros(4, 0, 2), 0.5)[0].shape == (0, 0, 2)


def test_a_share_that_is_none_is_told():
    x = torch.ones(4, 3, 2)
    for change, wrong in (
        (mask_time, 1.5),
        (mask_bands, -0.1),
        (warp_bands, -1.0),
        (stretch, -1.0),
        (stretch, float("nan")),
    ):
        with pytest.raises(InputError, match="share: expected a number from 0 to"):
            change(x, wrong)
    with pytest.raises(InputError, match=r"x: expected \(T, F\) or \(T, B, F\), got \(5,\)"):
        mask_time(torch.ones(5), 0.5)
