"""CTC learns a small task in seconds."""

import pytest
import torch

from unrolled.cells import GRU
from unrolled.models import CTC, ctc_align, ctc_beam, ctc_greedy


def tones(rows, generator):
    """Strings of digits as tones of different lengths in noise, with gaps: frames, lengths, symbols, counts."""
    spectra = torch.eye(5)
    sounds, said = [], []
    for _ in range(rows):
        digits = torch.randint(1, 6, (int(torch.randint(1, 5, (), generator=generator)),), generator=generator)
        parts = []
        for digit in digits.tolist():
            parts += [torch.zeros(int(torch.randint(3, 6, (), generator=generator)), 5)]
            parts += [spectra[digit - 1].expand(int(torch.randint(3, 7, (), generator=generator)), 5)]
        sound = torch.cat(parts)
        sounds.append(sound + 0.2 * torch.randn(sound.shape, generator=generator))
        said.append(digits)
    pad = torch.nn.utils.rnn.pad_sequence
    lengths, counts = (torch.tensor([len(part) for part in group]) for group in (sounds, said))
    return pad(sounds), lengths, pad(said, batch_first=True), counts


@pytest.fixture
def one_thread():
    """What is this small is not done faster by several, and much slower where others want them too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("both", [False, True])
def test_it_learns_to_write_down_digits_of_tones(both):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(3)
    model = CTC(5, lambda size: GRU(size, 16), 6, num_layers=1, bidirectional=both, subsampling=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(90):
        loss = model.loss(*tones(16, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, lengths, targets, counts = tones(30, generator)
    y, steps = model.eval()(x, lengths)
    said = [row[:count].tolist() for row, count in zip(targets, counts, strict=True)]
    assert [best.tokens for best in ctc_greedy(y, steps)] == said
    assert [best.tokens for [best] in ctc_beam(y, steps)] == said
    for best, length in zip(ctc_align(y, said, steps), steps.tolist(), strict=True):
        assert [end for _, end in best.frames] == sorted(end for _, end in best.frames)
        assert all(0 <= first < end <= length for first, end in best.frames)
