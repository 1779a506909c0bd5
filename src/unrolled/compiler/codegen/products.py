"""Matrix products: with a weight that is packed once a call, or of each row's own matrices."""

from dataclasses import dataclass, field

from .index import Affine


@dataclass
class Packs:
    """The weights of a kernel, packed once a call and shared by its parts."""

    found: list[tuple[str, str]] = field(default_factory=list)  # (bytes, statement with {packed})

    def place(self, size: str, statement: str) -> int:
        """The number of a packed weight, the same for the same weight."""
        if (size, statement) not in self.found:
            self.found.append((size, statement))
        return self.found.index((size, statement))

    def statements(self) -> list[str]:
        """Allocate and pack all of them; jumps to ``end`` where there is no memory."""
        lines = []
        for place, (size, statement) in enumerate(self.found):
            lines.append(f"packed[{place}] = malloc({size});")
            lines.append(f"if (!packed[{place}]) {{ job.failed = 1; goto end; }}")
            lines.append(statement.format(packed=f"packed[{place}]"))
        return lines


@dataclass(frozen=True)
class Operand:
    """A matrix, or one of ``g`` matrices, in an array: row and column are among the variables i, j, k."""

    array: str
    kind: str  # the C type of its elements
    at: Affine
    row_size: int  # elements of one row of the batch; 0: it has no rows

    def start(self) -> str:
        """Its first element, in group ``g`` of row ``r``."""
        row = f" + r * {self.row_size}L" if self.row_size else ""
        return f"{self.array}{row} + {self.at.constant} + g * {self.at.coefficient('g')}L"


@dataclass(frozen=True)
class Product:
    """``groups`` products (m, k) times (k, n) for each row of the batch."""

    suffix: str
    groups: int
    sizes: tuple[int, int, int]
    a: Operand
    b: Operand
    target: str
    target_size: int

    def write(self, packs: Packs) -> list[str]:
        """The statements for all R rows."""
        m, k, n = self.sizes
        if self.a.row_size and not self.b.row_size and (k == 1 or self.a.at.coefficient("k") == 1):
            return self._packed(packs, m, n, self.a, self.b, ("i", "j"), (m * n, n))
        if self.b.row_size and not self.a.row_size and n == 1 and (k == 1 or self.b.at.coefficient("k") == 1):
            return self._packed(packs, 1, m, self.b, self.a, ("j", "i"), (m, m))  # a weight from the left
        return self._small()

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
        k, s = self.sizes[1], self.suffix
        one = f"u_packed_size{s}({k}, {n})"
        sk, sn, sg = (weight.at.coefficient(name) for name in ("k", column, "g"))
        place = packs.place(
            f"{self.groups} * {one} * sizeof({weight.kind})",
            f"for (long g = 0; g < {self.groups}; g++) u_pack{s}({k}, {n}, {weight.array} + {weight.at.constant} "
            f"+ g * {sg}L, {sk}, {sn}, ({weight.kind} *){{packed}} + g * {one});",
        )
        packed = f"(const {weight.kind} *)job->packed[{place}] + g * {one}"
        si = rows.at.coefficient(row)
        a = f"{rows.array} + {rows.at.constant} + g * {rows.at.coefficient('g')}L + i * {si}L"
        c = f"{self.target} + g * {strides[0]}L + i * {strides[1]}L"
        one_block = m > 1 and self.groups == 1 and si * m == rows.row_size and rows.at.constant == 0 and si >= k
        if one_block:  # the m rows of a row of the batch lie one after the other: more rows at once
            return [
                f"{{ const long g = 0, i = 0; u_product{s}(1, R * {m}, {k}, {n}, {a}, {si}, 0, {packed}, {c}, {n}, 0, 0); }}"
            ]
        return [
            f"for (long g = 0; g < {self.groups}; g++) for (long i = 0; i < {m}; i++)",
            f"  u_product{s}(1, R, {k}, {n}, {a}, {rows.row_size}, 0, {packed}, {c}, {self.target_size}, 0, 0);",
        ]

    def _small(self) -> list[str]:
        """A product of each row's own matrices."""
        m, k, n = self.sizes
        a, b = self.a.at, self.b.at
        return [
            f"for (long r = 0; r < R; r++) for (long g = 0; g < {self.groups}; g++)",
            f"  u_small_product{self.suffix}({m}, {k}, {n}, {self.a.start()}, {a.coefficient('i')}, "
            f"{a.coefficient('k')}, {self.b.start()}, {b.coefficient('k')}, {b.coefficient('j')}, "
            f"{self.target} + r * {self.target_size}L + g * {m * n}L, {n}, 1);",
        ]
