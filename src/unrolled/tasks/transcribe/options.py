"""The options of the transcribe task: one definition, for Python, the command line and config.json."""

from typing import Literal

from pydantic import Field

from ...training.options import Averaging, LearningRate, Minutes, Options, TrainingOptions, WarmupSteps, tuned
from .. import options as shared
from ..command import Command

Units = Literal["characters", "words", "bpe"]
Style = Literal["auto", "text", "jsonl", "srt", "vtt", "ctm"]
AUDIO_COLUMN, TEXT_COLUMN = "audio", "text"


class DataOptions(shared.DataOptions):
    """Where the utterances are, and what the model is given of them."""

    audio_column: str = Field(
        AUDIO_COLUMN, min_length=1, description="Of a manifest: paths of recordings, or of features (.npy)."
    )
    text_column: str = Field(TEXT_COLUMN, min_length=1, description="Of a manifest: what is said.")
    group_column: str | None = Field(
        None,
        min_length=1,
        description="Of a manifest: the speaker, say. Those of held-out utterances are then not in the training data.",
    )
    units: Units = Field("characters", description="What the model writes.", **tuned(choices=["characters"]))
    units_size: int = Field(500, ge=257, le=10**6, description="Different units, of bpe only.")
    lower: bool = Field(False, description="Turn the texts into small letters.")
    sample_rate: int | None = Field(
        None,
        ge=1000,
        le=192_000,
        description="Samples a second, to which recordings are brought (default: those of the first, at most 16000).",
    )
    bins: int = Field(40, ge=1, le=512, description="Mel bands.", **tuned(choices=[40, 60, 80]))
    window: float = Field(25.0, gt=0, le=1000, description="Milliseconds of a frame.")
    hop: float = Field(10.0, gt=0, le=1000, description="Milliseconds from frame to frame, of prepared features too.")
    deltas: int = Field(
        0, ge=0, le=3, description="Order of the changes over time that are further features.", **tuned(low=0, high=2)
    )
    longest: float = Field(60.0, gt=0, le=10**5, description="Seconds that an utterance may have.")
    ngram_order: int = Field(5, ge=1, le=20, description="Units that the n-gram model for beam search looks at.")
    word_ngram_order: int = Field(3, ge=1, le=20, description="Words that the n-gram model for --lexicon looks at.")
    batch_size: shared.BatchSize = 16


class ModelOptions(shared.ModelOptions):
    """The model."""

    layers: int = Field(2, ge=1, le=1000, description="Recurrent layers.", **tuned(low=2, high=4))
    streaming: bool = Field(
        False, description="Read forward in time only: words come while a recording is still being heard."
    )
    subsampling: int = Field(
        2, ge=1, le=100, description="Neighbouring frames that are joined to one step.", **tuned(low=1, high=4)
    )
    normalisation: Literal["utterance", "global"] | None = Field(
        None,
        description="Features have mean 0 and deviation 1 in each utterance, or in the training data as a whole "
        "(default: utterance; with --streaming global).",
    )
    dropout: shared.Dropout = Field(0.2, **tuned(low=0.0, high=0.5))


class LearningOptions(TrainingOptions):
    """How to train."""

    minutes: Minutes = 2.0
    learning_rate: LearningRate = 0.006
    warmup_steps: WarmupSteps = 300
    averaging: Averaging = 0.98
    stretch: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Largest change of speed, 0.1 = a tenth faster or slower.",
        **tuned(low=0, high=0.3),
    )
    warp: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Largest change of the frequencies, as of a longer or shorter vocal tract (default: 0.1 of "
        "recordings; 0 of prepared features, which need not be bands).",
    )
    mask_time: float = Field(
        0.0, ge=0, lt=1, description="Largest share of the frames that a mask hides.", **tuned(low=0, high=0.2)
    )
    mask_features: float = Field(
        0.2, ge=0, lt=1, description="Largest share of the features that a mask hides.", **tuned(low=0, high=0.4)
    )
    mask_count: int = Field(2, ge=1, le=100, description="Masks of each sort, where there are any.")
    noise: float = Field(
        0.0, ge=0, le=10, description="Deviation of noise, where that of the features is 1.", **tuned(low=0, high=0.6)
    )


