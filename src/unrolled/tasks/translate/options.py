"""The options of the translate task: one definition, for Python, the command line and config.json."""

from typing import ClassVar, Literal

from pydantic import Field

from ...training.options import Averaging, LearningRate, Minutes, Options, TrainingOptions, WarmupSteps, tuned
from .. import options as shared
from ..command import Command

TokenKind = Literal["words", "bpe", "characters"]
SizeOfVocabulary = Field(
    None, ge=4, le=10**6, description="Tokens of each side, the most frequent (default: bpe 8000, else all)."
)


class DataOptions(shared.DataOptions):
    """How pairs are read, and what their tokens are."""

    paths: ClassVar[tuple[str, ...]] = ("validation", "validation_target")

    format: Literal["auto", "lines", "tsv", "csv", "jsonl"] = Field(
        "auto", description="Of the files: by their names; lines: line n of one file belongs to line n of the other."
    )
    source_column: str | None = Field(
        None, min_length=1, description="Of a table (default: source; without a header 1)."
    )
    target_column: str | None = Field(
        None, min_length=1, description="Of a table (default: target; without a header 2)."
    )
    header: bool = Field(True, description="The first row of a TSV names its columns; without, they are 1, 2, ...")
    validation: str | None = Field(
        None, min_length=1, description="A file for validation, in place of --validation-share."
    )
    validation_target: str | None = Field(
        None, min_length=1, description="Of two line-aligned files for validation the second, beside --validation."
    )
    validation_share: float = Field(
        0.1, gt=0, lt=1, description="Share of the sources that is held out for validation."
    )
    evaluation_sources: int = Field(
        500, ge=1, le=10**9, description="Held-out sources that are translated at each evaluation, at most."
    )
    tokens: TokenKind = Field("words", description="What a token is; words stand between spaces.")
    source_tokens: TokenKind | None = Field(None, description="Of the source, in place of --tokens.")
    target_tokens: TokenKind | None = Field(None, description="Of the target, in place of --tokens.")
    vocabulary_size: int | None = SizeOfVocabulary
    minimum_count: int = Field(
        2, ge=1, le=10**9, description="Words and characters that occur less often are read as <unk>."
    )
    shared_vocabulary: bool = Field(False, description="One vocabulary for both sides.")
    lowercase: bool = Field(False, description="Turn both sides into small letters.")
    max_length: int = Field(200, ge=1, le=10**6, description="Tokens of the longest side of a pair that is allowed.")
    skip_long: bool = Field(False, description="Leave out longer pairs, in place of refusing the file.")
    metric: Literal["auto", "bleu", "errors"] = Field(
        "auto",
        description="What is measured, and chosen by: BLEU, or the share of lines with any error; auto: errors where "
        "a side is read by characters, or targets are too short for BLEU.",
    )
    bleu_tokenize: Literal["auto", "none", "13a", "intl", "char", "zh"] = Field(
        "auto",
        description="How sacrebleu splits text; auto: none where the targets are tokenised already, else 13a.",
    )
    batch_size: shared.BatchSize = 64

    @property
    def kinds(self) -> tuple[TokenKind, TokenKind]:
        """What a token is, of the source and of the target."""
        return self.source_tokens or self.tokens, self.target_tokens or self.tokens


class ModelOptions(shared.ModelOptions):
    """The encoder and the decoder."""

    cell: str = Field("lstm", description=shared.CELLS)
    hidden_size: shared.HiddenSize = Field(256, **tuned(choices=[128, 256, 512]))
    embedding_size: int = Field(256, ge=1, le=10**6, description="Features of the vector of a token.")
    bidirectional: bool = Field(True, description="Read the source in both directions.")
    attention: Literal["multiplicative", "additive", "none"] = Field(
        "multiplicative", description="How the decoder looks at the source at each step."
    )
    input_feeding: bool = Field(
        False,
        description="Give what was attended to the next step of the decoder (slower).",
    )
    tie: Literal["none", "output", "all"] = Field(
        "output", description="Share the target's embedding with the output layer; all: with the source's, too."
    )
    dropout: shared.Dropout = Field(0.3, **tuned(low=0.1, high=0.6))


class LearningOptions(TrainingOptions):
    """How to train."""

    minutes: Minutes = 2.0
    learning_rate: LearningRate = 0.002
    warmup_steps: WarmupSteps = 400
    averaging: Averaging = 0.998
    label_smoothing: float = Field(
        0.1, ge=0, lt=1, description="Share of each target that is spread over all tokens.", **tuned(low=0.0, high=0.2)
    )
    teacher_forcing: float = Field(
        1.0, ge=0, le=1, description="Probability, at first, that the decoder is given the true token before."
    )
    teacher_forcing_end: float | None = Field(
        None, ge=0, le=1, description="The same at the end of training (default: as at first)."
    )
    teacher_forcing_schedule: Literal["linear", "inverse-sigmoid"] = Field(
        "linear", description="How the probability goes from the one to the other."
    )


