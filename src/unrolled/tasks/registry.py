"""Every task as the command line knows it: its options, what it reads, its help texts. Torch is not imported."""

from .classify.options import COMMAND as CLASSIFY
from .command import Command
from .forecast.options import COMMAND as FORECAST
from .tag.options import COMMAND as TAG
from .text.options import COMMAND as TEXT
from .translate.options import COMMAND as TRANSLATE

COMMANDS = {command.name: command for command in (TEXT, CLASSIFY, TAG, TRANSLATE, FORECAST)}

__all__ = ["COMMANDS", "Command"]
