"""Matrix products: with a weight that is packed once a call, or of each row's own matrices."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .index import Affine

Rows = Callable[[list[str], str, str, str], list[str]]
"""Writes a loop over rows: its body, what stands before it, the first row and the end."""


@dataclass(frozen=True)
class Pack:
    """A weight in the form in which products read it."""

    constant: int  # the value that is packed
    size: str  # bytes
    statement: str  # which packs a thread's share, with {packed}
    holds: str  # the expression that tells whether it still holds, with {packed}


@dataclass
class Packs:
    """The weights of a kernel, packed once a call and shared by its parts."""

    found: list[Pack] = field(default_factory=list)

    def place(self, pack: Pack) -> int:
        """The number of a packed weight, the same for the same weight."""
        if pack not in self.found:
            self.found.append(pack)
        return self.found.index(pack)


@dataclass(frozen=True)
class Operand:
    """A matrix, or one of ``g`` matrices, in an array: row and column are among the variables i, j, k."""

    array: str
    index: int  # of the value
    kind: str  # the C type of its elements
    at: Affine
    row_size: int  # elements of one row of the batch; 0: it has no rows
    row: str  # the variable that counts the rows of the array: "q" for a sequence of which r is not the row

    def start(self) -> str:
        """Its first element, in group ``g`` of row ``r``."""
        row = f" + {self.row} * {self.row_size}L" if self.row_size else ""
        return f"{self.array}{row} + {self.at.constant} + g * {self.at.coefficient('g')}L"

    def step(self) -> str:
        """Elements from one time step to the next."""
        return f"{'B' if self.row == 'q' else 'R'} * {self.row_size}L"


@dataclass(frozen=True)
class Product:
    """``groups`` products (m, k) times (k, n) for each row of the batch."""

    suffix: str
    half: bool  # of numbers of 16 bits, though they are held in 32
    groups: int
    sizes: tuple[int, int, int]
    a: Operand
    b: Operand
    target: str
    target_row: str
    target_size: int
    steps: str  # how many time steps
    period: int

    def write(self, packs: Packs, rows: Rows) -> list[str]:
        """The statements for all rows."""
        m, k, n = self.sizes
        if self.a.row_size and not self.b.row_size and (k == 1 or self.a.at.coefficient("k") == 1):
            return self._packed(packs, m, n, self.a, self.b, ("i", "j"), (m * n, n))
        if self.b.row_size and not self.a.row_size and n == 1 and (k == 1 or self.b.at.coefficient("k") == 1):
            return self._packed(packs, 1, m, self.b, self.a, ("j", "i"), (m, m))  # a weight from the left
        return self._small(rows)

    def _packed(
        self,
        packs: Packs,
        m: int,
        n: int,
        rows: Operand,
        weight: Operand,
        names: tuple[str, str],
        strides: tuple[int, int],
    ) -> list[str]:
        """Rows (R·m, K) times a weight (K, N)."""
        row, column = names
        k, s = self.sizes[1], "_h" if self.half else self.suffix
        one = f"u_packed_size{s}({k}, {n})"
        sk, sn, sg = (weight.at.coefficient(name) for name in ("k", column, "g"))
        kind = "uint16_t" if self.half else weight.kind
        of = f"{k}, {n}, {weight.array} + {weight.at.constant} + g * {sg}L, {sk}, {sn}"
        place = packs.place(
            Pack(
                weight.index,
                f"{self.groups} * {one} * (long)sizeof({kind})",
                f"for (long g = 0; g < {self.groups}; g++) u_pack_panels{s}({of}, ({kind} *){{packed}} + g * {one}, "
                f"u_panels{s}({n}) * me / team, u_panels{s}({n}) * (me + 1) / team);",
                _holds(f"u_pack_holds{s}({of}, (const {kind} *){{packed}} + g * {one})", self.groups),
            )
        )
        packed = f"(const {kind} *)job->packed[{place}] + g * {one}"
        si = rows.at.coefficient(row)
        a = f"{rows.array} + {rows.at.constant} + g * {rows.at.coefficient('g')}L + i * {si}L"
        c = f"{self.target} + g * {strides[0]}L + i * {strides[1]}L"
        target_step = f"{'B' if self.target_row == 'q' else 'R'} * {self.target_size}L"
        one_block = m > 1 and self.groups == 1 and si * m == rows.row_size and rows.at.constant == 0 and si >= k
        loops = f"for (long g = 0; g < {self.groups}; g++) for (long i = 0; i < {m}; i++)"
        count, lda, ldc = "R", rows.row_size, self.target_size
        if one_block:  # the m rows of a row of the batch lie one after the other: more rows at once
            loops, count, lda, ldc = "for (long g = 0, i = 0; g < 1; g++)", f"R * {m}", si, n
        return [
            loops,
            f"  u_shared_product{s}(s, {self.steps}, {count}, {k}, {n}, {a}, {lda}, {rows.step()}, {packed}, {c}, "
            f"{ldc}, {target_step}, {self.period});",
        ]

    def _small(self, rows: Rows) -> list[str]:
        """A product of each row's own matrices: a team shares the groups, or else the rows."""
        m, k, n = self.sizes
        a, b = self.a.at, self.b.at
        shared = ("u_first(s, R)", "u_last(s, R)") if self.groups == 1 else ("0", "R")
        groups = ("0", "1") if self.groups == 1 else (f"u_first(s, {self.groups})", f"u_last(s, {self.groups})")
        one = [
            f"for (long g = {groups[0]}; g < {groups[1]}; g++)",
            f"  u_small_product{self.suffix}({m}, {k}, {n}, {self.a.start()}, {a.coefficient('i')}, "
            f"{a.coefficient('k')}, {self.b.start()}, {b.coefficient('k')}, {b.coefficient('j')}, "
            f"{self.target} + {self.target_row} * {self.target_size}L + g * {m * n}L, {n}, 1);",
        ]
        return rows(one, "", *shared)


def _holds(one: str, groups: int) -> str:
    """Whether the packs of the first and the last group still hold, from the expression for group ``g``."""
    return " && ".join(one.replace("+ g *", f"+ {g} *") for g in dict.fromkeys((0, groups - 1)))
