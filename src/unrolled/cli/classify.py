"""The classification task's commands: call it, and print what came out."""

import csv
import io
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from ..core import InputError
from ..tasks.classify.data import ClassifyData
from ..tasks.classify.explain import Explanation
from ..tasks.classify.options import EvaluateOptions, PredictOptions
from ..tasks.classify.plot import plot_confusion, plot_explanation
from ..tasks.classify.problem import log_probabilities
from ..tasks.classify.reader import Reader
from ..tasks.classify.show import curve, shown_examples, verdict
from ..tasks.classify.task import TASK, ClassifyRun, Predictions, scores_of
from ..tasks.pictures import check_picture
from ..tasks.running import Training
from ..tasks.scores import Scores
from ..training.checkpoint import write_atomically
from ..training.progress import printable
from .tables import scores_table, table
from .training import own_cell

__all__ = ["TASK", "UNIT", "evaluate", "predict", "report"]

UNIT = "step"
WIDTH = 80
MOST_CLASSES = 12  # of a confusion matrix, or columns of probabilities, on a screen
MOST_SHOWN = 8  # examples after training
MOST_EXPLAINED = 20  # examples on a screen


def report(training: Training[ClassifyData], cell: str | None) -> None:
    """Print what came out of training: figures beside the baselines', some examples, the confusion matrix drawn."""
    folder, data = training.folder, training.data
    own = own_cell(cell)
    run = ClassifyRun(folder, cell=cell if own else None)
    part = data.validation
    reader = Reader(run.encoder, part.examples, run.options.model.subwords)
    said = log_probabilities(run.network, reader, part.rows)
    scores = scores_of(part, said, data.baselines, run.classes)
    picture = folder / "confusion.svg"
    plot_confusion(picture, scores.details["confusion"], run.classes)
    wrong = [at for at, target in enumerate(part.targets) if int(said[at].argmax()) != target]
    best = training.outcome.best or {}
    print(f"\nBest on the validation data at step {best.get('step')} of {training.outcome.steps}:\n")
    _print_scores(scores)
    if wrong:
        print(f"\n{len(wrong)} of {len(part.rows)} are taken for another class, such as:\n")
        print(printable(shown_examples(part, wrong[:MOST_SHOWN], said, run.classes)))
    quoted = shlex.quote(str(folder))
    print(f"\nRun folder  {folder}\nPlots       {folder / 'loss.svg'}, {picture}")
    print(f"Measure it  unrolled evaluate {quoted} TEST-DATA{own}")
    print(f"Use it      unrolled classify {quoted} FILE --explain{own}")


def evaluate(
    run: Path, data: list[Path], weights: str, cell: str | None, as_json: bool, options: EvaluateOptions
) -> int:
    """Print the figures, and draw the confusion matrix."""
    picture = None if options.plot is None else check_picture(options.plot)
    scores = ClassifyRun(run, cell=cell, weights=weights).evaluate(data)
    if picture is not None:
        plot_confusion(picture, scores.details["confusion"], scores.details["classes"])
    if as_json:
        print(json.dumps(scores.to_dict()))
    else:
        _print_scores(scores)
    return 0


def _print_scores(scores: Scores) -> None:
    main = ["accuracy", "f1"]
    figures = scores_table(scores, [*main, *(n for n in scores.model if n.startswith("f1 of"))])
    print(printable(figures if _fits(figures) else scores_table(scores, main)))
    classes, counts = scores.details["classes"], scores.details["confusion"]
    if len(classes) <= MOST_CLASSES:
        names = _cut_apart(classes, 10)
        rows = [
            [f"is {name}", *map(str, row), f"{scores.details['f1'][full]:.3f}"]
            for name, full, row in zip(names, classes, counts, strict=True)
        ]
        matrix = table(["taken for", *names, "f1"], rows)
        if _fits(matrix):
            print("\n" + printable(matrix))
            return
    pairs = sorted(
        ((count, truth, taken) for truth, row in zip(classes, counts, strict=True)
         for taken, count in zip(classes, row, strict=True) if count and truth != taken), key=lambda pair: -pair[0]
    )  # fmt: skip
    rows = [
        [f"{_cut(truth, 30)} taken for {_cut(taken, 30)}", str(count)] for count, truth, taken in pairs[:MOST_CLASSES]
    ]
    if rows:
        print("\n" + printable(table(["most confused", "times"], rows)))


def _fits(text: str) -> bool:
    return max(map(len, text.splitlines())) <= WIDTH


def _cut_apart(names: Sequence[str], width: int) -> list[str]:
    """Names cut at their ends, or where some would look alike in their middles."""
    cut = [_cut(name, width) for name in names]
    if len(set(cut)) == len(cut):
        return cut
    return [name if len(name) <= width else f"{name[: width // 2 - 1]}..{name[1 - width // 2 :]}" for name in names]


def _cut(name: str, width: int) -> str:
    name = " ".join(name.split())  # a line end would break the table
    return name if len(name) <= width else name[: width - 2] + ".."


