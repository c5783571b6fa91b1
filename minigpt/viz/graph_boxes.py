"""The boxes of a tensor's computation graph: what its operations have recorded."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigpt.autograd import VJP, Array, Node
from minigpt.tensor import Tensor

MOST_BOXES = 300
FEW = 4  # numbers that a box shows
SIGNS = {
    "add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "matmul": "@", "negative": "−x",
    "power": "xⁿ", "getitem": "[…]",
}  # fmt: skip
Names = dict[int, tuple[str, Tensor]]  # by the id of what is named


@dataclass(eq=False)
class Box:
    """What a box of the picture stands for.

    Attributes:
        kind: "leaf", "operation", "result" or "constant".
        title: its first line.
        source: the operation, or the leaf.
        remarks: the lines below the title.
    """

    kind: str
    title: str
    source: Node | Tensor | None = None
    remarks: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [self.title, *self.remarks]


def recorded(tensor: Tensor, named: Names) -> tuple[list[Box], list[tuple[int, int]]]:
    """The boxes, each after those that lead to it, and the edges, by number of box."""
    origin: Node | Tensor = tensor.node or tensor
    boxes: list[Box] = []
    number: dict[int, int] = {}
    edges: list[tuple[int, int]] = []
    stack: list[tuple[Node | Tensor, bool]] = [(origin, False)]
    while stack:  # depth first, without recursion: a long chain has no end to fear
        source, inputs_are_there = stack.pop()
        if id(source) in number:
            continue
        inputs = source.inputs if isinstance(source, Node) else ()
        if not inputs_are_there:
            stack.append((source, True))
            stack += [(i, False) for i in reversed(inputs) if i is not None]
            continue
        ends = []
        for i in inputs:
            if i is None:
                boxes.append(Box("constant", "constant"))
            ends.append(len(boxes) - 1 if i is None else number[id(i)])
        boxes.append(_box(source, source is origin, tensor, named.get(id(source))))
        _check_size(len(boxes))
        number[id(source)] = len(boxes) - 1
        edges += [(end, len(boxes) - 1) for end in ends]
    return boxes, edges


def _box(
    source: Node | Tensor, is_origin: bool, tensor: Tensor, named: tuple[str, Tensor] | None
) -> Box:
    name, holder = named or ("", source if isinstance(source, Tensor) else None)
    if isinstance(source, Tensor):
        title = name or ("leaf" if type(source) is Tensor else type(source).__name__)
        return Box("leaf", title, source, _values(source.data))
    operation = source.operation
    sign = SIGNS.get(operation, operation.strip("_").replace("_", " ") or "operation")
    title = f"{name} = {sign}" if name else sign
    holder = tensor if is_origin else holder
    remarks = [str(source.shape)] if holder is None else _values(holder.data)
    return Box("result" if is_origin else "operation", title, source, remarks)


def run_backward(tensor: Tensor, boxes: list[Box]) -> None:
    """Walk back, and note in each box the gradient that comes to it."""
    for box in boxes:
        if isinstance(box.source, Node) and box.source.vjp is not None:
            box.source.vjp = _noting(box.source.vjp, box.remarks)
    tensor.backward()
    for box in boxes:
        if isinstance(box.source, Tensor) and box.source.grad is not None:
            box.remarks.append(_gradient(box.source.grad))


def _noting(vjp: VJP, remarks: list[str]) -> Callable[[Array], Any]:
    @functools.wraps(vjp)
    def noted(g: Array) -> Any:
        remarks.append(_gradient(g))
        return vjp(g)

    return noted


def _gradient(g: Array) -> str:
    if g.size <= FEW:
        return f"grad {_numbers(g)}"
    return f"‖grad‖ {np.linalg.norm(g):.3g}".replace("-", "−")


def _values(array: Array) -> list[str]:
    return [_numbers(array)] if array.size <= FEW else [str(array.shape)]


def _numbers(array: Array) -> str:
    numbers = ", ".join(f"{x:.3g}" for x in array.reshape(-1).tolist()).replace("-", "−")
    return numbers if array.ndim == 0 else f"[{numbers}]"


def _check_size(n: int) -> None:
    if n > MOST_BOXES:
        raise ValueError(
            f"the graph has more than {MOST_BOXES} boxes, too many to read: draw that of a part, "
            "or of a smaller model"
        )
