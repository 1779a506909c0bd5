"""The options of the classification task: one definition, for Python, the command line and config.json."""

from typing import Literal

from pydantic import Field

from ...training.options import Options, TrainingOptions

FORMATS = ("auto", "table", "labelled-lines", "folder", "manifest", "long", "npz", "ts")
KINDS = ("text", "series", "audio")


class DataOptions(Options):
    """Where the examples are, and how a sequence is made of each."""

    format: Literal["auto", "table", "labelled-lines", "folder", "manifest", "long", "npz", "ts"] = Field(
        "auto", description="How examples and labels are stored; docs/classify.md has all."
    )
    encoding: str = Field("utf-8", min_length=1, description="Of text files; such as latin-1.")
    text: str = Field("text", min_length=1, description="The column of the text, of a table.")
    label: str = Field("label", min_length=1, description="The column of the label.")
    sequence: str = Field(
        "id", min_length=1, description="The column that names the sequence of a row, of format long."
    )
    time: str = Field("time", min_length=1, description="The column that orders the rows, of format long.")
    label_pattern: str | None = Field(
        None, min_length=1, description="Where file names have the label, as in {label}_{speaker}_{index}."
    )
    validation: str | None = Field(
        None, min_length=1, description="A file or folder for validation, in place of --validation-share."
    )
    validation_share: float = Field(0.1, gt=0, lt=1, description="Share of each class that is held out for validation.")
    batch_size: int = Field(32, ge=1, le=10**6, description="Sequences that a step reads side by side.")
    longest: int = Field(
        2000, ge=1, le=10**6, description="Words or steps of an example that are read, the first ones."
    )
    vocabulary_size: int | None = Field(
        None, ge=3, le=10**7, description="Words that are known, the most frequent (default: all)."
    )
    case: bool = Field(False, description="Tell capital letters from small ones.")
    sample_rate: int | None = Field(
        None, ge=1000, le=384000, description="Of recordings, in Hz (default: the lowest of the training files)."
    )
    bands: int = Field(40, ge=1, le=256, description="Log-mel bands of a recording.")
    deltas: int = Field(1, ge=0, le=2, description="Changes over time beside the bands: none, first, second order.")


class AugmentOptions(Options):
    """Training sequences that are a little different each time."""

    word_dropout: float = Field(0.1, ge=0, lt=1, description="Probability of reading a word as unknown.")
    noise: float = Field(0.0, ge=0, le=10, description="Standard deviation of noise, of that of a feature.")
    scale: float = Field(0.0, ge=0, le=2, description="Standard deviation of the logarithm of a sequence's factor.")
    offset: float = Field(0.0, ge=0, le=10, description="Standard deviation of what is added to a whole sequence.")
    stretch: float = Field(0.0, ge=0, le=1, description="Largest change of speed, 0.1 = a tenth faster or slower.")
    crop: float = Field(0.0, ge=0, lt=1, description="Largest share that is cut off at the ends.")
    roll: float = Field(0.0, ge=0, le=1, description="Largest share by which a sequence is rotated in time.")
    mask_time: float = Field(0.0, ge=0, lt=1, description="Largest share of the steps that a mask hides.")
    mask_features: float = Field(0.0, ge=0, lt=1, description="Largest share of the features that a mask hides.")
    mask_count: int = Field(2, ge=1, le=100, description="Masks of each sort, where there are any.")


class ModelOptions(Options):
    """The network."""

    cell: str = Field(
        "lstm", description="elman, general, gru, jordan, lstm, output-feedback, rnn, or path.py:ClassName."
    )
    layers: int = Field(1, ge=1, le=1000, description="Recurrent layers.")
    hidden_size: int = Field(64, ge=1, le=10**6, description="Features of the state of a layer.")
    bidirectional: bool = Field(True, description="Run each layer in both directions.")
    pooling: Literal["last", "mean", "max", "attention"] = Field(
        "mean", description="How one vector is made of all steps."
    )
    embedding_size: int = Field(128, ge=1, le=10**6, description="Features of the vector of a word.")
    subwords: int = Field(
        20_000, ge=0, le=10**8, description="Vectors for parts of words, shared by hashing; 0 = whole words only."
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout of the input, between layers and before the output.")
    residual: bool = Field(False, description="Add a layer's input to its output where the sizes agree.")
    ensemble: int = Field(
        1, ge=1, le=100, description="Networks that learn side by side, their probabilities averaged."
    )


class ClassifyTraining(TrainingOptions):
    """How to train."""

    learning_rate: float = Field(0.002, gt=0, le=1e30, description="The highest learning rate.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target that all classes have alike.")


class ClassifyOptions(Options):
    """All options of ``unrolled train classify``."""

    data: DataOptions = DataOptions()
    augment: AugmentOptions = AugmentOptions()
    model: ModelOptions = ModelOptions()
    training: ClassifyTraining = ClassifyTraining()
