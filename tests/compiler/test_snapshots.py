"""The generated source of three cells, as it was last looked at: a change to the compiler shows here what it changed.

``UNROLLED_UPDATE_SNAPSHOTS=1 python -m pytest tests/compiler/test_snapshots.py`` writes them anew.
"""

import os
import re
from pathlib import Path

import pytest
import torch

from unrolled.cells import GRU, LSTM, Elman
from unrolled.compiler.build import build
from unrolled.compiler.codegen.prelude import prelude
from unrolled.compiler.fingerprint import read
from unrolled.core import settle

FOLDER = Path(__file__).with_name("snapshots")


@pytest.mark.parametrize("make", [Elman, GRU, LSTM])
def test_source(make):
    cell = make(3, 5)
    run = settle(torch.zeros(1, 1, 3, requires_grad=True), cell.initial_state(1))
    known = build(cell.step, run, read(cell.step), compiled=True)
    own = known.source.text.removeprefix(prelude())
    version = ".".join(torch.__version__.split(".")[:2])
    text = f"/* PyTorch {version} */{re.sub(r' at [^*]*', ' ', own)}"
    path = FOLDER / f"{make.__name__.lower()}.c"
    if os.environ.get("UNROLLED_UPDATE_SNAPSHOTS"):
        path.write_text(text)
    expected = path.read_text()
    if expected.split("*/")[0] != text.split("*/")[0]:
        pytest.skip(f"written under another {expected.split('*/')[0].removeprefix('/* ')}: its trace may differ")
    assert text == expected
