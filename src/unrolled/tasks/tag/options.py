"""The options of the tag task: one definition, for Python, the command line and config.json."""

from typing import Literal

from pydantic import Field

from ...training.options import Averaging, Minutes, Options, TrainingOptions, tuned
from .. import options as shared
from ..command import Command


class DataOptions(shared.DataOptions):
    """How sentences and their tags are read."""

    format: Literal["auto", "conll", "jsonl", "parallel"] = Field(
        "auto", description="Of the files: by their names, CoNLL columns, JSONL, or a folder of seq.in and seq.out."
    )
    token_column: int = Field(1, ge=-1000, le=1000, description="Of CoNLL rows, from 1, or from -1 at the end.")
    tag_column: int = Field(-1, ge=-1000, le=1000, description="Of CoNLL rows, from 1, or from -1 at the end.")
    scheme: Literal["auto", "iob2", "iobes", "none"] = Field(
        "auto",
        description="How spans are marked for the model, whatever marks they have in the files; none: tags are labels "
        "of single tokens; auto: as the files have it.",
    )
    batch_size: shared.BatchSize = 32


class ModelOptions(shared.ModelOptions):
    """The model."""

    bidirectional: bool = Field(True, description="Read each sentence in both directions.")
    embedding_size: int = Field(100, ge=1, le=10**6, description="Features of the vector of a word.")
    subwords: int = Field(
        20_000,
        ge=0,
        le=10**8,
        description="Vectors for pieces of words, of a few letters (0 = whole words only).",
    )
    dropout: shared.Dropout = Field(0.5, **tuned(low=0.1, high=0.7))
    word_dropout: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Share of words that are read as unknown ones in training.",
        **tuned(low=0.0, high=0.3),
    )
    crf: bool = Field(
        False,
        description="Score whole sequences of tags, by a conditional random field.",
        **tuned(choices=[False, True]),
    )
    intent: bool = Field(True, description="Learn the label of a sentence too, where the data have one.")
    intent_weight: float = Field(0.3, ge=0, le=1e6, description="Of the label's loss, beside that of a tag.")


class LearningOptions(TrainingOptions):
    """How to train."""

    minutes: Minutes = 1.0
    averaging: Averaging = 0.998


class TagOptions(shared.TaskOptions):
    """All options of ``unrolled train tag``."""

    data: DataOptions = DataOptions()
    model: ModelOptions = ModelOptions()
    training: LearningOptions = LearningOptions()


class EvaluateOptions(Options):
    """How a file with tags is read, where it is not like that of the training."""

    format: Literal["auto", "conll", "jsonl", "parallel"] | None = Field(
        None, description="Of the files, as in training (default: as there)."
    )
    token_column: int | None = Field(None, ge=-1000, le=1000, description="Of CoNLL rows (default: as in training).")
    tag_column: int | None = Field(None, ge=-1000, le=1000, description="Of CoNLL rows (default: as in training).")


class PredictOptions(Options):
    """What is tagged, and how the tags are written."""

    text: str | None = Field(None, description="A sentence to tag, in place of files.")
    format: Literal["auto", "conll", "jsonl", "parallel", "text"] = Field(
        "auto", description="Of the input: by its name, else a sentence a line."
    )
    token_column: int = Field(1, ge=-1000, le=1000, description="Of CoNLL rows, from 1, or from -1 at the end.")
    split: Literal["words", "spaces"] = Field(
        "words", description="Tokens of a line of text: at spaces and with marks apart from words, or at spaces only."
    )
    style: Literal["auto", "colors", "inline", "conll", "jsonl"] = Field(
        "auto", description="Colours on a terminal, elsewhere as the input is; or as named (inline: word/TAG)."
    )
    output: str | None = Field(
        None, min_length=1, description="Write to this file; .conll, .jsonl or .txt tell the style."
    )


COMMAND = Command(
    name="tag",
    options=TagOptions,
    summary="A tag for each word of a sentence: names, slots, parts of speech; and its intent.",
    data="CoNLL columns, JSONL, or a folder with seq.in and seq.out, or with parts train and valid; "
    "none: requests that a small grammar makes.",
    help="""Train a tagger: a tag for each word, and a label for the sentence if there is one.

    Tags may mark spans (B-city I-city O, or another of the usual schemes) or be labels of single words.
    With no path it learns slots and intents of made-up requests, in a minute.

    Examples:
    unrolled train tag

    unrolled train tag train.conll --validation dev.conll --minutes 10

    unrolled train tag atis/ --crf --output runs/atis

    unrolled train tag treebank.conllu --token-column 2 --tag-column 4
    """,
    predicting=PredictOptions,
    evaluating=EvaluateOptions,
    verb="tag",
    verb_help="""Tag sentences with a trained model.

    Text comes from files, a sentence a line, from --text, or from standard input.
    On a terminal the spans are coloured; elsewhere they are written word/TAG,
    or as the input is: CoNLL columns or JSONL.

    Examples:
    unrolled tag runs/atis --text "flights from boston to denver on monday"

    unrolled tag runs/atis requests.txt --output tagged.conll

    cat requests.jsonl | unrolled tag runs/atis --format jsonl > tagged.jsonl
    """,
    inputs="Files to tag: lines of text, CoNLL columns, JSONL; none: standard input.",
)
