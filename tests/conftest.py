"""What every test shares: the folder of real data, poisoned memory, one thread a worker."""

import os
from pathlib import Path

import pytest
import torch

if "PYTEST_XDIST_WORKER" in os.environ:  # two workers with two threads each would fight for two cores
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")

torch.utils.deterministic.fill_uninitialized_memory = True

DATA = Path(os.environ.get("UNROLLED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def real_data():
    """A function from a name like ``tinyshakespeare/input.txt`` to its path; skips where there is no data."""
    if not DATA.is_dir():
        pytest.skip(f"no folder of real data at {DATA} (set UNROLLED_DATA)")

    def find(name: str) -> Path:
        path = DATA / name
        assert path.exists(), f"{path} is missing although {DATA} is there"
        return path

    return find
