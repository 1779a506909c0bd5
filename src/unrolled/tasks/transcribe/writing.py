"""Transcripts as people and programs read them: text, JSONL, subtitles, or NIST's CTM."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from .options import Style
from .transcripts import Transcript, Word

BY_SUFFIX: dict[str, Style] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".srt": "srt", ".vtt": "vtt", ".ctm": "ctm",
}  # fmt: skip
LONGEST_LINE, LONGEST_PAUSE = 42, 1.0  # characters and seconds of a subtitle


class Writer:
    """Writes transcripts one by one.

    Args:
        file: where to.
        style: how.
        titles: whether a text has the recording's name before it.
        times: whether a text has times.
    """

    def __init__(self, file: TextIO, style: Style, titles: bool, times: bool):
        self.file, self.style, self.titles, self.times = file, style, titles, times
        self.count = 0  # of subtitles
        if style == "vtt":
            file.write("WEBVTT\n\n")

    def write(self, transcript: Transcript) -> None:
        """One transcript."""
        self.file.write(self._written(transcript))
        self.file.flush()

    def write_words(self, title: str, words: Iterable[Word]) -> None:
        """One transcript as text, each word as it comes."""
        between = ""
        title = f"{title}\t" if self.titles else ""
        for word in words:
            if self.times:
                self.file.write(f"{title}{word_line(word)}")
            else:
                self.file.write(f"{between or title}{word.text}")
                between = " "
            self.file.flush()
        if not self.times:
            self.file.write("\n" if between else f"{title}\n")
            self.file.flush()

    def _written(self, transcript: Transcript) -> str:
        if self.style == "jsonl":
            return _jsonl(transcript, self.times)
        if self.style == "ctm":
            name = "_".join(Path(transcript.title).stem.split()) or "recording"
            return "".join(f"{name} 1 {w.start:.2f} {w.end - w.start:.2f} {w.text}\n" for w in transcript.words)
        if self.style in ("srt", "vtt"):
            return "".join(self._subtitle(line) for line in subtitles(transcript.words))
        title = f"{transcript.title}\t" if self.titles else ""
        if not self.times:
            return f"{title}{transcript.text}\n"
        return "".join(f"{title}{word_line(word)}" for word in transcript.words)

    def _subtitle(self, words: Sequence[Word]) -> str:
        self.count += 1
        mark = "," if self.style == "srt" else "."
        times = f"{_clock(words[0].start, mark)} --> {_clock(words[-1].end, mark)}"
        return f"{self.count}\n{times}\n{' '.join(word.text for word in words)}\n\n"


def word_line(word: Word) -> str:
    """A word with its times.

    Example:
        >>> word_line(Word("no", 1.0, 1.5)).split()
        ['1.00', '1.50', 'no']
    """
    return f"{word.start:.2f}\t{word.end:.2f}\t{word.text}\n"


def subtitles(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Words in lines of a length that can be read; a pause ends a line."""
    line: list[Word] = []
    for word in words:
        long = sum(len(other.text) + 1 for other in line) + len(word.text) > LONGEST_LINE
        if line and (long or word.start - line[-1].end > LONGEST_PAUSE):
            yield line
            line = []
        line.append(word)
    if line:
        yield line


def _jsonl(transcript: Transcript, times: bool) -> str:
    record: dict[str, object] = {"audio": transcript.title, "text": transcript.text}
    if times:
        record["words"] = [
            {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3)} for word in transcript.words
        ]
    return json.dumps(record, ensure_ascii=False) + "\n"


def _clock(seconds: float, mark: str) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}{mark}{whole % 1000:03}"
