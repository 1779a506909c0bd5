"""Tagged sentences as people and programs read them: in colours, word/TAG, CoNLL columns, or JSONL."""

import json
from typing import Literal, TextIO

from rich.console import Console
from rich.text import Text

from ...training.progress import printable
from .sentences import Sentence
from .spans import OUTSIDE, spans

Style = Literal["colors", "inline", "conll", "jsonl"]
_COLORS = ("cyan", "magenta", "yellow", "green", "blue", "red", "bright_cyan", "bright_magenta", "bright_yellow",
           "bright_green", "bright_blue", "bright_red")  # fmt: skip


class Writer:
    """Writes tagged sentences one by one.

    Args:
        file: where to.
        style: colors: spans in a colour for each type, with a legend at the end; inline: ``word/TAG``, and words
            outside of spans as they are; conll: token and tag in two columns; jsonl: objects.
    """

    def __init__(self, file: TextIO, style: Style):
        self.file, self.style = file, style
        self.colors: dict[str, str] = {}  # of each type that was written
        self.console = Console(file=file, highlight=False, soft_wrap=True) if style == "colors" else None

    def write(self, sentence: Sentence) -> None:
        """One sentence; an empty one is an empty line (in CoNLL it is left out)."""
        if self.console is not None:
            self.console.print(self._colored(sentence))
            return
        text = {"inline": inline, "conll": conll, "jsonl": as_json}[self.style](sentence)
        self.file.write(text)
        self.file.flush() if self.file.isatty() else None

    def end(self) -> None:
        """The legend, where there are colours."""
        if self.console is not None and self.colors:
            legend = Text("\n")
            for kind in sorted(self.colors):
                legend.append(f" {printable(kind) or 'span'} ", f"reverse {self.colors[kind]}").append(" ")
            self.console.print(legend)

    def _colored(self, sentence: Sentence) -> Text:
        text = Text()
        if sentence.label is not None:
            text.append(f"{printable(sentence.label)}: ", "bold")
        tags = sentence.tags or []
        words = [printable(token) for token in sentence.tokens]
        begins = {begin: (end, kind) for begin, end, kind in _marked(tags)}
        place = 0
        while place < len(words):
            end, kind = begins.get(place, (place + 1, None))
            piece = " ".join(words[place:end])
            text.append(piece, None if kind is None else f"reverse {self._color(kind)}")
            text.append(" ")
            place = end
        text.rstrip()
        return text

    def _color(self, kind: str) -> str:
        return self.colors.setdefault(kind, _COLORS[len(self.colors) % len(_COLORS)])


def _marked(tags: list[str]) -> list[tuple[int, int, str]]:
    """What is coloured: spans, or single tokens where tags are no spans."""
    found = spans(tags)
    if found or all(tag == OUTSIDE for tag in tags):
        return found
    return [(place, place + 1, tag) for place, tag in enumerate(tags) if tag != OUTSIDE]


def inline(sentence: Sentence) -> str:
    """``show/O`` without the O: show flights to boston/B-city."""
    pairs = zip(sentence.tokens, sentence.tags or [], strict=True)
    words = " ".join(_flat(token) if tag == OUTSIDE else f"{_flat(token)}/{tag}" for token, tag in pairs)
    return f"{words}\n" if sentence.label is None else f"{sentence.label}: {words}\n"


def conll(sentence: Sentence) -> str:
    """Rows of token and tag, with a tab between them, and an empty line."""
    rows = [f"{_flat(token)}\t{tag}\n" for token, tag in zip(sentence.tokens, sentence.tags or [], strict=True)]
    label = [] if sentence.label is None else [f"# intent = {sentence.label}\n"]
    return "".join([*label, *rows, "\n"]) if rows else ""


def as_json(sentence: Sentence) -> str:
    """An object with tokens, tags, and the intent if there is one."""
    record = {"tokens": sentence.tokens, "tags": sentence.tags or []}
    whole = record if sentence.label is None else {**record, "intent": sentence.label}
    return json.dumps(whole, ensure_ascii=False) + "\n"


def _flat(token: str) -> str:
    """A token of JSONL may hold white space that would end a column or a row."""
    return " ".join(token.split())
