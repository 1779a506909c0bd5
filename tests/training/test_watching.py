"""What watches a run: how long it will take, TensorBoard, the plot, observers."""

import importlib.util
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from unrolled.core import InputError
from unrolled.training.loop import measure_steps
from unrolled.training.problem import Observer
from unrolled.training.run_folder import RunFolder

spec = importlib.util.spec_from_file_location("training_toy", Path(__file__).with_name("toy.py"))
toy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toy)
Toy, StopAt, run, options = toy.Toy, toy.StopAt, toy.run, toy.options


def test_minutes_become_steps():
    class Slow(Toy):
        def loss(self, step, carry):
            time.sleep(0.05)
            return super().loss(step, carry)

    assert measure_steps(Slow(), options(), 0.1) == pytest.approx((6 - 10 * 0.05) / 0.051, rel=0.2)
    assert measure_steps(Slow(), options(evaluate_every=1), 0.1) == pytest.approx(6 / 0.102, rel=0.2)


def test_epochs_are_evaluated_one_by_one(tmp_path):
    run(tmp_path / "run", epochs=3)  # 12 steps, 4 an epoch
    records = RunFolder(tmp_path / "run").read_metrics()
    assert [record["step"] for record in records if "validation_loss" in record] == [4, 8, 12]


def test_the_speed_is_that_of_the_training_steps_alone(tmp_path):
    class SlowToLook(Toy):
        def evaluate(self):
            time.sleep(0.3)
            return super().evaluate()

        def loss(self, step, carry):
            time.sleep(0.01)
            return super().loss(step, carry)

    outcome = run(tmp_path / "run", SlowToLook(), evaluate_every=6)
    assert 4 / 0.05 < outcome.tokens_per_second < 4 / 0.01
    assert run(tmp_path / "run", SlowToLook()).tokens_per_second is None  # nothing was left to do


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_large_blocks_that_are_freed_are_used_again():
    """In a process of its own: after some rounds the pages of new blocks are those of the old ones."""
    code = (
        "import resource, torch\n"
        "from unrolled.training.memory import keep_freed_memory\n"
        "asked = {asked} and keep_freed_memory()\n"
        "def touched():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    a, b = torch.ones(2**23), torch.ones(2**23)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "print(asked, [touched() for _ in range(10)][-1] < 2**10)"
    )

    def said(asked):
        command = [sys.executable, "-c", code.format(asked=asked)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    assert said(True) == ["True", "True"]
    assert said(False) == ["False", "False"]


def test_tensorboard_reads_what_is_written(tmp_path):
    with warnings.catch_warnings():  # TensorBoard's own, on import
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        from unrolled.training.tensorboard import TensorBoard

        outcome = run(tmp_path / "run", observers=[TensorBoard(), StopAt(7)], evaluate_every=5)
        assert not outcome.finished
        run(tmp_path / "run", observers=[TensorBoard()], evaluate_every=5)
        events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    records = RunFolder(tmp_path / "run").read_metrics()
    for name in ("loss", "gradient_norm", "learning_rate", "validation_loss", "twice"):
        written = [(event.step, event.value) for event in events.Scalars(name)]
        expected = [(record["step"], record[name]) for record in records if name in record]
        assert [step for step, _ in written] == [step for step, _ in expected]
        assert [value for _, value in written] == pytest.approx([value for _, value in expected], rel=1e-6)
    assert "text_summary" in next(tag for tag in events.Tags()["tensors"])


def test_tensorboard_that_is_missing_is_named(monkeypatch):
    from unrolled.training.tensorboard import TensorBoard

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"--tensorboard: .*pip install 'unrolled\[tensorboard\]'"):
        TensorBoard()


def test_the_plot_shows_both_losses_and_the_best(tmp_path):
    run(tmp_path / "run", evaluate_every=4)
    records = RunFolder(tmp_path / "run").read_metrics()
    best = min(record["validation_loss"] for record in records if "validation_loss" in record)
    drawn = (tmp_path / "run" / "loss.svg").read_text()
    for words in ("training (smoothed)", "validation", f"best {best:.3f}", "step", "loss"):
        assert f"<!-- {words} -->" in drawn


def test_observers_are_told_that_it_is_over_whatever_happens(tmp_path):
    class Fragile(Observer):
        def started(self, step, steps, folder):
            raise OSError(28, "No space left on device")

    class Witness(Observer):
        over = False

        def stopped(self):
            self.over = True

    witness = Witness()
    with pytest.raises(OSError, match="No space"):
        run(tmp_path / "run", observers=[Fragile(), witness])
    assert witness.over
