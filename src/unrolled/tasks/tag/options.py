"""The options of the tag task: one definition, for Python, the command line and config.json."""

from typing import Literal

from pydantic import Field

from ...training.options import Options, TrainingOptions
from .. import options as shared


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
    batch_size: int = Field(32, ge=1, le=10**6, description="Sentences that a step reads side by side.")


class ModelOptions(shared.ModelOptions):
    """The model."""

    hidden_size: int = Field(128, ge=1, le=10**6, description="Features of the state of a layer, each direction's.")
    bidirectional: bool = Field(True, description="Read each sentence in both directions.")
    embedding_size: int = Field(100, ge=1, le=10**6, description="Features of the vector of a word.")
    subwords: int = Field(
        20_000,
        ge=0,
        le=10**8,
        description="Vectors for pieces of words, of a few letters (0 = whole words only).",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout of the input, between layers and before the output.")
    word_dropout: float = Field(
        0.05, ge=0, lt=1, description="Share of words that are read as unknown ones in training."
    )
    crf: bool = Field(False, description="Score whole sequences of tags, by a conditional random field.")
    intent: bool = Field(True, description="Learn the label of a sentence too, where the data have one.")
    intent_weight: float = Field(0.3, ge=0, le=1e6, description="Of the label's loss, beside that of a tag.")


class LearningOptions(TrainingOptions):
    """How to train."""

    learning_rate: float = Field(0.004, gt=0, le=1e30, description="The highest learning rate.")
    averaging: float = Field(
        0.998,
        ge=0,
        lt=1,
        description="Evaluate and keep a moving average of the weights, with this decay a step (0 = the weights "
        "themselves).",
    )


class TagOptions(shared.TaskOptions):
    """All options of ``unrolled train tag``."""

    data: DataOptions = DataOptions()
    model: ModelOptions = ModelOptions()
    training: LearningOptions = LearningOptions()


class PredictOptions(Options):
    """How a file to tag is read, and how its tags are written."""

    format: Literal["auto", "conll", "jsonl", "parallel", "text"] = Field(
        "auto", description="Of the input: by its name, else lines of text."
    )
    token_column: int = Field(1, ge=-1000, le=1000, description="Of CoNLL rows, from 1, or from -1 at the end.")
    split: Literal["words", "spaces"] = Field(
        "words", description="Tokens of a line of text: at spaces with marks apart from words, or at spaces only."
    )
    write: Literal["auto", "colors", "inline", "conll", "jsonl"] = Field(
        "auto", description="Colours on a terminal, else word/TAG; or as named."
    )
