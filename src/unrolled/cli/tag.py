"""The tag task's commands: call it, and print what came out."""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from ..core import DataError, InputError
from ..tasks.running import Training
from ..tasks.scores import Scores
from ..tasks.tag.data import TagData
from ..tasks.tag.options import EvaluateOptions, PredictOptions
from ..tasks.tag.sentences import Columns, Format, Sentence, find_format, read_lines
from ..tasks.tag.task import TASK, TagRun, Unseen
from ..tasks.tag.writing import Style, Writer
from ..training.progress import printable
from .errors import UsageProblem
from .output import output_to
from .standard_input import lines_of_standard_input
from .tables import scores_table, table
from .training import own_cell

__all__ = ["TASK", "UNIT", "evaluate", "predict", "report"]

UNIT = "tok"
SHOWN = 30  # types of a table
SAMPLES = 4  # sentences after training
_BY_SUFFIX: dict[str, Style] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".txt": "inline"}


def report(training: Training[TagData], cell: str | None) -> None:
    """Print what came out of training: figures on held-out sentences beside the baseline, and some of them."""
    folder, outcome, data = training.folder, training.outcome, training.data
    if outcome.best is None:
        raise InputError("expected an evaluation in the run, got none.")
    run = TagRun(folder, cell=cell if own_cell(cell) else None)
    held_out = data.sentences(data.validation)
    scores, unseen = run.measure(held_out)
    print(
        f"\nThe best weights are those after step {outcome.best['step']} of {outcome.steps}. On held-out sentences:\n"
    )
    print(scores_table(scores, _main(scores)))
    _say_unseen(unseen)
    print()
    writer = Writer(sys.stdout, _style("auto", "text"))
    for sentence in run.tag([sentence.tokens for sentence in held_out[:SAMPLES]]):
        writer.write(sentence)
    writer.end()
    quoted = shlex.quote(str(folder))
    print(f"\nRun folder  {folder}\nLoss plot   {folder / 'loss.svg'}")
    print(f"Measure it  unrolled evaluate {quoted} FILE{own_cell(cell)}")
    example = " ".join(held_out[0].tokens[:12])
    print(f"Use it      unrolled tag {quoted}{own_cell(cell)} --text {shlex.quote(example)}")


def evaluate(
    run: Path, data: list[Path], weights: str, cell: str | None, as_json: bool, options: EvaluateOptions
) -> int:
    """Print the figures, and those of each type of span."""
    scores, unseen = TagRun(run, cell=cell, weights=weights).evaluate(
        data, options.format, token_column=options.token_column, tag_column=options.tag_column
    )
    if as_json:
        print(json.dumps({**scores.to_dict(), "unseen": {"tags": unseen.tags, "intents": unseen.labels}}))
        return 0
    print(scores_table(scores, _main(scores)))
    types = sorted(scores.details["types"].items(), key=lambda item: -item[1]["count"])
    rows = [_row(printable(kind) or "(no name)", found) for kind, found in types[:SHOWN]]
    if "span_f1" in scores.model:
        of_all = {name: scores.model[f"span_{name}"] for name in ("precision", "recall", "f1")}
        rows.insert(0, _row("all", {**of_all, "count": sum(found["count"] for _, found in types)}))
    print("\n" + table(["type", "precision", "recall", "F1", "there are"], rows))
    if len(types) > SHOWN:
        print(f"and {len(types) - SHOWN} rarer types, which --json has too")
    _say_unseen(unseen)
    return 0


def predict(run: Path, inputs: list[Path], weights: str, cell: str | None, options: PredictOptions) -> int:
    """Tag files, a text, or standard input, and write what came out."""
    if options.text is not None and inputs:
        raise UsageProblem("--text: expected no files beside it.")
    tagger = TagRun(run, cell=cell, weights=weights)
    tagged, form = _tagged(tagger, inputs, options)
    output = None if options.output is None else Path(options.output)
    if output is None:
        style = _style(options.style, form)
    else:
        style = _BY_SUFFIX.get(output.suffix.lower(), "conll") if options.style == "auto" else options.style
    with output_to(output) as file:
        _write(tagged, Writer(file, style))
    return 0


def _tagged(tagger: TagRun, inputs: list[Path], options: PredictOptions) -> tuple[Iterator[Sentence], Format]:
    """The tagged sentences, and the format of the input."""
    split = str.split if options.split == "spaces" else tagger.split
    if inputs:
        form = find_format(inputs[0], "text") if options.format == "auto" else options.format
        return tagger.tag_all(_files(tagger, inputs, options)), form
    form = "text" if options.format == "auto" else options.format
    if form == "parallel":
        raise UsageProblem("--format parallel: expected a folder to read, got none.")
    lines: Iterable[str] = [options.text] if options.text is not None else lines_of_standard_input()
    one_by_one = options.text is None and sys.stdin.isatty()
    name = "--text" if options.text is not None else "standard input"
    read = read_lines(lines, name, form, Columns(options.token_column), tagged=False, split=split)
    return tagger.tag_all(read, 1 if one_by_one else 4096), form


def _files(tagger: TagRun, inputs: list[Path], options: PredictOptions) -> Iterator[Sentence]:
    for path in inputs:
        if not path.exists() and " " in str(path):
            raise DataError(f"{path}: there is no such file; to tag a text, give it with --text.")
        split = str.split if options.split == "spaces" else None
        yield from tagger.read(path, options.format, token_column=options.token_column, split=split)


def _write(sentences: Iterable[Sentence], writer: Writer) -> None:
    for sentence in sentences:
        writer.write(sentence)
    writer.end()


def _style(wanted: str, form: Format) -> Style:
    if wanted != "auto":
        return cast(Style, wanted)
    if sys.stdout is not None and sys.stdout.isatty():
        return "colors"
    return {"conll": "conll", "jsonl": "jsonl"}.get(form, "inline")  # type: ignore[return-value]


def _main(scores: Scores) -> list[str]:
    """What a table of 80 columns has room for."""
    return [name for name in scores.model if name not in ("span_precision", "span_recall")]


def _row(kind: str, found: dict[str, float]) -> list[str]:
    return [kind, *(f"{found[name]:.4f}" for name in ("precision", "recall", "f1")), f"{found['count']:,.0f}"]


def _say_unseen(unseen: Unseen) -> None:
    for names, what in ((unseen.tags, "types of tags"), (unseen.labels, "intents")):
        if names:
            shown = ", ".join(map(printable, names[:5])) + (", ..." if len(names) > 5 else "")
            print(f"Never seen in training, and so never right: {len(names)} {what} ({shown}).")
