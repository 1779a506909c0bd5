"""Dates and times, given in words as people say them, and written as numbers: something to learn without any data."""

import random

from .pairs import Pair

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SMALL = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
          "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty")
_NTH = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
        "twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth"}  # fmt: skip


def dates(count: int, seed: int = 0) -> list[Pair]:
    """So many dates, all different; the same for the same seed.

    Example:
        >>> pair = dates(1)[0]
        >>> len(pair.source.split()) > 4, len(pair.target.split()) in (10, 15)
        (True, True)
    """
    chance = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        source, target = _date(chance)
        found.setdefault(source, target)
    return [Pair(*pair, f"date {number}") for number, pair in enumerate(found.items(), 1)]


def _date(chance: random.Random) -> tuple[str, str]:
    day, month, year = chance.randint(1, 28), chance.randint(1, 12), chance.randint(1910, 2019)
    said, name, of = _nth(day), _MONTHS[month - 1], _year(year)
    source = chance.choice((f"the {said} of {name} {of}", f"{name} the {said} {of}", f"{name} {said} , {of}"))
    if chance.random() < 0.3:
        source = f"{chance.choice(_DAYS)} , {source}"
    target = f"{year}-{month:02}-{day:02}"
    if chance.random() < 0.5:
        time, clock = _time(chance)
        source = f"{source} at {time}" if chance.random() < 0.5 else f"at {time} on {source}"
        target = f"{target} {clock}"
    return source, " ".join(target.replace(" ", ""))


def _time(chance: random.Random) -> tuple[str, str]:
    hour, quarter = chance.randint(1, 11), chance.randrange(4)
    said = ("{0} o'clock", "a quarter past {0}", "half past {0}", "a quarter to {1}")[quarter]
    part, later = chance.choice((("in the morning", 0), ("in the evening", 12)))
    words = said.format(_SMALL[hour], _SMALL[hour + 1])
    return f"{words} {part}", f"{hour + later:02}:{15 * quarter:02}"


def _number(value: int) -> str:
    if value < len(_SMALL):
        return _SMALL[value]
    return f"{_TENS[value // 10]} {_SMALL[value % 10]}".strip()


def _nth(value: int) -> str:
    *first, last = _number(value).split()
    return " ".join([*first, _NTH.get(last, f"{last}th")])


def _year(year: int) -> str:
    century, rest = divmod(year, 100)
    if century == 20:
        return f"two thousand {_number(rest)}".strip() if rest < 10 else f"twenty {_number(rest)}"
    if not rest:
        return f"{_number(century)} hundred"
    tens = ("sixty", "seventy", "eighty", "ninety")
    said = (
        f"oh {_SMALL[rest]}"
        if rest < 10
        else _number(rest)
        if rest < 60
        else (f"{tens[rest // 10 - 6]} {_SMALL[rest % 10]}".strip())
    )
    return f"{_number(century)} {said}"
