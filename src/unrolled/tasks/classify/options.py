"""The options of the classification task: one definition, for Python, the command line and config.json."""

from typing import Literal

from pydantic import Field

from ...training.options import Averaging, LearningRate, Minutes, Options, TrainingOptions, tuned
from .. import options as shared
from ..command import Command


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
    adversarial: float = Field(
        0.0,
        ge=0,
        le=10,
        description="Size of the worst small change of the input, of that of the input itself, with which each "
        "sequence is learnt too; 0.1 helps where examples are few, and takes twice the time.",
    )
    mixup: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Mix sequences by two before the last layer, with shares from Beta(mixup, mixup); 0.5 to 1 helps "
        "where examples are few.",
    )
    mask_count: int = Field(2, ge=1, le=100, description="Masks of each sort, where there are any.")


class DataOptions(shared.DataOptions):
    """Where the examples are, and how a sequence is made of each."""

    format: Literal["auto", "table", "labelled-lines", "folder", "manifest", "long", "npz", "ts"] = Field(
        "auto", description="How examples and labels are stored; docs/classify.md describes each."
    )
    text: str = Field("text", min_length=1, description="The column of the text, in a table.")
    label: str = Field("label", min_length=1, description="The column of the label.")
    sequence: str = Field("id", min_length=1, description="The column that says which sequence a row is of.")
    time: str = Field("time", min_length=1, description="The column that orders the rows of a sequence.")
    label_pattern: str | None = Field(
        None, min_length=1, description="Where file names have the label, as in {label}_{speaker}_{index}."
    )
    validation_share: float = Field(0.1, gt=0, lt=1, description="Share of each class that is held out for validation.")
    batch_size: shared.BatchSize = Field(32, **tuned(choices=[16, 32, 64]))
    longest: int = Field(
        2000, ge=1, le=10**6, description="Words or steps that are read of an example, the first ones."
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


class ModelOptions(shared.ModelOptions):
    """The network."""

    hidden_size: shared.HiddenSize = Field(64, **tuned(choices=[32, 64, 128, 192]))
    bidirectional: bool = Field(True, description="Run each layer in both directions.")
    pooling: Literal["last", "mean", "max", "attention"] = Field(
        "max",
        description="How one vector is made of all steps.",
        **tuned(choices=["last", "mean", "max", "attention"]),
    )
    embedding_size: int = Field(128, ge=1, le=10**6, description="Features of the vector of a word.")
    subwords: int = Field(
        20_000, ge=0, le=10**8, description="Vectors for parts of words, shared by hashing; 0 = whole words only."
    )
    dropout: shared.Dropout = Field(0.3, **tuned(low=0.0, high=0.7))
    ensemble: int = Field(
        1, ge=1, le=100, description="Networks that learn side by side, their probabilities averaged."
    )


class ClassifyTraining(TrainingOptions):
    """How to train."""

    minutes: Minutes = 0.75
    learning_rate: LearningRate = Field(0.002, **tuned(low=3e-4, high=1e-2, log=True))
    averaging: Averaging = 0.99
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target that all classes have alike.")


class ClassifyOptions(shared.TaskOptions):
    """All options of ``unrolled train classify``."""

    data: DataOptions = DataOptions()
    model: ModelOptions = ModelOptions()
    training: ClassifyTraining = ClassifyTraining()
    augment: AugmentOptions = AugmentOptions()


class PredictOptions(Options):
    """What is predicted for, and how it is written."""

    format: Literal["auto", "table", "labelled-lines", "folder", "manifest", "long", "npz", "ts"] = Field(
        "auto", description="Of the input: by its name, else as in training."
    )
    write: Literal["auto", "table", "csv", "jsonl"] = Field(
        "auto", description="A table to look at, or CSV or JSONL (auto: by the name of --output, else a table)."
    )
    output: str | None = Field(None, min_length=1, description="The file to write (default: on the screen).")
    explain: bool = Field(False, description="Show which steps spoke for and against the predicted class.")
    plot: str | None = Field(
        None, min_length=1, description="With --explain: a picture of the first sequence, .svg, .png or .pdf."
    )


class EvaluateOptions(Options):
    """What else comes out of a measurement."""

    plot: str | None = Field(
        None, min_length=1, description="A picture of the confusion matrix to write, .svg, .png or .pdf."
    )


COMMAND = Command(
    name="classify",
    options=ClassifyOptions,
    summary="Say which class a text, a recording or a numeric sequence is of.",
    data="Tables, folders or arrays of labelled examples; none: scikit-learn's handwritten digits.",
    help="""Train a classifier of texts, recordings or numeric sequences.

    Texts: a CSV, TSV or JSONL file with the columns text and label.
    Recordings or texts: a folder with a sub-folder for each class, a folder
    with --label-pattern, or a CSV file with the columns path and label.
    Numeric sequences: .npz arrays x and y, .ts files, or a CSV file with the
    columns id, time, label and any features. With no path it learns
    handwritten digits, row by row. docs/classify.md has all.

    Examples:
    unrolled train classify

    unrolled train classify reviews.csv --minutes 5 --output runs/reviews

    unrolled train classify train.tsv --validation dev.tsv --label sentiment

    unrolled train classify spoken/ --label-pattern "{label}_{speaker}_{index}"

    unrolled train classify series.npz --cell gru --layers 2 --pooling last

    unrolled train classify --resume runs/reviews
    """,
    predicting=PredictOptions,
    evaluating=EvaluateOptions,
    verb="classify",
    verb_help="""Say which class each example is of, and with what probability.

    Examples:
    unrolled classify runs/reviews new.csv

    unrolled classify runs/reviews new.txt --explain

    unrolled classify runs/spoken a.wav b.wav --output labels.csv

    unrolled classify runs/curves new.npz --explain --plot why.svg
    """,
    inputs="Files as in training, labels not needed; a .txt file with a text on each line; recordings.",
)