class TranslateOptions(shared.TaskOptions):
    """All options of ``unrolled train translate``."""

    data: DataOptions = DataOptions()
    model: ModelOptions = ModelOptions()
    training: LearningOptions = LearningOptions()


class DecodingOptions(Options):
    """How a translation is searched for."""

    method: Literal["beam", "greedy", "sample"] = Field(
        "beam", description="Keep the best few, take the likeliest token, or draw tokens by chance."
    )
    beam_size: int = Field(5, ge=1, le=1000, description="Hypotheses that are kept, of method beam.")
    length_penalty: float = Field(
        1.0, ge=0, le=10, description="Exponent of the length that a score is divided by, of method beam."
    )
    no_repeat_ngram: int = Field(0, ge=0, le=100, description="No run of so many tokens may occur twice; 0 = it may.")
    temperature: float = Field(1.0, ge=0, description="Below 1: safer, above: wilder, of method sample.")
    seed: int | None = Field(None, ge=0, lt=2**63, description="The same seed draws the same (default: by chance).")
    replace_unknown: bool = Field(
        True, description="Write the source's word that was attended to most in place of <unk>."
    )
    max_output: int | None = Field(
        None, ge=1, le=10**6, description="Tokens of a translation at most (default: by the source's length)."
    )


class EvaluateOptions(DecodingOptions):
    """How a file of pairs is read and translated."""

    format: Literal["auto", "lines", "tsv", "csv", "jsonl"] | None = Field(
        None, description="Of the files, as in training (default: by their names)."
    )
    source_column: str | None = Field(None, min_length=1, description="Of a table (default: as in training).")
    target_column: str | None = Field(None, min_length=1, description="Of a table (default: as in training).")
    metric: Literal["bleu", "errors"] | None = Field(None, description="What is measured (default: as in training).")
    bleu_tokenize: Literal["none", "13a", "intl", "char", "zh"] | None = Field(
        None, description="How sacrebleu splits text (default: as in training)."
    )


class PredictOptions(DecodingOptions):
    """What is translated, and how that is written."""

    text: str | None = Field(None, description="A text to translate, in place of files.")
    format: Literal["auto", "lines", "tsv", "csv", "jsonl"] = Field(
        "auto", description="Of the input: by its name, else a sentence a line."
    )
    source_column: str | None = Field(None, min_length=1, description="Of a table (default: as in training).")
    n_best: int = Field(1, ge=1, le=1000, description="Translations of each line, with their scores.")
    unseen: Literal["refuse", "skip"] = Field(
        "refuse", description="A character that was never seen in training: refuse its line, or leave it out."
    )
    style: Literal["auto", "text", "jsonl", "attention"] = Field(
        "auto",
        description="Lines of text, objects with scores, or where the model looked; auto: by the name of --output.",
    )
    attention: str | None = Field(
        None, min_length=1, description="Draw where the model looked: a picture (.svg, .png, .pdf), or a folder."
    )
    output: str | None = Field(None, min_length=1, description="Write to this file.")


COMMAND = Command(
    name="translate",
    options=TranslateOptions,
    summary="One sequence into another: languages, letters into phonemes, words into numbers.",
    data="Two line-aligned files, source and target; or TSV, CSV, JSONL with pairs; none: dates that a small grammar "
    "makes.",
    help="""Train a translator: an encoder reads a line, a decoder with attention writes another.

    With no path it learns to write dates and times, given in words, as numbers, in a minute.

    Examples:
    unrolled train translate

    unrolled train translate train.de train.en --validation val.de --validation-target val.en

    unrolled train translate pairs.tsv --tokens bpe --vocabulary-size 8000 --minutes 60

    unrolled train translate words.tsv --source-tokens characters --target-tokens words
    """,
    predicting=PredictOptions,
    evaluating=EvaluateOptions,
    verb="translate",
    verb_help="""Translate lines with a trained model.

    Text comes from files, a sentence a line, from --text, or from standard input.
    An empty line stays an empty line.

    Examples:
    unrolled translate runs/de-en --text "ein mann geht ."

    unrolled translate runs/de-en test.de --beam-size 10 --output test.en

    unrolled translate runs/de-en test.de --n-best 3 --style jsonl

    unrolled translate runs/de-en --text "ein mann geht ." --attention where.svg
    """,
    inputs="Files to translate: lines of text, or a table with the source's column; none: standard input.",
)
