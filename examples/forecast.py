"""Forecast many series from Python: train, measure beside simple rules, look ahead with intervals.

It makes the daily visitors of some museums, with a weekly and a yearly season, and days of free entry that are known
ahead: the last rows, in which the visitors are not known yet, tell them. A dataframe of pandas or polars would do too.

Usage: python examples/forecast.py [--minutes 1] [--output ahead.csv] [--plot ahead.svg]
"""

import argparse

import numpy as np

from unrolled.tasks import Forecaster
from unrolled.tasks.forecast.plot import plot_forecasts

HORIZON = 14  # days


def made_museums(seed: int = 0) -> dict[str, np.ndarray]:
    chance = np.random.default_rng(seed)
    days = np.datetime64("2023-01-01") + np.arange(430 + HORIZON)
    of_year = (days - days.astype("datetime64[Y]")).astype(int)
    of_month = (days - days.astype("datetime64[M]")).astype(int) + 1
    weekday = (days.astype(int) + 3) % 7  # 0 is Monday
    free = (of_month == 7).astype(float)
    columns: dict[str, list[np.ndarray]] = {"date": [], "museum": [], "visitors": [], "free": []}
    for name in ("art", "bridges", "clocks", "dinosaurs"):
        season = 1 + 0.3 * np.sin(2 * np.pi * (of_year - 100) / 365.25)
        week = np.where(weekday >= 5, chance.uniform(1.4, 2.2), 1.0) * np.where(weekday == 0, 0.4, 1.0)
        drift = np.exp(np.cumsum(chance.normal(0, 0.01, len(days))))
        mean = chance.uniform(80, 900) * season * week * drift * (1 + chance.uniform(0.5, 1.5) * free)
        visitors = chance.poisson(mean).astype(float)
        visitors[-HORIZON:] = np.nan  # not yet known
        for column, values in zip(columns, (days, np.full(len(days), name), visitors, free), strict=True):
            columns[column].append(values)
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--steps", type=int, help="train for so many steps instead")
    parser.add_argument("--output")
    parser.add_argument("--plot")
    args = parser.parse_args()
    table = made_museums()

    model = Forecaster(
        horizon=HORIZON,
        id="museum",
        target="visitors",
        future_covariates="free",
        test_steps=HORIZON,  # the end of each series is not trained on: it is the test
        minutes=args.minutes,
        steps=args.steps,
    ).fit(table)

    scores = model.backtest(table)
    print(f"the last {HORIZON} days of {scores.count} series, which training did not see:")
    for name, figures in scores.figures.items():
        covered = figures["coverage_80"]
        print(
            f"  {name:15} MASE {figures['MASE']:.3f}  sMAPE {figures['sMAPE']:.1f} %  80 % intervals hold {covered:.0%}"
        )

    ahead = model.predict(table, levels=(80,))
    print("\nwhat comes next:")
    for row in list(ahead.rows())[: HORIZON // 2]:
        print(f"  {row['id']} {row['time']}  {row['median']:7.1f}  ({row['lower_80']:.1f} to {row['upper_80']:.1f})")
    if args.output:
        ahead.write(args.output)
    if args.plot:
        plot_forecasts(args.plot, ahead)


if __name__ == "__main__":
    main()
