"""Rewrite a traced step so that less of it is in the loop: the same values, by the same products in pieces.

- A product of ``cat([a, b])`` where ``a`` comes from the input and ``b`` from the state becomes a sum of two products,
  each with its rows of the weight; the first of them then runs before the loop.
- Of a product whose columns are read in slices, each slice is a product of its own: of the adjoint of such a ``cat``
  only the part that belongs to the state is needed in the loop.
- The gradient of that weight, a product over all rows, becomes one for each part of the ``cat``, which is not needed.
- A parameter that is used several times in a step has several sums over all rows for its gradient, which are added up:
  what is summed is added first, so that one sequence is stored and not several.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import Any

from .graph import Builder, Graph, Ref, descendants, is_rows


def rewrite(graph: Graph) -> Graph:
    """The same step, rewritten."""
    return _Rewriter(graph).run()


class _Rewriter:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.builder = Builder()
        self.new: dict[int, int] = {}  # the number of each node in the graph under construction
        self.depends = descendants(graph, graph.state)
        self.parted: set[int] = set()  # cats whose products were split by the origin of their parts
        self.users: dict[int, list[int]] = {}
        for index, node in enumerate(graph.nodes):
            for operand in set(node.operands()):
                self.users.setdefault(operand, []).append(index)

    def run(self) -> Graph:
        for index in range(len(self.graph.nodes)):
            self.new[index] = self._translated(index)

        def mapped(indices: Iterable[int | None]) -> tuple[Any, ...]:
            return tuple(None if index is None else self.new[index] for index in indices)

        names = ("x", "state", "closed", "output", "new_state", "d_output", "d_new_state", "d_x", "d_state", "d_closed")
        lists: dict[str, Any] = {name: mapped(getattr(self.graph, name)) for name in names}
        return replace(self.graph, nodes=tuple(self.builder.nodes), **lists)

    def _translated(self, index: int) -> int:
        node = self.graph.nodes[index]
        if node.op == "mm":
            a, b = (ref.index for ref in node.args)
            result = self._split_by_origin(index, a, b) or self._split_total(index, a, b)
            if result is not None:
                return result
        if node.op == "slice":
            result = self._sliced_product(index)
            if result is not None:
                return result
        if node.op == "add":
            result = self._sum_of_sums(index)
            if result is not None:
                return result
        return self.builder.add(node.op, self._args(node.args), node.shape, node.dtype, node.where)

    def _args(self, args: Any) -> Any:
        if isinstance(args, Ref):
            return Ref(self.new[args.index])
        return tuple(self._args(arg) for arg in args) if isinstance(args, tuple) else args

    def _add(self, like: int, op: str, args: tuple[Any, ...], shape: Iterable[int]) -> Ref:
        """A node beside the one numbered ``like``."""
        node = self.graph.nodes[like]
        return Ref(self.builder.add(op, args, shape, node.dtype, node.where))

    def _split_by_origin(self, index: int, a: int, b: int) -> int | None:
        """``cat([a, b], 1) @ W`` as ``a @ W[:n] + b @ W[n:]``, where not all parts come from the state."""
        source = self.graph.nodes[a]
        if source.op != "cat" or source.args[1] != 1 or self.graph.is_rows(b):
            return None
        parts = [ref.index for ref in source.args[0]]
        groups = [list(group) for _, group in groupby(parts, lambda part: part in self.depends)]
        if len(groups) == 1:
            return None
        rows, columns = self.graph.nodes[index].shape
        self.parted.add(a)
        total: Ref | None = None
        start = 0
        for group in groups:
            widths = [self.graph.nodes[part].shape[1] for part in group]
            stop = start + sum(widths)
            left = Ref(self.new[group[0]])
            if len(group) > 1:
                left = self._add(a, "cat", (tuple(Ref(self.new[part]) for part in group), 1), (rows, stop - start))
            weight = self._add(index, "slice", (Ref(self.new[b]), 0, start, stop, 1), (stop - start, columns))
            product = self._add(index, "mm", (left, weight), (rows, columns))
            total = product if total is None else self._add(index, "add", (total, product), (rows, columns))
            start = stop
        assert total is not None
        return total.index

    def _split_total(self, index: int, a: int, b: int) -> int | None:
        """``cat([a, b], 1).T @ d`` as ``cat([a.T @ d, b.T @ d])``; likewise a cat on the right."""
        nodes, node = self.graph.nodes, self.graph.nodes[index]
        if not is_rows(nodes[a].shape[1], self.graph.batch) or nodes[a].op != "permute":
            return None
        left = nodes[a].args[0].index
        rows = nodes[b].shape[0]
        if left in self.parted:
            products = []
            for part in (ref.index for ref in nodes[left].args[0]):
                width = nodes[part].shape[1]
                turned = self._add(a, "permute", (Ref(self.new[part]), (1, 0)), (width, rows))
                products.append(self._add(index, "mm", (turned, Ref(self.new[b])), (width, node.shape[1])))
            return self._add(index, "cat", (tuple(products), 0), node.shape).index
        if b in self.parted:
            products = []
            for part in (ref.index for ref in nodes[b].args[0]):
                shape = (node.shape[0], nodes[part].shape[1])
                products.append(self._add(index, "mm", (Ref(self.new[a]), Ref(self.new[part])), shape))
            return self._add(index, "cat", (tuple(products), 1), node.shape).index
        return None

    def _sum_of_sums(self, index: int) -> int | None:
        """``a.sum(0) + b.sum(0)`` as ``(a + b).sum(0)``, where a and b are rows of one shape; through reshapes."""
        node = self.graph.nodes[index]
        if not all(isinstance(arg, Ref) and self.graph.nodes[arg.index].shape == node.shape for arg in node.args):
            return None
        one, two = (self._total(self.new[ref.index]) for ref in node.args)
        if one is None or two is None or node.dtype != self.builder.nodes[one[0]].dtype:
            return None
        (total, first), (other, second) = one, two
        sums, terms = [self.builder.nodes[i] for i in (total, other)], [self.builder.nodes[i] for i in (first, second)]
        alike = sums[0].args[1:] == sums[1].args[1:] and sums[0].dtype == sums[1].dtype
        if not alike or terms[0].shape != terms[1].shape or terms[0].dtype != terms[1].dtype:
            return None
        both = self.builder.add("add", (Ref(first), Ref(second)), terms[0].shape, terms[0].dtype, node.where)
        result = self.builder.add("sum", (Ref(both), *sums[0].args[1:]), sums[0].shape, sums[0].dtype, node.where)
        if sums[0].shape == node.shape:
            return result
        return self.builder.add("reshape", (Ref(result), node.shape), node.shape, node.dtype, node.where)

    def _total(self, index: int) -> tuple[int, int] | None:
        """A sum over all rows, and what is summed, in the graph under construction; seen through reshapes."""
        nodes, batch = self.builder.nodes, self.graph.batch
        while nodes[index].op == "reshape":
            index = nodes[index].args[0].index
        if nodes[index].op != "sum" or nodes[index].args[1] != (0,):
            return None
        term = nodes[index].args[0].index
        shape = nodes[term].shape
        return (index, term) if shape[0] == batch and not any(is_rows(size, batch) for size in shape[1:]) else None

    def _sliced_product(self, index: int) -> int | None:
        """``(d @ V)[:, a:b]`` as ``d @ V[:, a:b]``, where the product is read in slices only."""
        nodes, node = self.graph.nodes, self.graph.nodes[index]
        source = node.args[0].index
        if nodes[source].op != "mm" or node.args[1] != 1 or not all(map(self._is_columns, self.users[source])):
            return None
        left, right = (ref.index for ref in nodes[source].args)
        if self.graph.is_rows(right):
            return None
        weight_shape = (nodes[right].shape[0], node.shape[1])
        weight = self._add(source, "slice", (Ref(self.new[right]), *node.args[1:]), weight_shape)
        return self._add(source, "mm", (Ref(self.new[left]), weight), node.shape).index

    def _is_columns(self, index: int) -> bool:
        node = self.graph.nodes[index]
        return node.op == "slice" and node.args[1] == 1
