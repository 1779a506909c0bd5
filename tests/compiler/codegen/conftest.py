"""The hand-written C, compiled once a run for every processor level that this machine has."""

import importlib.util
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("prelude_harness", Path(__file__).with_name("harness.py"))
harness = importlib.util.module_from_spec(spec)
spec.loader.exec_module(harness)


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    return {level: harness.Library(tmp_path_factory.mktemp(level), level) for level in harness.RUNNABLE}


@pytest.fixture(params=harness.RUNNABLE)
def library(request, libraries):
    return libraries[request.param]
