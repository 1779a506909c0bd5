"""Translations as people and programs read them: lines of text, objects in JSON, or with where the model looked."""

import json
from typing import Literal, TextIO

from .translating import Translation

Style = Literal["text", "jsonl", "attention"]
_SHADES = " ░▒▓█"


class Writer:
    """Writes translations line by line.

    Args:
        file: where to.
        style: text: a line each, with ``n_best`` above 1 so many of row, score and text with tabs between them; jsonl:
            objects; attention: a small picture of where the model looked.
        n_best: translations of a line that were asked for.
    """

    def __init__(self, file: TextIO, style: Style, n_best: int = 1):
        self.file, self.style, self.n_best = file, style, n_best
        self.row = 0

    def write(self, source: str, found: list[Translation]) -> None:
        """The translations of one line, best first."""
        self.row += 1
        if self.style == "jsonl":
            text = as_json(source, found, self.n_best > 1)
        elif self.style == "attention":
            text = "".join(f"{picture(one)}\n" for one in found)
        elif self.n_best > 1:
            text = "".join(f"{self.row}\t{one.score:.4f}\t{flat(one.text)}\n" for one in found)
        else:
            text = f"{flat(found[0].text)}\n"
        self.file.write(text)
        self.file.flush()  # a line is there as soon as it is ready


def as_json(source: str, found: list[Translation], several: bool) -> str:
    """An object with source, translation and score; of several translations also all of them."""
    record: dict[str, object] = {"source": source, "translation": found[0].text, "score": round(found[0].score, 6)}
    if several:
        record["n_best"] = [{"translation": one.text, "score": round(one.score, 6)} for one in found]
    return json.dumps(record, ensure_ascii=False) + "\n"


def picture(found: Translation) -> str:
    """A row for each token, and in it for each token of the source the darker a block the more it was looked at.

    Example:
        >>> import torch
        >>> from unrolled.tasks.translate.translating import Translation
        >>> looked = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
        >>> print(picture(Translation("a man", 0.0, ["a", "man"], ["ein", "mann"], looked)))
             ein mann
        a    ███
        man  ░░░ ▓▓▓▓
    """
    if found.attention is None or not found.pieces:
        return flat(found.text)
    names = [flat(piece) or "_" for piece in found.source]
    width = max(map(len, found.pieces))
    lines = [f"{'':{width}}  {' '.join(names)}"]
    for piece, weights in zip(found.pieces, found.attention.tolist(), strict=True):
        shades = [_SHADES[round(weight * (len(_SHADES) - 1))] for weight in weights]
        blocks = " ".join(shade * len(name) for shade, name in zip(shades, names, strict=True))
        lines.append(f"{flat(piece):{width}}  {blocks}".rstrip())
    return "\n".join(lines)


def flat(text: str) -> str:
    """A text without characters that would end its line."""
    return " ".join(text.splitlines())
