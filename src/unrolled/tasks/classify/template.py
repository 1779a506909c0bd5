"""Labels in file names: a plain template such as ``{label}_{speaker}_{index}``."""

import re

from ...core import InputError


class Template:
    """What names look like: text, and parts in braces, each of which stands for any characters but those after it.

    A part ends where the text after it first occurs; the last part takes all that is left. The name is taken without
    its ending (``.wav``).

    Args:
        text: such as ``{label}_{speaker}_{index}``; one part must be ``{label}``.

    Raises:
        InputError: it is not of this form.

    Example:
        >>> Template("{label}_{speaker}_{index}").label("7_jackson_32")
        '7'
        >>> Template("{label}_{speaker}_{index}").label("noise") is None
        True
    """

    def __init__(self, text: str):
        self.text = text
        pieces = re.split(r"\{(\w*)\}", text)  # text and names of parts in turn
        self._texts, self._names = pieces[::2], pieces[1::2]
        if self._names.count("label") != 1:
            raise InputError(
                f"--label-pattern: expected {{label}} in it once, as in '{{label}}_{{index}}', got {text!r}."
            )
        if any("{" in piece or "}" in piece for piece in self._texts):
            raise InputError(f"--label-pattern: expected each {{ with its }} and a name between them, got {text!r}.")
        if "" in self._texts[1:-1]:
            raise InputError(f"--label-pattern: expected some text between two parts in braces, got {text!r}.")

    def label(self, name: str) -> str | None:
        """The label in a name; None where the name does not fit."""
        if not name.startswith(self._texts[0]):
            return None
        rest, found = name[len(self._texts[0]) :], ""
        for position, (part, after) in enumerate(zip(self._names, self._texts[1:], strict=True)):
            if position == len(self._names) - 1:
                if not rest.endswith(after):
                    return None
                value, rest = rest[: len(rest) - len(after)], ""
            else:
                value, separator, rest = rest.partition(after)
                if not separator:
                    return None
            if part == "label":
                found = value
        return found or None
