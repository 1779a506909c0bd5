"""Made series of hourly demand, for a first look: days, weeks, a trend, holidays and chance."""

import numpy as np

from .frequency import Frequency
from .panel import Panel, panel_of

NAME = "made series of hourly demand"
_SHOPS = 6
_DAYS = 70


def made_demand(seed: int = 0) -> Panel:
    """Six series of ten weeks, the same for the same seed, with a week of the holidays after them.

    Each has its own level, the shape of its day and week, and how much a holiday takes away, which is known ahead.
    """
    chance = np.random.default_rng(seed)
    hours = np.arange((_DAYS + 7) * 24)
    known = _DAYS * 24
    day, week = hours % 24, hours // 24 % 7
    holiday = np.isin(hours // 24, [9, 23, 24, 38, 51, 62, 72]).astype(np.float64)
    series, future = [], []
    for _ in range(_SHOPS):
        level, turn = chance.uniform(60, 400), chance.integers(-2, 3)
        of_day = 1 + 0.45 * np.sin(2 * np.pi * (day - 8 - turn) / 24) + 0.2 * np.sin(4 * np.pi * (day - 5 - turn) / 24)
        of_week = np.where(week >= 5, chance.uniform(0.55, 0.8), 1.0)
        trend = 1 + chance.uniform(-0.1, 0.25) * hours / len(hours)
        drift = np.zeros(len(hours))
        for hour, shock in enumerate(chance.normal(0, 0.02, len(hours) - 1)):
            drift[hour + 1] = 0.95 * drift[hour] + shock
        demand = level * of_day * of_week * trend * (1 - chance.uniform(0.3, 0.6) * holiday) * np.exp(drift)
        demand *= np.exp(chance.normal(0, 0.05, len(hours)))
        series.append(np.round(demand[:known], 1))
        future.append(holiday[:, None])
    frequency = Frequency("hour")
    start = int(frequency.number(np.array(["2024-03-04"], dtype="datetime64[s]"))[0])  # a Monday
    names = [f"shop {number + 1}" for number in range(_SHOPS)]
    return panel_of(series, names, frequency=frequency, starts=[start] * _SHOPS, future=future)
