"""What was measured, and the same as data."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .options import Shape
from .peak import Peak
from .timing import Times

FORMAT = "unrolled.bench/1"


@dataclass(frozen=True)
class Row:
    """One comparison: the same work by us and by a peer, in seconds or bytes."""

    group: str
    name: str
    mode: str  # inference, training or step
    shape: Shape
    peer: str
    ours: Times
    theirs: Times
    unit: str = "seconds"

    @property
    def best(self) -> float:
        """How many times less ours takes, of the best runs."""
        return self.theirs.best / self.ours.best

    @property
    def median(self) -> float:
        """The same of the medians."""
        return self.theirs.median / self.ours.median

    @property
    def kind(self) -> tuple[str, str, str, str, str]:
        """What the rows of one line of the summary have in common."""
        return (self.group, self.name, self.mode, self.unit, self.peer)


@dataclass(frozen=True)
class Share:
    """How much of the processor's peak the matrix products of a run reach."""

    mode: str
    shape: Shape
    gflops: float
    peak: float  # of all threads, GFLOP/s, measured in between

    @property
    def share(self) -> float:
        """Of the peak."""
        return self.gflops / self.peak


@dataclass(frozen=True)
class Growth:
    """Time of a training step while one size grows: linear if the time for each unit of it does not."""

    along: str  # T or B
    shapes: tuple[Shape, ...]
    times: tuple[Times, ...]

    def relative(self) -> list[float]:
        """Time for each step and row, relative to that of the first shape; 1.0 throughout is linear."""
        each = [times.best / (shape.T * shape.B) for shape, times in zip(self.shapes, self.times, strict=True)]
        return [value / each[0] for value in each]


@dataclass(frozen=True)
class CellFigures:
    """A cell of the library: how large it is, and how long a training step takes, beside two others."""

    name: str
    shape: Shape
    parameters: int  # that are trained
    fixed: int  # numbers that are not
    code_lines: int | None  # of the file that defines it
    ours: Times
    loop: Times  # the same cell in a Python loop
    lstm: Times  # our LSTM of as many features
    fallback: str | None = None  # why it has no kernel; "ours" is then the reference

    @property
    def ratios(self) -> dict[str, dict[str, float]]:
        """How many times as long the loop and the LSTM take."""
        return {
            peer: {"best": times.best / self.ours.best, "median": times.median / self.ours.median}
            for peer, times in (("loop", self.loop), ("lstm", self.lstm))
        }


@dataclass(frozen=True)
class Failure:
    """A comparison that could not be made."""

    group: str
    title: str
    peer: str  # empty: ours
    reason: str


@dataclass
class Results:
    """Everything that one run of the benchmark has found so far."""

    started: str
    machine: dict[str, Any]
    versions: dict[str, str | None]
    threads: dict[str, int | None]
    missing: dict[str, str]
    peak: Peak | None = None
    rows: list[Row] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    cells: list[CellFigures] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    complete: bool = False

    def add(self, found: "Iterable[Row | Share | Growth | CellFigures | Failure]") -> None:
        """Take in what one job has found."""
        for item in found:
            match item:
                case Row():
                    self.rows.append(item)
                case Share():
                    self.shares.append(item)
                case Growth():
                    self.growth.append(item)
                case CellFigures():
                    self.cells.append(item)
                case Failure():
                    self.failures.append(item)

    def summary(self) -> list[dict[str, Any]]:
        """Of each kind of row: the geometric mean of the ratios, and the smallest."""
        lines = []
        for kind in dict.fromkeys(row.kind for row in self.rows):
            rows = [row for row in self.rows if row.kind == kind]
            least = min(rows, key=lambda row: row.best)
            names = ("group", "name", "mode", "unit", "peer")
            lines.append(
                dict(zip(names, kind, strict=True))
                | {
                    "count": len(rows),
                    "geometric_mean": geometric_mean([row.best for row in rows]),
                    "geometric_mean_of_medians": geometric_mean([row.median for row in rows]),
                    "minimum": least.best,
                    "minimum_shape": asdict(least.shape),
                }
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON; docs/bench.md says what is in it."""
        return {
            "format": FORMAT,
            "complete": self.complete,
            "started": self.started,
            "seconds": self.seconds,
            "machine": self.machine,
            "versions": self.versions,
            "threads": self.threads,
            "missing": self.missing,
            "peak_gflops": None if self.peak is None else asdict(self.peak),
            "rows": [asdict(row) | {"ratio": {"best": row.best, "median": row.median}} for row in self.rows],
            "summary": self.summary(),
            "shares": [asdict(share) | {"share": share.share} for share in self.shares],
            "growth": [asdict(one) | {"relative": one.relative()} for one in self.growth],
            "cells": [asdict(one) | {"ratio": one.ratios} for one in self.cells],
            "failures": [asdict(failure) for failure in self.failures],
        }


def geometric_mean(values: list[float]) -> float:
    """The n-th root of the product of n positive numbers."""
    return math.exp(sum(map(math.log, values)) / len(values))
