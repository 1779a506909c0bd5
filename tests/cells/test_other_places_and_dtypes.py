"""Cells that are made on the meta device and filled later, and the narrow dtypes."""

import pytest
import torch

from unrolled import Recurrent
from unrolled.cells import LMU, SLSTM, ClockworkRNN

MAKE = {"ClockworkRNN": lambda: ClockworkRNN(2, 5, (1, 3, 2)), "LMU": lambda: LMU(2, 3, 4, 5.5)}


def on_meta(name):
    with torch.device("meta"):
        return MAKE[name]()


def fresh(name):
    """As on_meta, then in memory that holds anything."""
    cell = on_meta(name).to_empty(device="cpu")
    for held in (*cell.parameters(), *cell.buffers()):
        held.data.fill_(7)
    return cell


@pytest.mark.parametrize("way", ["assigned", "loaded", "reset"])
@pytest.mark.parametrize("name", MAKE)
def test_a_cell_made_on_meta_is_whole_once_it_is_filled(name, way):
    torch.manual_seed(3)
    cell, x = MAKE[name](), torch.randn(7, 2, 2)
    if way == "assigned":
        other = on_meta(name)
        other.load_state_dict(cell.state_dict(), assign=True)
    else:
        other = fresh(name)
        torch.manual_seed(3)
        other.reset_parameters() if way == "reset" else other.load_state_dict(cell.state_dict())
    torch.testing.assert_close(Recurrent(other)(x), Recurrent(cell)(x), rtol=0, atol=0)


@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
def test_slstm_in_half_precision(forget):
    torch.manual_seed(3)
    wide = Recurrent(SLSTM(2, 4, 2, forget_gate=forget)).half().float()  # whose weights are numbers of float16
    narrow = Recurrent(SLSTM(2, 4, 2, forget_gate=forget)).half()
    narrow.load_state_dict(wide.state_dict())
    x = torch.randn(6, 3, 2).half()
    outputs, state = narrow(x, lengths=[6, 0, 4])
    assert state.m.isfinite().all()
    torch.testing.assert_close(outputs.float(), wide(x.float(), lengths=[6, 0, 4])[0], rtol=0, atol=5e-3)
