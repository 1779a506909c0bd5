"""The example scripts that run programs of others: the same results with and without unrolled."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import unrolled

EXAMPLES = Path(__file__).parents[1] / "examples"
NOT_OURS = pytest.mark.filterwarnings("ignore")  # what other packages warn of is not this project's


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(name).stem, EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_script(name: str, *options: str) -> list[str]:
    command = [sys.executable, str(EXAMPLES / name), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@NOT_OURS
@pytest.mark.parametrize("whole_sequences", [False, True])
def test_an_agent_learns_the_same(whole_sequences):
    pytest.importorskip("sb3_contrib")
    agent = example("recurrent_ppo.py")
    before, before_updates, _ = agent.train(256, with_unrolled=False)
    after, after_updates, _ = agent.train(256, whole_sequences=whole_sequences)
    assert type(before.policy.lstm_actor) is torch.nn.LSTM
    assert type(after.policy.lstm_actor) is unrolled.nn.LSTM
    assert len(after_updates) == 2
    for ours, theirs in zip(after_updates, before_updates, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    start = agent.train(0, with_unrolled=False)[0].policy.state_dict()
    for name, trained in before.policy.state_dict().items():
        moved, difference = trained - start[name], after.policy.state_dict()[name] - trained
        assert moved.norm() > 0
        assert difference.norm() < 1e-4 * moved.norm(), name


@NOT_OURS
def test_a_forecaster_learns_the_same():
    pytest.importorskip("gluonts")
    pytest.importorskip("lightning")
    forecaster = example("forecasting_library.py")
    table = forecaster.made_series(1000)
    predictor, after, _, forecasts = forecaster.train(table, 4, context=48)
    _, before, _, expected = forecaster.train(table, 4, with_unrolled=False, context=48)
    assert type(predictor.prediction_net.model.rnn) is unrolled.nn.LSTM
    assert after == pytest.approx(before, rel=1e-5)
    assert after[-1] < after[0]
    for ours, theirs in zip(forecasts, expected, strict=True):
        assert ours.samples == pytest.approx(theirs.samples, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("options", [(), ("--without-unrolled",), ("--whole-sequences",)])
def test_the_agents_script_says_what_it_did(options):
    pytest.importorskip("sb3_contrib")
    first, *_, last = run_script("recurrent_ppo.py", "--frames", "128", *options)
    assert first.startswith("update   1: loss")
    assert float(last.removesuffix(" frames a second")) > 0


@NOT_OURS
@pytest.mark.parametrize("options", [(), ("--without-unrolled",)])
def test_the_forecasters_script_reads_a_file(tmp_path, options):
    pytest.importorskip("gluonts")
    pytest.importorskip("lightning")
    path = tmp_path / "series.csv"
    example("forecasting_library.py").made_series(1000).to_csv(path)
    first, *_, last = run_script("forecasting_library.py", str(path), "--steps", "2", *options)
    assert first.startswith("loss ")
    assert float(last.removesuffix(" steps a second")) > 0