def predict(run: Path, inputs: list[Path], weights: str, cell: str | None, options: PredictOptions) -> int:
    """Print or write the class of each example, and the probability of each class."""
    if not inputs:
        raise InputError("INPUT: expected files to classify, got none.")
    picture = None if options.plot is None else check_picture(options.plot)
    if picture is not None and not options.explain:
        raise InputError("--plot: expected --explain with it, which says what is drawn.")
    form = _form(options)
    model = ClassifyRun(run, cell=cell, weights=weights)
    found = model.predict(list(inputs), form=options.format)
    if picture is not None and found.examples.kind == "text":
        raise InputError("--plot: expected numeric sequences or recordings, got texts; their words are shown coloured.")
    rows = range(len(found.examples)) if options.explain else ()
    explanations = (model.explain(found.examples, row) for row in rows)
    if picture is not None:
        plot_explanation(picture, found.examples.rows[0], model.explain(found.examples, 0))
    if form == "table" and options.output is None:
        _show(found, explanations, options.explain)
        return 0
    written = io.StringIO(newline="")
    _write(found, explanations, form, written)
    if options.output is None:
        print(written.getvalue(), end="")
    else:
        write_atomically(Path(options.output), written.getvalue())
    return 0


def _form(options: PredictOptions) -> str:
    if options.write != "auto":
        return options.write
    if options.output is None:
        return "table"
    return "jsonl" if Path(options.output).suffix.lower() in (".jsonl", ".ndjson", ".json") else "csv"


def _show(found: Predictions, explanations: Iterator[Explanation], explain: bool) -> None:
    if explain:
        _show_explanations(found, explanations)
        return
    whole = _labels_table(found, found.classes) if len(found.classes) <= MOST_CLASSES else ""
    print(printable(whole if whole and _fits(whole) else _labels_table(found, ())))


def _labels_table(found: Predictions, columns: Sequence[str]) -> str:
    """Of each example its class, and the probability of each class, or where no columns are named of that one."""
    rows = []
    for row, (label, chances) in enumerate(zip(found.labels, found.probabilities, strict=True)):
        shown = [f"{100 * chance:.1f}" for chance in chances] if columns else [f"{100 * chances.max():.1f}"]
        rows.append([_named(found, row), _cut(label, 20), *shown])
    names = [f"% {name}" for name in _cut_apart(columns, 10)] if columns else ["%"]
    return table(["example", "class", *names], rows)


def _named(found: Predictions, row: int, width: int = 34) -> str:
    """A text's beginning, or the end of where an example is from."""
    if found.examples.kind == "text":
        return _cut(" ".join(next(found.examples.texts([row]))), width)
    place = found.examples.places[row]
    place = Path(place).name if found.examples.kind == "audio" else place
    return place if len(place) <= width else ".." + place[2 - width :]


def _show_explanations(found: Predictions, explanations: Iterator[Explanation]) -> None:
    console = Console()
    for row, explanation in zip(range(min(MOST_EXPLAINED, len(found.examples))), explanations, strict=False):
        print(printable(f"{_named(found, row)}: {verdict(explanation.label, explanation.probability)}"))
        if explanation.words:
            console.print(_coloured(explanation), soft_wrap=True)
        else:
            print(f"  steps  {curve(explanation.weights.numpy())}")
    if len(found.examples) > MOST_EXPLAINED:
        print(f"... and {len(found.examples) - MOST_EXPLAINED} more; --output FILE has all.")
    what = "words" if found.examples.kind == "text" else "steps"
    print(f"\nShown: gradient times input of the predicted class, for each of the {what}.")


def _coloured(explanation: Explanation) -> Text:
    """The words, those for the class on green and those against it on red, the strongest marked without colours too."""
    largest = float(explanation.weights.abs().max()) or 1.0
    text = Text("  ")
    for word, weight in zip(explanation.words, explanation.weights.tolist(), strict=True):
        share = weight / largest
        mark = "+" if share > 0.5 else "-" if share < -0.5 else ""
        strength = int(abs(share) * 160)
        style = f"on rgb(0,{strength},0)" if share > 0 else f"on rgb({strength},0,0)"
        text.append(printable(word) + mark, style=style if abs(share) > 0.15 else "")
        text.append(" ")
    return text


def _write(found: Predictions, explanations: Iterator[Explanation], form: str, stream: TextIO) -> None:
    """All of it: as CSV a column for each class, as JSONL an object for each example, or a table."""
    if form == "table":
        rows = [[place, label] for place, label in zip(found.examples.places, found.labels, strict=True)]
        stream.write(table(["example", "class"], rows) + "\n")
        return
    whys = list(explanations)
    if form == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        header = ["example", "label", *(f"probability {name}" for name in found.classes)]
        writer.writerow([*header, "contributions"] if whys else header)
    for row, label in enumerate(found.labels):
        place = found.examples.places[row]
        chances = [round(float(chance), 6) for chance in found.probabilities[row]]
        weights = [round(float(weight), 6) for weight in whys[row].weights] if whys else []
        if form == "csv":
            why = [" ".join(map(str, weights))] if whys else []
            writer.writerow([place, label, *chances, *why])
            continue
        record: dict[str, Any] = {
            "example": place,
            "label": label,
            "probabilities": dict(zip(found.classes, chances, strict=True)),
        }
        if whys:
            record["contributions"] = weights
            if whys[row].words:
                record["words"] = list(whys[row].words)
        stream.write(json.dumps(record, ensure_ascii=False) + "\n")
