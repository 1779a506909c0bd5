"""The drawing as a Mermaid flowchart."""

from .scene import SHOWN, Network


def mermaid(net: Network) -> str:
    """The loop and the chain, each a subgraph."""
    lines = ["flowchart LR", "  subgraph folded", "    direction BT"]
    lines += _step(net, "f", net.clock)
    lines += [f"    f -->|{_text(name)}| f" for name in net.states]
    lines += ["  end", "  subgraph unfolded", "    direction LR"]
    for t in range(1, SHOWN + 1):
        lines += _step(net, f"u{t}", t)
    for k, name in enumerate(net.states):
        lines.append(f'    s{k}["{name}(0)"] --> u1')
        lines += [f"    u{t} -->|{_text(name)}| u{t + 1}" for t in range(1, SHOWN)]
        lines.append(f'    u{SHOWN} --> e{k}["{name}({SHOWN})"]')
    return "\n".join([*lines, "  end"]) + "\n"


def _step(net: Network, node: str, time: int | str) -> list[str]:
    """A box with what goes in and what comes out."""
    lines = [f'    {node}["step"]']
    for kind, names in (("x", net.inputs), ("output", net.outputs)):
        weight = f"|{_text(net.weights[kind])}| " if kind in net.weights else " "
        for k, name in enumerate(names):
            end = f'{node}{kind[0]}{k}(["{name}({time})"])'
            lines.append(f"    {end} -->{weight}{node}" if kind == "x" else f"    {node} -->{weight}{end}")
    return lines


def _text(name: str) -> str:
    return f'"{name}"'
