"""The training loop. It knows steps, gradients and checkpoints; what is learnt is the problem's affair."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..core import CheckpointError, InputError, NonFiniteError, Tree, detach, leaves, unflatten
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .finite import explain_bad_number
from .optimizer import learning_rate, make_optimizer, optimizer_tensors, restore_optimizer
from .options import TrainingOptions
from .plot import plot_losses
from .randomness import RandomState
from .run_folder import RunFolder


@dataclass(frozen=True)
class Loss:
    """What one step learnt from."""

    value: Tensor  # scalar, to be differentiated
    carry: Tree  # the state for the next step's window; the loop detaches and saves it
    count: int  # tokens (or samples) that the step has read, for the speed


class Problem(Protocol):
    """What is learnt: a model, its loss at each step, and how well it does. A pure function of the step."""

    model: nn.Module

    def start(self) -> Tree:
        """The state before the first window."""

    def loss(self, step: int, carry: Tree) -> Loss:
        """The loss of training step ``step`` (from 0), given the state carried from the step before."""

    def figures(self, loss: float) -> dict[str, float]:
        """What a loss means in other units, such as bits per character."""

    def evaluate(self) -> float:
        """The loss on the validation data."""

    def sample(self) -> str | None:
        """Something to look at, such as a generated text."""


class Observer:
    """Watches a run; every method may be overridden, none needs to be."""

    def measuring(self, minutes: float) -> None:
        """Some steps are run, to measure how many fit into so many minutes."""

    def started(self, step: int, steps: int, folder: Path) -> None:
        """Training goes on from this step of so many, in this run folder."""

    def stepped(self, record: dict[str, Any]) -> None:
        """A step is done; the record is as in metrics.jsonl."""

    def evaluating(self, step: int) -> None:
        """An evaluation begins."""

    def evaluated(self, record: dict[str, Any], sample: str | None) -> None:
        """An evaluation is done."""

    def stopped(self) -> None:
        """Training has ended, for whatever reason."""


@dataclass(frozen=True)
class Outcome:
    """How a call of :func:`train` ended."""

    step: int  # steps done
    steps: int  # steps of the whole run
    best: dict[str, float] | None  # figures of the best evaluation, with its step

    @property
    def finished(self) -> bool:
        """Whether the whole run is done (otherwise it was interrupted, and can be resumed)."""
        return self.step >= self.steps


@dataclass
class _Run:
    """All that changes while training, and so all that a checkpoint holds."""

    problem: Problem
    optimizer: torch.optim.Optimizer
    carry: Tree
    step: int = 0
    seconds: float = 0.0
    best: dict[str, float] | None = None
    clock: float = field(default_factory=time.monotonic)

    def save(self, folder: RunFolder) -> None:
        self._check_parameters()
        now = time.monotonic()
        self.seconds, self.clock = self.seconds + now - self.clock, now
        random = RandomState.capture()
        groups = {
            "model": dict(self.problem.model.state_dict()),
            "optimizer": optimizer_tensors(self.optimizer),
            "carry": {str(i): leaf for i, leaf in enumerate(leaves(self.carry))},
            "random": random.torch,
        }
        tensors = {f"{group}.{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
        info = {"step": self.step, "seconds": self.seconds, "best": self.best, "random": random.info()}
        save_checkpoint(folder.last, Checkpoint(tensors, info))

    def _check_parameters(self) -> None:
        """A step can leave the finite numbers by itself, with a huge learning rate."""
        for name, parameter in self.problem.model.named_parameters():
            if not torch.isfinite(parameter).all():
                raise NonFiniteError(
                    f"the parameter {name} is not finite after step {self.step}. "
                    "The last checkpoint is from before; try a lower --learning-rate."
                )

    def restore(self, folder: RunFolder) -> None:
        checkpoint = load_checkpoint(folder.last)
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in checkpoint.tensors.items():
            group, _, key = name.partition(".")
            groups.setdefault(group, {})[key] = tensor
        try:
            self.problem.model.load_state_dict(groups["model"])
            carried = groups.get("carry", {})
            device = next((p.device for p in self.problem.model.parameters()), torch.device("cpu"))
            self.carry = unflatten(self.carry, [carried[str(i)].to(device) for i in range(len(carried))])
            restore_optimizer(self.optimizer, groups.get("optimizer", {}))
            info = checkpoint.info
            self.step, self.seconds, self.best = info["step"], info["seconds"], info["best"]
            RandomState.from_saved(groups["random"], info["random"]).restore()
        except (KeyError, RuntimeError, StopIteration, TypeError, ValueError) as error:
            reason = str(error).rpartition("\n")[2].strip()
            raise CheckpointError(f"{folder.last}: does not fit the model of this run ({reason}).") from error


def train(problem: Problem, options: TrainingOptions, folder: RunFolder, observers: Sequence[Observer] = ()) -> Outcome:
    """Train a problem in a run folder, from its last checkpoint if there is one, otherwise from the start.

    A run that was stopped anywhere and goes on ends with the same weights, bit for bit, as one that was
    never stopped. Ctrl-C (or SIGTERM) finishes the step, saves and returns.

    Args:
        problem: what to learn, made with the run's seed.
        options: how; ``options.steps`` must be settled (see :func:`measure_steps`).
        folder: where checkpoints and metrics go.
        observers: are told of every step and evaluation.

    Raises:
        NonFiniteError: the loss or a gradient is NaN or infinite; nothing was stepped or saved since.
        CheckpointError: the folder's last checkpoint is damaged or belongs to another model.
        InputError: the new number of steps of a resumed run leaves nothing to do.
        OSError: the disk is full or the folder cannot be written.
    """
    if options.steps is None:
        raise ValueError("options.steps: expected a number, got None; settle it with measure_steps.")
    steps = options.steps
    evaluate_every = options.evaluate_every or math.ceil(steps / 10)
    log_every = math.ceil(steps / 1000)
    run = _Run(problem, make_optimizer(problem.model, options), problem.start())
    with folder.locked(), _interruptions() as interrupted:
        if folder.last.exists():
            run.restore(folder)
        else:
            run.save(folder)  # a run that is killed before its first step can be resumed too
        _record_options(run, options, folder)
        saved_at = time.monotonic()
        try:
            for observer in observers:
                observer.started(run.step, steps, folder.path)
            folder.rewind_metrics(run.step)
            while run.step < steps and not interrupted():
                record = _step(run, options, steps)
                if run.step % log_every == 0:
                    folder.log(record)
                for observer in observers:
                    observer.stepped(record)
                if run.step % evaluate_every == 0 or run.step == steps:
                    for observer in observers:
                        observer.evaluating(run.step)
                    found, sample = _evaluate(run, folder)
                    folder.log(found)
                    for observer in observers:
                        observer.evaluated(found, sample)
                elif time.monotonic() - saved_at < options.save_every and not interrupted():
                    continue
                run.save(folder)
                saved_at = time.monotonic()
        finally:
            for observer in observers:
                observer.stopped()
    plot_losses(folder.plot, folder.read_metrics())
    return Outcome(run.step, steps, run.best)


def _record_options(run: _Run, options: TrainingOptions, folder: RunFolder) -> None:
    """What a resumed run is to do may differ from what is recorded: it may be longer."""
    steps = options.steps or 0
    if steps <= run.step and steps != folder.training.get("steps"):
        raise InputError(f"--steps: expected more than the {run.step} steps that are done already, got {steps}.")
    folder.record_training(options.model_dump())


def _step(run: _Run, options: TrainingOptions, steps: int) -> dict[str, Any]:
    began = time.monotonic()
    model = run.problem.model.train()
    before = RandomState.capture()
    carry = detach(run.carry)
    run.optimizer.zero_grad(set_to_none=True)
    loss = run.problem.loss(run.step, carry)
    loss.value.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(gradients))
    value = float(loss.value.detach())
    if not (math.isfinite(value) and math.isfinite(norm)):
        before.restore()
        reason = explain_bad_number(model, lambda: run.problem.loss(run.step, carry).value)
        what = "the loss" if not math.isfinite(value) else "the gradient"
        raise NonFiniteError(
            f"{what} is not finite at step {run.step + 1} ({value if what == 'the loss' else norm}): {reason}. "
            "The last checkpoint is from before; try a lower --learning-rate or --gradient-clipping."
        )
    if options.gradient_clipping:
        scale = min(1.0, options.gradient_clipping / (norm + 1e-6))
        torch._foreach_mul_(gradients, scale)
    rate = learning_rate(options, run.step, steps)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.step()
    run.carry = detach(loss.carry)
    run.step += 1
    seconds = time.monotonic() - began
    return {
        "step": run.step,
        "loss": value,
        **run.problem.figures(value),
        "gradient_norm": norm,
        "learning_rate": rate,
        "tokens_per_second": loss.count / seconds,
    }


def _evaluate(run: _Run, folder: RunFolder) -> tuple[dict[str, Any], str | None]:
    """Figures and a sample, drawn without touching the run's random state; the best weights are kept."""
    before = RandomState.capture()
    run.problem.model.eval()
    with torch.no_grad():
        loss = run.problem.evaluate()
        found = {"step": run.step, "validation_loss": loss, **run.problem.figures(loss)}
        sample = run.problem.sample()
    before.restore()
    if not math.isfinite(found["validation_loss"]):
        raise NonFiniteError(
            f"the validation loss is not finite at step {run.step} ({found['validation_loss']}). "
            "The last checkpoint is from before; try a lower --learning-rate."
        )
    if run.best is None or found["validation_loss"] < run.best["validation_loss"]:
        run.best = found
        save_checkpoint(folder.best, Checkpoint(dict(run.problem.model.state_dict()), {"figures": found}))
    return found, sample


def measure_steps(problem: Problem, options: TrainingOptions, minutes: float) -> int:
    """How many steps, with their evaluations, fit into so many minutes here. The problem is spoilt by it."""
    run = _Run(problem, make_optimizer(problem.model, options), problem.start())
    _step(run, options, 10**9)  # the first step is slower than the rest
    spent: list[float] = []
    while len(spent) < 3 or sum(spent) < 2.0:
        began = time.monotonic()
        _step(run, options, 10**9)
        spent.append(time.monotonic() - began)
    step = sum(spent) / len(spent)
    began = time.monotonic()
    problem.model.eval()
    with torch.no_grad():
        problem.evaluate()
        problem.sample()
    evaluation = time.monotonic() - began
    budget = 60 * minutes
    if options.evaluate_every:
        return max(1, int(budget / (step + evaluation / options.evaluate_every)))
    return max(1, int((budget - 10 * evaluation) / step))


@contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C or SIGTERM into a flag; a second one acts as usual. Main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    caught: list[int] = []
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def catch(number: int, _: Any) -> None:
        caught.append(number)
        restore()

    for number in previous:
        signal.signal(number, catch)
    try:
        yield lambda: bool(caught)
    finally:
        restore()
