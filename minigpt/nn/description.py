"""How a module describes itself: the tree that ``repr`` shows, and the table of ``summary``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigpt.tensor import Tensor

if TYPE_CHECKING:
    from minigpt.nn.module import Module


class Text(str):
    """A string that a notebook shows as it reads, line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def tree(module: Module, name: str = "", indent: int = 0) -> str:
    """The module and all below it, a line each, with shapes and numbers of parameters."""
    shapes, children = [], []
    for child_name, child in module.named_children():
        if isinstance(child, Tensor):
            shapes.append(f"{child_name} {child.shape}")
        else:
            children.append((child_name, child))
    details = ", ".join([*filter(None, [module.extra_repr()]), *shapes])
    label = f"{name}: " if name else ""
    count = module.num_parameters()
    line = f"{'  ' * indent}{label}{type(module).__name__}({details})"
    lines = [f"{line}  # {parameters(count)}" if count else line]
    lines += [tree(child, child_name, indent + 1) for child_name, child in children]
    return "\n".join(lines)


def parameters(count: int) -> str:
    """``count`` in words: "1 parameter", "1,234 parameters"."""
    return f"{count:,} parameter{'' if count == 1 else 's'}"


def summary_table(module: Module) -> Text:
    """Every parameter with its shape, size and share, and the memory that all of them take."""
    named = list(module.named_parameters())
    total = sum(p.size for _, p in named)
    rows = [
        (name, str(p.shape), f"{p.size:,}", f"{100 * p.size / max(total, 1):.1f} %")
        for name, p in named
    ]
    header = ("parameter", "shape", "numbers", "share")
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(4)]
    lines = [
        f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {size:>{widths[2]}}  {share:>{widths[3]}}"
        for name, shape, size, share in [header, *rows]
    ]
    lines.insert(1, "─" * len(lines[0]))
    memory = sum(p.data.nbytes for _, p in named) / 1e6
    dtypes = ", ".join(sorted({str(p.dtype) for _, p in named}))
    lines.append("─" * len(lines[0]))
    lines.append(f"{type(module).__name__}: {parameters(total)}, {memory:,.1f} MB as {dtypes}")
    return Text("\n".join(lines))
