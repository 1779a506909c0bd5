"""What every test shares: the folder of real data, poisoned memory, one thread a worker."""

import os
import signal
from pathlib import Path

import pytest
import torch

if "PYTEST_XDIST_WORKER" in os.environ:  # two workers with two threads each would fight for two cores
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with Ctrl-C ignored

torch.use_deterministic_algorithms(True)  # without it the next line does nothing
torch.utils.deterministic.fill_uninitialized_memory = True  # torch.empty gives NaN

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test of real data that skips although the data are there has not been run: that is a failure."""
    report = yield
    if report.skipped and DATA.is_dir() and "real_data" in getattr(item, "fixturenames", ()):
        report.outcome = "failed"
        report.longrepr = f"skipped although {DATA} is there: {report.longrepr}"
    return report
