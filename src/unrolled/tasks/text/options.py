"""The options of the text task: one definition, for Python, the command line and config.json."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ...training.options import Options, tuned
from .. import options as shared
from ..command import Command


class DataOptions(shared.DataOptions):
    """How the text is cut into what a step learns from."""

    tokenizer: Literal["characters", "bytes", "bpe", "words"] = Field("characters", description="What a token is.")
    vocabulary_size: int | None = Field(
        None,
        ge=3,
        le=10**6,
        description="Number of tokens: of bpe (default: 1024), or of words, the most frequent (default: all).",
    )
    validation: str | None = Field(
        None, min_length=1, description="A file or folder of text for validation, in place of --validation-share."
    )
    validation_share: float = Field(
        0.1, gt=0, lt=1, description="Share of the text, from its end, that is held out for validation."
    )
    window: int = Field(
        64, ge=1, le=10**6, description="Steps of truncated BPTT; the state is carried from window to window."
    )
    batch_size: int = Field(64, ge=1, le=10**6, description="Places of the text that are read side by side.")

    @field_validator("vocabulary_size")
    @classmethod
    def _fits_bpe(cls, size: int | None, info: ValidationInfo) -> int | None:
        if size is not None and info.data.get("tokenizer") == "bpe" and not 257 <= size <= 65536:
            raise PydanticCustomError("vocabulary_size", "expected 257 to 65536 with bpe, which begins with 256 bytes")
        return size


class ModelOptions(shared.ModelOptions):
    """The language model."""

    hidden_size: shared.HiddenSize = Field(256, **tuned(choices=[128, 256, 384]))
    embedding_size: int = Field(64, ge=1, le=10**6, description="Features of the vector of a token.")
    initialization: Literal["default", "uniform"] = Field(
        "default", description="How the weights begin: each layer's own way, or all from -range to range."
    )
    initialization_range: float = Field(
        0.1, gt=0, le=1e6, description="Largest weight at the beginning, of initialization uniform only."
    )
    dropout: shared.Dropout = Field(
        0.1, description="Dropout of embedding, between layers and before the output.", **tuned(low=0.0, high=0.4)
    )
    variational_dropout: bool = Field(False, description="One mask of dropout for all steps of a window.")
    tie_weights: bool = Field(False, description="Let the output layer share the weights of the embedding.")


class TextOptions(shared.TaskOptions):
    """All options of ``unrolled train text``."""

    data: DataOptions = DataOptions()
    model: ModelOptions = ModelOptions()


class SamplingOptions(Options):
    """How the next token is chosen."""

    length: int = Field(500, ge=1, le=10**12, description="Characters to write.")
    temperature: float = Field(0.8, ge=0, description="Below 1: safer, above: wilder; 0 = always the likeliest.")
    top_k: int = Field(0, ge=0, le=10**6, description="Choose among the k likeliest tokens only; 0 = all.")
    top_p: float = Field(1.0, gt=0, le=1, description="Choose among the likeliest tokens that hold this share.")
    repetition_penalty: float = Field(
        1.0, ge=0.01, le=100, description="Above 1: tokens among the last 64 become less likely."
    )
    seed: int | None = Field(
        None, ge=0, lt=2**63, description="The same seed writes the same text (default: by chance)."
    )


COMMAND = Command(
    name="text",
    options=TextOptions,
    summary="A language model of any text, which can write more of it.",
    data="Files and folders of UTF-8 text; none: the source of Python's standard library.",
    help="""Train a language model on any text.

    With no path it learns from modules of Python's own standard library.
    The run folder holds the options, figures, weights, and a plot of the loss.

    Examples:
    unrolled train text

    unrolled train text book.txt --minutes 10 --hidden-size 384 --output runs/book

    unrolled train text src/ --tokenizer bpe --cell gru --layers 2

    unrolled train text book.txt --cell my_cell.py:MyCell

    unrolled train text --resume runs/book
    """,
    predicting=SamplingOptions,
    inputs="Files of text, each a prompt to go on from.",
)
