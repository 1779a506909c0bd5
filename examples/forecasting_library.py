"""GluonTS' DeepAR, a forecaster that knows nothing of unrolled, with its LSTM run by unrolled.

Needs ``pip install gluonts lightning``. Trains on the columns of a CSV file of hourly values whose first column is the
time, without one on made series, and forecasts a day of each. What is measured: docs/programs.md.

Usage: python examples/forecasting_library.py [FILE.csv] [--steps 200] [--without-unrolled]
"""

import argparse
import logging
import tempfile
import time
import warnings

import lightning.pytorch as pl
import numpy as np
import pandas as pd
from gluonts.dataset.common import ListDataset
from gluonts.torch import DeepAREstimator

import unrolled

DAY = 24  # hours


class Converted(DeepAREstimator):
    """The estimator, with its network's LSTM replaced: the only change."""

    def create_lightning_module(self):
        """The network with its loss, which the library trains."""
        module = super().create_lightning_module()
        unrolled.convert(module)
        return module


class Recorder(pl.Callback):
    """Keeps every step's loss and when it ended."""

    losses, times = (), ()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index):
        """After the parameters' update."""
        self.losses = [*self.losses, float(outputs["loss"])]
        self.times = [*self.times, time.perf_counter()]


def made_series(length: int = 2000) -> pd.DataFrame:
    """Four series of a daily and a weekly wave and noise."""
    hours, noise = np.arange(length)[:, None], np.random.default_rng(0).normal(size=(length, 4))
    waves = np.sin(2 * np.pi * (hours / DAY + np.arange(4) / 8)) + 0.5 * np.sin(2 * np.pi * hours / (7 * DAY))
    return pd.DataFrame(5 + waves + 0.2 * noise, index=pd.date_range("2020-01-01", periods=length, freq="h"))


def train(table: pd.DataFrame, steps: int, with_unrolled: bool = True, context: int = 7 * DAY):
    """The predictor, every step's loss, training steps a second after the first, and a forecast of each series."""
    pl.seed_everything(0, verbose=False)
    series = [{"target": table[name].to_numpy("float32"), "start": table.index[0]} for name in table]
    data, recorder = ListDataset(series, freq="h"), Recorder()
    with tempfile.TemporaryDirectory() as folder:
        options = {"max_epochs": 1, "callbacks": [recorder], "default_root_dir": folder, "accelerator": "cpu"}
        options |= {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        kind = Converted if with_unrolled else DeepAREstimator
        estimator = kind("h", DAY, context, num_batches_per_epoch=steps, trainer_kwargs=options)
        predictor = estimator.train(data, cache_data=True)
    speed = (steps - 1) / (recorder.times[-1] - recorder.times[0])
    return predictor, recorder.losses, speed, list(predictor.predict(data))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--without-unrolled", action="store_true")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore", module="gluonts|lightning")
    table = pd.read_csv(args.file, index_col=0, parse_dates=True) if args.file else made_series()
    _, losses, speed, forecasts = train(table, args.steps, not args.without_unrolled)
    print(f"loss {losses[0]:.5f}, at the end {losses[-1]:.5f}; first forecast {forecasts[0].quantile(0.5)[0]:.3f}")
    print(f"{speed:.2f} steps a second")
