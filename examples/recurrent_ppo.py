"""sb3-contrib's RecurrentPPO, a program that knows nothing of unrolled, with its LSTMs run by unrolled.

Needs ``pip install sb3-contrib``. Prints the loss and the mean reward of an episode after every few updates, and at
the end how many frames of the game were played and learnt from a second. What is measured: docs/programs.md.

Usage: python examples/recurrent_ppo.py [--frames 8192] [--whole-sequences] [--without-unrolled]
"""

import argparse
import time

from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback

import unrolled


class Recorder(BaseCallback):
    """Keeps every update's loss and reward, and prints some."""

    def __init__(self, every: int):
        super().__init__()
        self.every = every
        self.updates: list[tuple[float, float]] = []  # loss at the end; reward of an episode, mean of the last 100

    def note(self) -> None:
        """Keep what the logger knows of the last update, if there was one."""
        values, episodes = self.model.logger.name_to_value, self.model.ep_info_buffer
        if "train/loss" in values:
            reward = sum(episode["r"] for episode in episodes) / len(episodes)
            self.updates.append((values["train/loss"], reward))
            if len(self.updates) % self.every == 0 or len(self.updates) == 1:
                print(f"update {len(self.updates):3}: loss {values['train/loss']:9.5f}, reward {reward:6.1f}")

    def _on_rollout_start(self) -> None:
        self.note()

    def _on_training_end(self) -> None:
        self.note()

    def _on_step(self) -> bool:
        return True


def process_sequence(features, states, episode_starts, lstm):
    """The policy's ``_process_sequence`` with no loop over time where an episode starts inside a sequence."""
    rows = states[0].shape[1]
    x = features.reshape(rows, -1, lstm.input_size).swapaxes(0, 1)
    reset = episode_starts.reshape(rows, -1).swapaxes(0, 1) == 1
    outputs, states = lstm(x, states, reset=reset)
    return outputs.transpose(0, 1).flatten(0, 1), states


def train(frames: int, with_unrolled: bool = True, whole_sequences: bool = False, every: int = 16):
    """The trained model, its updates, and frames a second."""
    model = RecurrentPPO("MlpLstmPolicy", "CartPole-v1", seed=0, device="cpu")
    if with_unrolled:
        unrolled.convert(model.policy)  # the only change
    if whole_sequences:
        model.policy._process_sequence = process_sequence
    recorder, start = Recorder(every), time.perf_counter()
    model.learn(frames, callback=recorder)
    return model, recorder.updates, model.num_timesteps / (time.perf_counter() - start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=8192)
    parser.add_argument("--without-unrolled", action="store_true")
    parser.add_argument("--whole-sequences", action="store_true", help="one call instead of a loop over time")
    args = parser.parse_args()
    if args.without_unrolled and args.whole_sequences:
        parser.error("--whole-sequences: torch's LSTM cannot start anew inside a sequence; use one option alone.")
    speed = train(args.frames, not args.without_unrolled, args.whole_sequences)[2]
    print(f"{speed:.0f} frames a second")
