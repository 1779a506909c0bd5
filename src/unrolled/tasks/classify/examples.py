"""Examples with their classes, whatever they were read from, and how they are divided."""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import DataError

Rows = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Examples:
    """Sequences and their labels.

    Args:
        kind: ``"text"``, ``"series"`` or ``"audio"``.
        rows: of text the position of each word in ``words`` (T,), of the others numbers (T, F).
        labels: of each row, None where it has none.
        places: where each row is from, for messages.
        words: of text, every distinct word.
    """

    kind: str
    rows: Rows
    labels: Sequence[str | None]
    places: Sequence[str]
    words: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def features(self) -> int:
        """Numbers of a step, 0 of text."""
        return 0 if self.kind == "text" else int(self.rows[0].shape[1])

    def texts(self, chosen: Iterable[int]) -> Iterator[list[str]]:
        """The words of these rows."""
        return ([self.words[position] for position in self.rows[row]] for row in chosen)

    def known_labels(self) -> list[str]:
        """The labels.

        Raises:
            DataError: a row has none.
        """
        for label, place in zip(self.labels, self.places, strict=True):
            if label is None:
                raise DataError(f"{place}: expected a label, got none; give data with labels.")
        return [label for label in self.labels if label is not None]

    def class_numbers(self, classes: Sequence[str]) -> list[int]:
        """The position of each row's label among the classes.

        Raises:
            DataError: a label is not one of them, or missing.
        """
        positions = {name: position for position, name in enumerate(classes)}
        labels = self.known_labels()
        for label, place in zip(labels, self.places, strict=True):
            if label not in positions:
                raise DataError(
                    f"{place}: expected one of the {len(classes)} classes of the training data "
                    f"({_listed(classes)}), got {label!r}; correct the label, or train with examples of it."
                )
        return [positions[label] for label in labels]


def _listed(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def classes_of(labels: Sequence[str], source: str) -> tuple[str, ...]:
    """The distinct labels, numbers in the order of numbers.

    Raises:
        DataError: there are fewer than two.
    """
    names = set(labels)
    if len(names) < 2:
        raise DataError(
            f"{source}: expected examples of at least two classes, got "
            + (f"only {next(iter(names))!r}" if names else "no example")
            + "; give examples of others too."
        )
    numbers = {name: _number(name) for name in names}
    if None in numbers.values():
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (numbers[name], name)))


def _number(name: str) -> float | None:
    try:
        number = float(name)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def divide(targets: Sequence[int], share: float, classes: Sequence[str]) -> tuple[list[int], list[int]]:
    """Which examples are learnt from and which are held out: the same share of every class, drawn with a fixed seed.

    A class always keeps an example to learn from.

    Raises:
        DataError: so few examples that none can be held out.
    """
    generator = np.random.default_rng(0)
    of_class: dict[int, list[int]] = {}
    for row, target in enumerate(targets):
        of_class.setdefault(target, []).append(row)
    held_out: list[int] = []
    single = []
    for target, rows in sorted(of_class.items()):
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        if not count:
            single.append(classes[target])
        held_out += generator.permutation(rows)[:count].tolist()
    if not held_out:
        raise DataError(
            "expected at least two examples of a class, so that one can be held out for validation, got one of each; "
            "give more examples, or a file with --validation."
        )
    if single:
        warnings.warn(
            f"{len(single)} of {len(classes)} classes ({_listed(single)}) have one example, which is learnt from: "
            "the validation data have none of them.",
            stacklevel=2,
        )
    chosen = set(held_out)
    return [row for row in range(len(targets)) if row not in chosen], sorted(held_out)
