"""Facts as pages that people read."""

from collections import Counter
from collections.abc import Iterable, Sequence

from .facts import DirectionFacts, GraphFacts, Linearity, Operation, PartFacts, PlanFacts, Result, SourceFacts, Value
from .text import GLUE, INDENT, listed, paragraph, shortened, size, table

LINE = 24  # columns of a file:line at most
NOTHING = [f"{INDENT}nothing"]
LEGEND = (
    "B counts the rows, one for each sequence of the batch: [B, 8] is 8 elements a row. Views (slices, .T for "
    "transposition, reshape) move no data and stand in the operations that read them."
)


def graph_page(facts: GraphFacts) -> str:
    """The operations of a step and of its derivative."""
    lines = [*paragraph(f"{facts.name}: one step and its derivative"), "", *paragraph(LEGEND)]
    groups = [
        ("inputs", _values(facts.inputs)),
        ("state", _values(facts.state)),
        ("parameters, and other tensors that the step reads", _values(facts.parameters)),
        ("operations", _operations(facts.step.operations)),
        ("results", _results(facts.step.results)),
    ]
    if facts.derivative is None:
        groups.append(("derivative", [f"{INDENT}none: no gradient is wanted"]))
    else:
        groups += [
            ("derivative: given, the gradients of the results", _values(facts.derivative.given)),
            ("derivative: operations", _operations(facts.derivative.operations)),
            ("derivative: results", _results(facts.derivative.results)),
        ]
    for title, content in groups:
        lines += ["", title, *(content or NOTHING)]
    return "\n".join(lines)


def plan_page(facts: PlanFacts) -> str:
    """How a sequence is run, what is kept, and what it costs."""
    lines = [*paragraph(f"{facts.name}: how a sequence is run"), "", *paragraph(LEGEND)]
    lines += ["", *(line for entry in facts.linearity for line in paragraph(_linearity(entry), "", INDENT))]
    lines += ["", "FORWARD IN TIME", *_direction(facts.forward, "first step to last")]
    if facts.backward is None:
        lines += ["", "BACK THROUGH TIME", f"{INDENT}not at all: no gradient is wanted"]
    else:
        lines += ["", *_kept(facts), "", "BACK THROUGH TIME", *_direction(facts.backward, "last step to first")]
    return "\n".join([*lines, "", *_costs(facts), "", *_example(facts)])


def _linearity(entry: Linearity) -> str:
    """One sentence on some tensors of the state."""
    names = ", ".join(entry.state)
    given = f", given {', '.join(entry.given)}" if entry.given else ""
    if entry.kind == "known":
        return f"{names}: does not depend on its last value{given}"
    if entry.kind == "nonlinear":
        return f"{names}: not linear in the state{given}: {entry.cause}"
    how = {
        "elements": "element by element",
        "blocks": f"in blocks of {entry.block} elements",
        "dense": "but not element by element",
    }[entry.kind]
    letters = "a(t) s(t-1) + b(t)" if entry.kind == "elements" else "A(t) s(t-1) + b(t)"
    parallel = "" if entry.kind == "dense" else "; can run in parallel over time"
    return f"{names}: linear in the state{given}, {how}: s(t) = {letters}{parallel}"


def source_page(facts: SourceFacts) -> str:
    """The C, and before it in a comment what it is."""
    if facts.whole:
        note = f"The first {facts.prelude_lines} lines after this comment are the hand-written part of every kernel."
    else:
        note = (
            f"The hand-written part that comes before it in every kernel ({facts.prelude_lines} lines: tanh and the "
            "like, products, threads) is left out; --whole (whole=True) gives it too."
        )
    name = facts.name.replace("*/", "* /")
    head = paragraph(f"{name}: the C that the compiler wrote for this step. {note}", "   ")
    return "\n".join(["/*" + head[0][2:], *head[1:]]) + " */\n\n" + facts.text.rstrip("\n")


def _shape(value: Value) -> str:
    return f"[{', '.join(map(str, value.shape))}]"


def _values(values: Iterable[Value]) -> list[str]:
    return table([(value.name, _shape(value), value.dtype) for value in values])


def _operations(operations: Iterable[Operation], *, results: bool = False) -> list[str]:
    rows = []
    for operation in operations:
        gives = f"{GLUE}{GLUE}->{GLUE}{', '.join(operation.gives)}" if results and operation.gives else ""
        text = f"{operation.value.name} = {operation.text}{gives}"
        rows.append((text, _shape(operation.value), operation.value.dtype, shortened(operation.line, LINE)))
    return table(rows)


def _results(results: Iterable[Result]) -> list[str]:
    return [line for r in results for line in paragraph(f"{r.name} = {r.value}", INDENT, INDENT)]


