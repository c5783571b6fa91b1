"""Low-rank adapters: a large model fine-tuned by a few numbers beside each matrix (LoRA)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.checks import Seed
from minigpt.nn.freezing import freeze
from minigpt.nn.layers import Linear
from minigpt.nn.lora_layer import LoRALinear
from minigpt.nn.module import Module, Parameter
from minigpt.nn.replacing import replace_modules

ATTENTION = ("qkv_proj", "out_proj")  # the paper adapts attention only (§4.2)


def add_lora(
    model: Module,
    rank: int = 8,
    alpha: float | None = None,
    targets: Iterable[str] = ATTENTION,
    seed: Seed = 0,
    *,
    dropout: float = 0.0,
) -> list[str]:
    """Put adapters beside the linear layers of these names, and freeze all else in the model.

    With ``add_lora(classifier.backbone)`` the classifier's head goes on learning. A Trainer made
    afterwards moves the adapters only; checkpoints hold the model with its adapters.

    Args:
        model: changed in place.
        rank: r.
        alpha: α; r where None.
        targets: last parts of the names of Linear layers, such as "qkv_proj", "out_proj", "up_proj"
            and "down_proj".
        seed: of the adapters, a number or a Generator.
        dropout: the share of its input that an adapter does not see in training; with few labels it
            keeps them from learning the labels by heart. It is for attention's and the MLP's
            layers, which a model hands its Generator.

    Returns:
        the names of the layers that have adapters now.

    Raises:
        ValueError: a target is not a linear layer's name, or has an adapter already, or rank,
            alpha or dropout is out of range; nothing is changed then.

    Example:
        >>> from minigpt.models import GPT, GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=9, block_size=8, n_layer=2, n_head=2, n_embd=16))
        >>> add_lora(model, rank=2, targets=["qkv_proj"])
        ['blocks.0.attention.qkv_proj', 'blocks.1.attention.qkv_proj']
        >>> sum(p.size for p in lora_parameters(model).values())  # 2 · (16 · 2 + 2 · 48)
        256
    """
    chosen = _check_targets(checks.instance("model", model, Module), targets)
    alpha = rank if alpha is None else alpha
    put_adapters(model, dict.fromkeys(chosen, AdapterSettings(rank, alpha, dropout)), seed)
    freeze(model)
    for parameter in lora_parameters(model).values():
        parameter.requires_grad = True
    return chosen


class AdapterSettings(NamedTuple):
    """What an adapter is made with."""

    rank: int
    alpha: float
    dropout: float = 0.0


def settings_of(layer: LoRALinear) -> AdapterSettings:
    """What the adapter beside a layer was made with."""
    return AdapterSettings(layer.rank, layer.alpha, layer.dropout.p)


def put_adapters(model: Module, settings: Mapping[str, AdapterSettings], seed: Seed = 0) -> None:
    """Put such adapters beside the layers of these names; nothing is frozen.

    Raises:
        ValueError: a name is not that of a linear layer without an adapter, its matrix is another
            layer's too, or rank, alpha or dropout do not fit; nothing is changed then.
    """
    rng, known = np.random.default_rng(checks.seed(seed)), plain_linears(model)
    _check_adaptable(model, known, settings)
    adapted: dict[int, Module] = {
        id(known[name]): LoRALinear(known[name], rank, alpha, dropout=dropout, seed=rng)
        for name, (rank, alpha, dropout) in settings.items()
    }
    replace_modules(model, adapted)


def lora_parameters(model: Module) -> dict[str, Parameter]:
    """The A and B of every adapter of a model, by name.

    Example:
        >>> from minigpt.nn import MLP, BlockConfig
        >>> model = MLP(BlockConfig(n_embd=4, n_head=1), seed=0)
        >>> names = add_lora(model, rank=2, targets=["up_proj"])

        >>> {name: a.shape for name, a in lora_parameters(model).items()}
        {'up_proj.lora_a': (4, 2), 'up_proj.lora_b': (2, 16)}
    """
    return {
        f"{name}.{part}" if name else part: parameter
        for name, layer in lora_layers(model).items()
        for part, parameter in (("lora_a", layer.lora_a), ("lora_b", layer.lora_b))
    }


def lora_state_dict(model: Module) -> dict[str, Array]:
    """A copy of a model's adapters only, by name, with α: what fine-tuning found, in a small file.

    Goes back with :func:`load_lora_state_dict` into the same model after ``add_lora``, with the
    same targets, rank and α. :func:`minigpt.checkpoints.save_lora` makes a file of it.

    Example:
        >>> from minigpt.nn import MLP, BlockConfig
        >>> model = MLP(BlockConfig(n_embd=4, n_head=1), seed=0)
        >>> names = add_lora(model, rank=2, targets=["up_proj"])

        >>> list(lora_state_dict(model))
        ['up_proj.lora_a', 'up_proj.lora_b', 'up_proj.lora_alpha']
    """
    return {
        f"{name}.{part}": array
        for name, layer in lora_layers(model).items()
        for part, array in (
            ("lora_a", layer.lora_a.data.copy()),
            ("lora_b", layer.lora_b.data.copy()),
            ("lora_alpha", np.array(layer.alpha)),
        )
    }


def load_lora_state_dict(model: Module, state: Mapping[str, Array]) -> None:
    """Put stored adapters into those of the model.

    Args:
        model: with adapters, which are overwritten.
        state: arrays by name, as :func:`lora_state_dict` gives them.

    Raises:
        ValueError: the model's adapters are beside other layers, or of another rank, α or dtype;
            nothing is changed.

    Example:
        >>> from minigpt.nn import MLP, BlockConfig
        >>> model = MLP(BlockConfig(n_embd=4, n_head=1), seed=0)
        >>> names = add_lora(model, rank=2, targets=["up_proj"])

        >>> before = lora_state_dict(model)
        >>> model.up_proj.lora_b.data += 1.0  # as if it had learned something
        >>> load_lora_state_dict(model, before)
        >>> float(model.up_proj.lora_b.data.max())
        0.0
    """
    _check_fits(model, state)
    parts = {name: array for name, array in state.items() if not name.endswith(".lora_alpha")}
    model.load_state_dict(parts, strict=False)


def lora_layers(model: Module) -> dict[str, LoRALinear]:
    """The layers with an adapter, by name."""
    modules = checks.instance("model", model, Module).named_modules()
    return {name: module for name, module in modules if isinstance(module, LoRALinear)}


def plain_linears(model: Module) -> dict[str, Linear]:
    """The linear layers below the model that have no adapter, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if name and isinstance(module, Linear) and not isinstance(module, LoRALinear)
    }


