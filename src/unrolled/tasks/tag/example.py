"""Requests that a small grammar makes, with slots and intents: something to learn without any data."""

import random
import re
from collections.abc import Sequence

from .sentences import Sentence
from .spans import write_spans

# A part in [square brackets] may be left out; {kind:name} is something of that kind, and a span of that name.
_REQUESTS = {
    "flight": (
        "[please] show me [the] flights from {city:from} to {city:to} [on {day:day}]",
        "i need a flight to {city:to} from {city:from} {part:time} [{day:day}]",
        "is there a {airline:airline} flight from {city:from} to {city:to} before {hour:time}",
        "which {airline:airline} flights leave {city:from} on {day:day} after {hour:time}",
        "[please] book {count:people} seats from {city:from} to {city:to} via {city:stop}",
    ),
    "fare": (
        "how much is a flight from {city:from} to {city:to} [with {airline:airline}]",
        "what is the cheapest fare to {city:to} from {city:from} on {day:day}",
        "[show me] fares from {city:from} to {city:to} under {price:price}",
    ),
    "restaurant": (
        "[please] book a table for {count:people} at {place:place} {day:day} [at {hour:time}]",
        "find [me] a {food:food} restaurant in {city:city} for {count:people}",
        "is there a good {food:food} place in {city:city} [under {price:price}]",
        "i want to eat {food:food} food {part:time} [in {city:city}]",
        "reserve {place:place} for {day:day} at {hour:time} for {count:people}",
    ),
    "weather": (
        "what will the weather be [like] in {city:city} [on {day:day}]",
        "will it {sky:weather} in {city:city} {part:time}",
        "does it {sky:weather} {day:day} in {city:city} [or not]",
    ),
    "music": (
        "play [the song] {song:song} by {artist:artist}",
        "[please] play something by {artist:artist}",
        "put {song:song} on my {mood:playlist} list",
        "i want to hear {mood:playlist} music {part:time}",
    ),
    "alarm": (
        "wake me [up] at {hour:time} [on {day:day}]",
        "set an alarm for {hour:time} {day:day}",
        "cancel my alarm {part:time}",
    ),
}
_FIRST = ("north", "new", "port", "saint", "lake", "old", "east", "mount")
_BEGIN = ("wil", "har", "ash", "bram", "kes", "lin", "mor", "stan", "thorn", "wes", "bel", "clay", "dun", "elm", "fair")
_END = ("ton", "ford", "bury", "field", "ham", "wick", "mouth", "brook", "stead", "worth", "dale", "port")
_NAMES = ("anna", "omar", "lena", "hugo", "ines", "paul", "rosa", "ivan", "mia", "noah", "sara", "tom")
_THINGS = ("river", "moon", "garden", "train", "winter", "candle", "shadow", "harbor", "silver", "window", "thunder")
_HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
_FIXED: dict[str, Sequence[str]] = {
    "day": (
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "tomorrow", "next monday",
        "the third of may", "this weekend", "next friday", "the tenth of june",
    ),
    "part": ("tonight", "tomorrow morning", "this evening", "in the afternoon", "at night", "early in the morning"),
    "airline": ("blue wing", "northern air", "aerolind", "pan pacific", "sun jet", "delmar"),
    "food": ("thai", "italian", "french", "mexican", "sea food", "vegan", "north indian", "korean", "greek"),
    "sky": ("rain", "snow", "freeze", "rain hard", "clear up", "hail", "snow all day"),
    "mood": ("jazz", "slow", "dance", "rock and roll", "morning", "party", "classical"),
    "count": ("two", "three", "four", "five", "six", "ten", "two adults", "three people"),
}  # fmt: skip
_PART = re.compile(r"\{(\w+):(\w+)\}")
_OPTIONAL = re.compile(r"\[([^]]*)\] ?")


def requests(count: int, seed: int = 0) -> list[Sentence]:
    """So many requests, each with its slots as tags and its intent as label; the same for the same seed.

    Example:
        >>> request = requests(1)[0]
        >>> len(request.tokens) == len(request.tags), request.label in ("flight", "fare", "restaurant", "weather")
        (True, True)
    """
    chance = random.Random(seed)
    kinds = list(_REQUESTS)
    return [_request(chance.choice(kinds), chance, f"request {number}") for number in range(1, count + 1)]


def _request(label: str, chance: random.Random, where: str) -> Sentence:
    pattern = _OPTIONAL.sub(
        lambda match: f"{match[1]} " if chance.random() < 0.5 else "", chance.choice(_REQUESTS[label])
    )
    tokens: list[str] = []
    found = []
    for piece in pattern.split():
        match = _PART.fullmatch(piece)
        words = _something(match[1], chance).split() if match else [piece]
        if match:
            found.append((len(tokens), len(tokens) + len(words), match[2]))
        tokens += words
    return Sentence(tokens, write_spans(found, len(tokens), "iob2"), label, where)


def _something(kind: str, chance: random.Random) -> str:
    if kind in _FIXED:
        return chance.choice(_FIXED[kind])
    if kind == "city":
        return _maybe(f"{chance.choice(_FIRST)} ", 0.3, chance) + _town(chance)
    if kind == "place":
        return chance.choice(
            (f"the {chance.choice(_THINGS)}", f"{chance.choice(_NAMES)} 's kitchen", "la " + _town(chance))
        )
    if kind == "artist":
        return chance.choice((f"{chance.choice(_NAMES)} {_town(chance)}", f"the {chance.choice(_THINGS)}s"))
    if kind == "song":
        return chance.choice((f"{chance.choice(_THINGS)} of {_town(chance)}", " ".join(chance.sample(_THINGS, 2))))
    if kind == "price":
        return f"{chance.randrange(20, 900, 5)} dollars"
    return chance.choice(
        (f"{chance.choice(_HOURS)} {chance.choice(('am', 'pm'))}", f"{chance.randrange(1, 12)} o'clock")
    )


def _town(chance: random.Random) -> str:
    return chance.choice(_BEGIN) + chance.choice(_END)


def _maybe(text: str, share: float, chance: random.Random) -> str:
    return text if chance.random() < share else ""