def _direction(way: DirectionFacts, order: str) -> list[str]:
    parts = (
        ("torch, before the kernel: once a call", _operations(way.first, results=True)),
        ("kernel, before the loop: some steps at a time", _part(way.before)),
        (f"kernel, the loop: step by step, {order}", _part(way.loop, way.carried)),
        ("kernel, after the loop: some steps at a time", _part(way.after)),
        ("kernel, when all steps are done: sums over all T*B rows", _totals(way.totals)),
        ("torch, after the kernel: all T*B rows at once", _operations(way.last, results=True)),
    )
    shown = [line for title, lines in parts if lines for line in ("", title, *lines)]
    return shown or NOTHING


def _part(part: PartFacts, carried: Sequence[Value] = ()) -> list[str]:
    if not (part.operations or carried):
        return []
    lines = _operations(part.operations, results=True)
    lines += listed("reads", _sequences(part.reads)) if part.reads or not part.takes else []
    lines += listed("takes", _sequences(part.takes)) if part.takes else []
    lines += listed("writes", _sequences(part.writes)) if part.writes or not part.passes else []
    lines += listed("passes", _sequences(part.passes)) if part.passes else []
    if part.weights:
        each = ", ".join(entry.value.name + f"{GLUE}(packed)" * entry.packed for entry in part.weights)
        lines += listed("weights", f"{size(part.cost.call_bytes)}: {each}")
    if carried:
        total = sum(value.bytes for value in carried)
        lines += listed("carries", f"{size(total)} a row: {', '.join(value.name for value in carried)}")
    return lines


def _totals(part: PartFacts) -> list[str]:
    if not part.operations:
        return []
    return [
        *_operations(part.operations, results=True),
        *listed("reads", _sequences(part.reads)),
        *listed("writes", f"{size(part.cost.call_bytes)} once"),
    ]


def _sequences(values: Sequence[Value]) -> str:
    """Their bytes a row and step, altogether and each; what is read several times is counted so many times."""
    if not values:
        return "nothing"
    times = Counter(values)
    each = [
        f"{count}{GLUE}*{GLUE}" * (count > 1) + f"{value.name}{GLUE}{value.bytes:,}" for value, count in times.items()
    ]
    return f"{sum(value.bytes for value in values):,} bytes a row and step: {', '.join(each)}"


def _kept(facts: PlanFacts) -> list[str]:
    own = [entry for entry in facts.kept if not entry.anyway]
    anyway = [entry.value.name for entry in facts.kept if entry.anyway]
    total = sum(entry.value.bytes for entry in own)
    rows = [
        (f"{entry.value.name} = {entry.text}" if entry.text else f"{entry.value.name} before the step",
         f"{entry.value.elements:,} element" + "s" * (entry.value.elements != 1), f"{entry.value.bytes:,} bytes")
        for entry in own
    ]  # fmt: skip
    lines = [f"kept for the way back: {total:,} bytes a row and step", *(table(rows, right=(1, 2)) or NOTHING)]
    if anyway:
        lines += paragraph(f"and of the input, which is there anyway: {', '.join(anyway)}", INDENT, INDENT)
    return [*lines, "computed again on the way back", *(_operations(facts.again) or NOTHING)]


def _costs(facts: PlanFacts) -> list[str]:
    head = ("per row and step", "bytes read", "bytes written", "multiply-adds", "on elements")
    rows: list[Sequence[str]] = [head]
    for label, way in (("forward", facts.forward), ("backward", facts.backward)):
        if way is None:
            continue
        parts = {name: getattr(way, name).cost for name in ("before", "loop", "after", "totals")}
        for name, cost in (parts | {"torch": way.torch}).items():
            numbers = (cost.read, cost.written, cost.multiply_adds, cost.on_elements)
            if any(numbers):
                rows.append((f"{label}, {name}", *(f"{number:,}" for number in numbers)))
    note = (
        "Multiply-adds are those of matrix products; all other arithmetic is counted by elements, each operation once. "
        "Bytes are those of sequences that come from memory or go there. What a part takes, an earlier part has just "
        "read or made for the same steps, and what a part passes, a later one takes: that stays in the cache and is "
        "not counted. A packed weight is laid out once a call for the product that reads it."
    )
    return ["what is moved and computed", *table(rows, right=(1, 2, 3, 4)), *paragraph(note)]


def _example(facts: PlanFacts) -> list[str]:
    example = facts.example
    rows: list[Sequence[str]] = [("", "MFLOP", "MiB moved", "FLOP per byte")]
    for label, total in (("forward", example.forward), ("backward", example.backward)):
        if total is not None:
            numbers = (total.flop / 1e6, total.bytes / 1024**2, total.intensity)
            rows.append((label, *(f"{number:,.2f}" for number in numbers)))
    lines = [f"for T = {example.steps:,}, B = {example.batch_size:,}", *table(rows, right=(1, 2, 3))]
    if example.backward is not None:
        lines.append(f"{INDENT}kept for the way back: {example.kept / 1024**2:,.2f} MiB")
    return [*lines, *paragraph("A multiply-add is two FLOP, an operation on an element one.")]