def _check_targets(model: Module, targets: Any) -> list[str]:
    """The names of the model's linear layers that the targets mean."""
    if isinstance(targets, str):
        mend = f"pass [{checks.shown(targets)}]"
        raise checks.wrong_type("targets", "a list of names", targets, mend)
    listed = checks.items("targets", targets, "a list of names")
    targets = [checks.text(f"targets[{i}]", target) for i, target in enumerate(listed)]
    known = plain_linears(model)
    adapted = [name for name in lora_layers(model) if name.split(".")[-1] in targets]
    if adapted:
        raise ValueError(
            f"{type(model).__name__} has adapters already, beside {adapted[0]!r}: fold them into "
            "its matrices first, merge_lora(model), or name other targets"
        )
    chosen = [name for name in known if name.split(".")[-1] in targets]
    unknown = set(targets) - {name.split(".")[-1] for name in chosen}
    if unknown or not chosen:
        names = ", ".join(sorted({name.split(".")[-1] for name in known})) or "none"
        expected = f"names of linear layers of {type(model).__name__}, which has {names}"
        raise checks.wrong_value("targets", expected, sorted(unknown) or targets)
    return chosen


def _check_fits(model: Module, state: Any) -> None:
    if not isinstance(state, Mapping):
        mend = "pass what lora_state_dict() gave"
        raise checks.wrong_type("state", "a dict of arrays by name", state, mend)
    own, stored = lora_state_dict(model), set(state)
    if own.keys() != stored:
        missing, extra = sorted(own.keys() - stored), sorted(stored - own.keys())
        raise ValueError(
            f"state does not fit the model's adapters: missing {missing[:3]}, unexpected "
            f"{extra[:3]}; use add_lora with the same targets first"
        )
    for name, layer in lora_layers(model).items():
        rank, alpha = np.shape(state[f"{name}.lora_a"])[-1:], float(state[f"{name}.lora_alpha"])
        if rank != (layer.rank,) or alpha != layer.alpha:
            raise ValueError(
                f"the adapter of {name!r} has rank={layer.rank} and alpha={layer.alpha:g}, the "
                f"stored one rank={rank[0] if rank else None} and alpha={alpha:g}: use add_lora "
                "with these first"
            )


def _check_adaptable(model: Module, known: Mapping[str, Linear], names: Iterable[str]) -> None:
    holders: dict[int, int] = {}
    for _, module in model.named_modules():
        for _, child in module.named_children():
            if isinstance(child, Parameter):
                holders[id(child)] = holders.get(id(child), 0) + 1
    for name in names:
        if name not in known:
            raise ValueError(f"{name!r} is not a linear layer without an adapter")
        if holders[id(known[name].weight)] > 1:
            raise ValueError(f"the matrix of {name!r} is another layer's too: it cannot be adapted")
