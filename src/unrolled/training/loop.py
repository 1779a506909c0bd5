"""The training loop. It knows steps, gradients and checkpoints; what is learnt is the problem's affair."""

import math
import time
from collections.abc import Sequence
from typing import Any

import torch

from ..core import InputError, NonFiniteError, detach
from .averaging import AveragedWeights
from .checkpoint import Checkpoint, save_checkpoint
from .finite import explain_bad_number
from .interrupt import interruptions
from .memory import keep_freed_memory
from .optimizer import learning_rate, make_optimizer
from .options import TrainingOptions
from .plot import plot_losses
from .problem import Observer, Outcome, Problem
from .randomness import RandomState
from .run_folder import RunFolder
from .state import RunState


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
    by_default = problem.steps_per_epoch if options.epochs else math.ceil(steps / 10)
    evaluate_every = options.evaluate_every or by_default
    log_every = math.ceil(steps / 1000)
    keep_freed_memory()
    run = _begin(problem, options)
    with folder.locked(), interruptions() as interrupted:
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
            while run.step < steps and not run.stale(options.patience) and not interrupted():
                record = _step(run, options, steps)
                if run.step % log_every == 0:
                    folder.log(record)
                for observer in observers:
                    observer.stepped(record)
                if run.step % evaluate_every == 0 or run.step == steps:
                    for observer in observers:
                        observer.evaluating(run.step)
                    found, sample = _evaluate(run, folder)
                    found = {**found, "tokens_per_second": run.tokens_per_second}  # of the training steps so far
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
    return Outcome(run.step, steps, run.best, run.tokens_per_second, run.stale(options.patience))


def _begin(problem: Problem, options: TrainingOptions) -> RunState:
    average = AveragedWeights(problem.model, options.averaging)
    return RunState(problem, make_optimizer(problem.model, options), problem.start(), average)


def _record_options(run: RunState, options: TrainingOptions, folder: RunFolder) -> None:
    """What a resumed run is to do may differ from what is recorded: it may be longer."""
    steps = options.steps or 0
    if steps <= run.step and steps != folder.training.get("steps"):
        raise InputError(f"--steps: expected more than the {run.step} steps that are done already, got {steps}.")
    folder.record_training(options.model_dump())


def _step(run: RunState, options: TrainingOptions, steps: int) -> dict[str, Any]:
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
    if options.gradient_clipping and norm > options.gradient_clipping:
        torch._foreach_mul_(gradients, options.gradient_clipping / (norm + 1e-6))
    rate = learning_rate(options, run.step, steps, run.problem.steps_per_epoch)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.step()
    run.carry = detach(loss.carry)
    run.step += 1
    run.average.update(run.step)
    seconds = time.monotonic() - began
    run.tokens, run.seconds = run.tokens + loss.count, run.seconds + seconds
    return {
        "step": run.step,
        "loss": value,
        **run.problem.figures(value),
        "gradient_norm": norm,
        "learning_rate": rate,
        "tokens_per_second": loss.count / seconds,
    }


def _evaluate(run: RunState, folder: RunFolder) -> tuple[dict[str, Any], str | None]:
    """Figures and a sample, drawn without touching the run's random state; the best weights are kept."""
    before = RandomState.capture()
    run.problem.model.eval()
    with torch.no_grad(), run.average.in_place():
        done = run.problem.evaluate()
        found = {"step": run.step, "validation_loss": done.loss, **run.problem.figures(done.loss), **done.figures}
        sample = run.problem.sample()
        before.restore()
        if not math.isfinite(done.loss):
            raise NonFiniteError(
                f"the validation loss is not finite at step {run.step} ({done.loss}). "
                "The last checkpoint is from before; try a lower --learning-rate."
            )
        if done.criterion is not None:
            found["criterion"] = done.criterion
        run.waited += 1
        if run.best is None or _rank(found) < _rank(run.best):
            run.best, run.waited = found, 0
            save_checkpoint(folder.best, Checkpoint(dict(run.problem.model.state_dict()), {"figures": found}))
    return found, sample


def _rank(found: dict[str, Any]) -> tuple[float, float]:
    """The least is the best; of those that meet a criterion alike, the one with the least loss."""
    return found.get("criterion", found["validation_loss"]), found["validation_loss"]


def measure_steps(problem: Problem, options: TrainingOptions, minutes: float) -> int:
    """How many steps, with their evaluations, fit into so many minutes here. The problem is spoilt by it."""
    keep_freed_memory()
    run = _begin(problem, options)
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
