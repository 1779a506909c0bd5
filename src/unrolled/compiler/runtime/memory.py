"""Blocks of memory that are used again once nobody holds them.

Fresh memory costs a page fault every 4 KB, about as much as a kernel takes to fill it, and goes back to the system when
it is freed. What a sequence keeps for its way back, and what a kernel needs while it runs, lies in blocks that stay.
"""

import sys
from threading import Lock

import numpy as np
import torch
from torch import Tensor

LIMIT = 1 << 28
"""Blocks of so many bytes together are kept, and
"""
MOST = 64
"""of such a number."""


class Memory:
    """Blocks, the last used at the end.

    Args:
        limit: no more bytes than this are kept.
    """

    def __init__(self, limit: int = LIMIT):
        self.limit = limit
        self.blocks: list[np.ndarray] = []
        self.lock = Lock()

    def take(self, size: int) -> Tensor:
        """So many bytes from a multiple of 64 on, with anything in them; they are free again when the tensor, and
        every tensor made of it, is gone.
        """
        with self.lock:
            block = self._free(size)
            if block is None:
                raw = np.empty(size + 64, np.uint8)
                start = -raw.ctypes.data % 64
                block = raw[start : start + size]
                self._keep(block)
            taken = torch.from_numpy(block)
        return taken if block.nbytes == size else taken[:size]

    def held(self) -> int:
        """Bytes of the blocks that somebody holds."""
        with self.lock:
            return sum(
                self.blocks[place].nbytes
                for place in range(len(self.blocks))
                if sys.getrefcount(self.blocks[place]) > 2
            )

    def _free(self, size: int) -> np.ndarray | None:
        for place in range(len(self.blocks) - 1, -1, -1):
            block = self.blocks[place]
            # held by the list, by this variable and by the call: by nobody else
            if size <= block.nbytes <= size + size // 4 + 4096 and sys.getrefcount(block) == 3:
                self.blocks.append(self.blocks.pop(place))
                return block
        return None

    def _keep(self, block: np.ndarray) -> None:
        """Add a block; the longest unused are forgotten, and freed when nobody holds them."""
        if block.nbytes > self.limit:
            return
        self.blocks.append(block)
        while len(self.blocks) > MOST or sum(other.nbytes for other in self.blocks) > self.limit:
            del self.blocks[0]


MEMORY = Memory()
