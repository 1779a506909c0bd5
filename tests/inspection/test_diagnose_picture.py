"""The picture of a diagnosis."""

import pytest
import torch

from unrolled import InputError, Stack, cells, diagnose

pytest.importorskip("matplotlib")


def found(**options):
    torch.manual_seed(0)
    model = Stack(lambda size: cells.LSTM(size, 4), 3, 2, bidirectional=True)
    return diagnose(model, torch.randn(12, 5, 3), **options)


def test_a_line_for_each_part_and_a_bar_for_each_gate(tmp_path):
    diagnosis = found()
    figure = diagnosis.plot(tmp_path / "a.svg")
    left, right = figure.axes
    assert len(left.lines) == 4 * 2
    assert left.get_yscale() == "log"
    state_h = diagnosis.layers[0].parts[0]
    assert left.lines[0].get_ydata().tolist() == list(state_h.mean)
    assert left.lines[0].get_label() == "layers.0.ahead state.h"
    assert len(right.patches) == 3 * 4 * 5
    svg = (tmp_path / "a.svg").read_bytes()
    assert b"layers.1.back state.c (backwards)" in svg
    diagnosis.plot(tmp_path / "b.svg")
    assert svg == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_formats(tmp_path, ending):
    found().plot(tmp_path / f"a.{ending}")
    assert (tmp_path / f"a.{ending}").stat().st_size > 1000


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in .svg, .png, .pdf, got .*a.gif"):
        found().plot(tmp_path / "a.gif")


def test_nothing_to_draw_is_drawn_all_the_same(tmp_path):
    diagnosis = diagnose(Stack([cells.GRU(3, 4)]), torch.randn(4, 2, 3), loss=lambda result: 0 * result[0].sum())
    assert diagnosis.layers[0].state.nothing
    assert "No gradient of this loss reaches the layer" in str(diagnosis)
    assert not diagnosis.plot(tmp_path / "a.png").axes[0].lines
    only = diagnose(lambda x, s: (s, 0.5 * s + x), torch.randn(9, 2, 3), state=torch.zeros(2, 3), loss=None)
    assert len(only.plot().axes) == 1
