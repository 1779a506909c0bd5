"""A step drawn folded, as a loop, beside the same unfolded over time: for a terminal, as SVG and as Mermaid."""

from .mermaid import mermaid
from .scene import Network, network
from .svg import svg
from .terminal import terminal

__all__ = ["Network", "mermaid", "network", "svg", "terminal"]
