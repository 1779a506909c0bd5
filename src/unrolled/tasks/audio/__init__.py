"""Recordings as sequences: read whole or as they come, brought to one rate, turned into log-mel features."""

from .blocks import pcm_blocks
from .deltas import DeltaStream, with_deltas
from .files import AUDIO_SUFFIXES, audio_blocks, is_audio, read_audio, sample_rate_of
from .mel import LogMel, LogMelStream

__all__ = [
    "AUDIO_SUFFIXES",
    "DeltaStream",
    "LogMel",
    "LogMelStream",
    "audio_blocks",
    "is_audio",
    "pcm_blocks",
    "read_audio",
    "sample_rate_of",
    "with_deltas",
]