class TranscribeOptions(shared.TaskOptions):
    """All options of ``unrolled train transcribe``."""

    data: DataOptions = DataOptions()
    model: ModelOptions = ModelOptions()
    training: LearningOptions = LearningOptions()


class DecodingOptions(Options):
    """How a text is found."""

    decoding: Literal["greedy", "beam"] = Field(
        "greedy", description="The likeliest unit at each step, or the likeliest text by a beam search."
    )
    beam_size: int = Field(16, ge=1, le=10_000, description="Beginnings that a beam search keeps.")
    ngram_weight: float = Field(
        0.5, ge=0, le=100, description="Of the n-gram model of the training texts, in a beam search (0 = without it)."
    )
    lexicon: bool = Field(
        False, description="In a beam search write only words of the training texts, by an n-gram model of words."
    )
    longest: float | None = Field(
        None, gt=0, le=10**5, description="Seconds that a recording may have (default: as in training)."
    )
    word_bonus: float = Field(
        0.0, ge=-100, le=100, description="Added to the score of a text for each word, with --lexicon only."
    )


class EvaluateOptions(DecodingOptions):
    """How texts are found, and how a manifest is read where it is not like that of the training."""

    audio_column: str | None = Field(
        None, min_length=1, description="Of a manifest: paths of recordings (default: as in training)."
    )
    text_column: str | None = Field(
        None, min_length=1, description="Of a manifest: what is said (default: as in training)."
    )


class PredictOptions(DecodingOptions):
    """What is transcribed, and how it is written."""

    audio_column: str | None = Field(
        None, min_length=1, description="Of a manifest: paths of recordings (default: as in training)."
    )
    times: bool = Field(False, description="Write when each word begins and ends.")
    raw_rate: int | None = Field(
        None,
        ge=1000,
        le=192_000,
        description="Read raw samples from standard input, 16 bit little-endian, so many a second.",
    )
    style: Style = Field("auto", description="Of the output: by the name of --output, else text.")
    output: str | None = Field(
        None, min_length=1, description="Write to this file; .jsonl, .srt, .vtt, .ctm or .txt tell the style."
    )


COMMAND = Command(
    name="transcribe",
    options=TranscribeOptions,
    summary="What is said in a recording, as text, with the time of each word.",
    data="A manifest (CSV, TSV, JSONL) of recordings and texts, a folder with a .txt beside each recording, or "
    "features (.npz); none: Morse code that is made.",
    help="""Train a recogniser: from recordings, or features of them, to text.

    A manifest has a column of paths, relative to its own folder, and one of texts.
    Recordings are WAV, FLAC, OGG or MP3 of any rate. With no path it learns to read
    Morse code of any speed and pitch in noise, in a minute or two.

    Examples:
    unrolled train transcribe

    unrolled train transcribe train.tsv --validation dev.tsv --minutes 30

    unrolled train transcribe recordings/ --lower --output runs/speech

    unrolled train transcribe features.npz --streaming
    """,
    predicting=PredictOptions,
    evaluating=EvaluateOptions,
    verb="transcribe",
    verb_help="""Transcribe recordings with a trained model.

    Recordings are named, or stand in a manifest, or raw samples come from standard
    input. Each text is written when it is known; that of a model for streams word
    by word while the recording is read.

    Examples:
    unrolled transcribe runs/speech a.wav b.flac

    unrolled transcribe runs/speech talk.wav --times --output talk.srt

    arecord -t raw -f S16_LE -r 16000 | unrolled transcribe runs/speech --raw-rate 16000
    """,
    inputs="Recordings, manifests, folders, or features (.npy, .npz).",
)
