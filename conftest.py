"""What every test and every example in the documentation shares."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def kernels_of_this_run(tmp_path_factory):
    """Kernels are compiled anew in each run of the tests, and nothing is left in the user's folder."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root  # one folder for all workers
    os.environ.setdefault("UNROLLED_CACHE", str(root / "kernels"))


ABOUT_OTHER_THINGS = ("tests/cells/", "tests/models/", "tests/tasks/", "docs/equations.md")


@pytest.fixture(autouse=True)
def by_the_reference(request, monkeypatch):
    """Where the topic is the equation, the model or the task, the loop that defines them is enough, and faster."""
    if request.node.nodeid.startswith(ABOUT_OTHER_THINGS):
        monkeypatch.setenv("UNROLLED_BACKEND", "reference")
