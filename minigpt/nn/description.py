"""How a module describes itself: its tree, as text and as HTML, and the table of ``summary``."""

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
    details, children = _contents(module)
    label = f"{name}: " if name else ""
    count = module.num_parameters()
    line = f"{'  ' * indent}{label}{type(module).__name__}({details})"
    lines = [f"{line}  # {parameters(count)}" if count else line]
    lines += [tree(child, child_name, indent + 1) for child_name, child in children]
    return "\n".join(lines)


def html_tree(module: Module, name: str = "", depth: int = 0) -> str:
    """The same tree for a notebook: what is below a module opens with a click."""
    from html import escape

    details, children = _contents(module)
    label = f"<b>{escape(name)}</b>: " if name else ""
    count = module.num_parameters()
    size = f' <span style="opacity:.6">{parameters(count)}</span>' if count else ""
    kind = escape(f"{type(module).__name__}({details})")
    line = f'{label}<code style="background:none">{kind}</code>{size}'
    if not children:
        return f'<div style="margin-left:1.1em">{line}</div>'
    below = "".join(html_tree(child, child_name, depth + 1) for child_name, child in children)
    style = f"margin-left:{0 if depth == 0 else 1.1}em"
    is_open = " open" if depth == 0 else ""
    return f'<details style="{style}"{is_open}><summary>{line}</summary>{below}</details>'


def _contents(module: Module) -> tuple[str, list[tuple[str, Module]]]:
    """What a module says of itself and of its own parameters; and the modules in it."""
    shapes, children = [], []
    for name, child in module.named_children():
        if isinstance(child, Tensor):
            shapes.append(f"{name} {child.shape}")
        else:
            children.append((name, child))
    return ", ".join([*filter(None, [module.extra_repr()]), *shapes]), children


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
