"""Low-rank adapters folded into the matrices, and taken out of them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.nn.initial_weights import without_initial_weights
from minigpt.nn.layers import Linear
from minigpt.nn.lora import AdapterSettings, lora_layers, plain_linears, put_adapters
from minigpt.nn.lora_layer import LoRALinear
from minigpt.nn.module import Module, Parameter
from minigpt.nn.replacing import replace_modules


class Adapter(NamedTuple):
    """A and B of one layer, taken out of the model, and α (Hu et al. 2021, §4.1).

    Attributes:
        a: A, (n_in, r).
        b: B, (r, n_out).
        alpha: α.
        dropout: the adapter's, in training.

    Example:
        >>> import numpy as np
        >>> Adapter(np.array([[1.0], [2.0]]), np.array([[10.0, 20.0]]), alpha=0.5).change()  # r = 1
        array([[ 5., 10.],
               [10., 20.]])
    """

    a: Array
    b: Array
    alpha: float
    dropout: float = 0.0

    def change(self) -> Array:
        """(α/r) A B, in float64."""
        product: Array = self.a.astype(np.float64) @ self.b.astype(np.float64)
        return product * (self.alpha / self.a.shape[1])


def merge_lora(model: Module) -> dict[str, Adapter]:
    """Fold each adapter into its matrix, W ← W + (α/r) A B: the model is an ordinary one again.

    It gives the same outputs, to rounding, at the speed of a model without adapters. What was
    frozen stays so: to train on, :func:`unfreeze` it.

    Returns:
        the adapters by the names of their layers, for :func:`unmerge_lora`.

    Raises:
        ValueError: the model has no adapters.

    Example:
        >>> from minigpt.nn import MLP, BlockConfig, add_lora
        >>> model = MLP(BlockConfig(n_embd=4, n_head=1), seed=0)
        >>> _ = add_lora(model, rank=1, targets=["up_proj"])
        >>> adapters = merge_lora(model)
        >>> type(model.up_proj).__name__, list(adapters)
        ('Linear', ['up_proj'])
    """
    layers = lora_layers(model)
    if not layers:
        raise ValueError(f"{type(model).__name__} has no adapters: there is nothing to merge")
    adapters, plain = {}, dict[int, Module]()
    for name, layer in layers.items():
        a, b = layer.lora_a.data.copy(), layer.lora_b.data.copy()
        adapters[name] = Adapter(a, b, layer.alpha, layer.dropout.p)
        _add(layer.weight, adapters[name].change())
        plain[id(layer)] = _plain(layer)
    replace_modules(model, plain)
    return adapters


def unmerge_lora(model: Module, adapters: Mapping[str, Adapter]) -> None:
    """Take folded adapters out of the matrices again, to rounding, and put them beside.

    Args:
        model: that was merged, changed in place.
        adapters: what :func:`merge_lora` returned.

    Raises:
        ValueError: they are not this model's; nothing is changed then.

    Example:
        >>> import numpy as np
        >>> from minigpt.nn import MLP, BlockConfig, add_lora
        >>> model = MLP(BlockConfig(n_embd=4, n_head=1), seed=0)
        >>> names = add_lora(model, rank=1, targets=["up_proj"])
        >>> unmerge_lora(model, merge_lora(model))  # fast for a while, and learning again
        >>> type(model.up_proj).__name__
        'LoRALinear'
    """
    _check_adapters(model, adapters)
    settings = {
        name: AdapterSettings(adapter.a.shape[1], adapter.alpha, adapter.dropout)
        for name, adapter in adapters.items()
    }
    put_adapters(model, settings)
    layers: dict[str, Any] = dict(model.named_modules())
    for name, adapter in adapters.items():
        layer = layers[name]
        layer.lora_a.assign(adapter.a)
        layer.lora_b.assign(adapter.b)
        _add(layer.weight, -adapter.change())


def _plain(layer: LoRALinear) -> Linear:
    """The layer without its adapter; W and b are the same Parameters."""
    with without_initial_weights():
        n_in, n_out = layer.weight.shape
        linear = Linear(n_in, n_out, bias=False, seed=0)
    linear.weight, linear.bias, linear.training = layer.weight, layer.bias, layer.training
    return linear


def _add(weight: Parameter, change: Array) -> None:
    """W ← W + change, rounded once."""
    weight.assign(weight.data + change)


def _check_adapters(model: Module, adapters: Any) -> None:
    known = plain_linears(checks.instance("model", model, Module))
    if not isinstance(adapters, Mapping):
        mend = "pass what merge_lora() gave"
        raise checks.wrong_type("adapters", "a dict of adapters by name", adapters, mend)
    for name, adapter in adapters.items():
        a, b, *_ = checks.instance(f"adapters[{checks.shown(name)}]", adapter, Adapter)
        if name not in known:
            raise ValueError(f"{name!r} is not a linear layer without an adapter")
        shape = known[name].weight.shape
        if shape != (a.shape[0], b.shape[1]):
            raise ValueError(
                f"the adapter of {name!r} changes a matrix of {(a.shape[0], b.shape[1])}, but "
                f"{type(model).__name__} has one of {shape}"
            )
