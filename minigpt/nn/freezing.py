"""Parameters that training leaves as they are: frozen ones, for which no gradient is computed."""

from __future__ import annotations

from collections.abc import Iterable

from minigpt import checks
from minigpt.nn.layers import LayerNorm
from minigpt.nn.module import Module


def freeze(module: Module) -> None:
    """Let training leave every parameter of the module as it is.

    Where nothing below a layer learns either, the walk back ends there: a step takes less time and
    memory. Freeze before the Trainer is made; checkpoints keep what is frozen.

    Example:
        >>> from minigpt.nn import Linear
        >>> layer = Linear(3, 2, seed=0)
        >>> freeze(layer)
        >>> num_trainable(layer), layer.num_parameters()
        (0, 8)
    """
    checks.instance("module", module, Module)
    for parameter in module.parameters():
        parameter.requires_grad = False
        parameter.grad = None


def unfreeze(module: Module) -> None:
    """Let training move every parameter of the module, however it was frozen.

    Example:
        >>> from minigpt.nn import MLP, BlockConfig
        >>> mlp = MLP(BlockConfig(n_embd=4, n_head=1), seed=0)
        >>> freeze(mlp)
        >>> unfreeze(mlp.down_proj)
        >>> trainable(mlp)
        ['down_proj.weight', 'down_proj.bias']
    """
    checks.instance("module", module, Module)
    for parameter in module.parameters():
        parameter.requires_grad = True


def freeze_all_but_last(module: Module, n_blocks: int) -> None:
    """Freeze a transformer except for its last blocks, and the norm after them.

    What the lower blocks found out about a language holds for most tasks; the upper ones are more
    particular to what they were trained on (Howard & Ruder 2018, §3.3).

    Args:
        module: with ``blocks``: a GPT, an EncoderStack, the backbone of a classifier.
        n_blocks: how many learn; 0 freezes everything.

    Raises:
        TypeError: the module has no blocks.
        ValueError: it has fewer.

    Example:
        >>> from minigpt.models import GPT, GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=9, block_size=8, n_layer=3, n_head=1, n_embd=4))
        >>> freeze_all_but_last(model, 1)
        >>> sorted({name.split(".")[1] for name in trainable(model) if "blocks" in name})
        ['2']
    """
    blocks = _check(module, n_blocks)
    freeze(module)
    if n_blocks == 0:
        return
    for block in blocks[-n_blocks:]:
        unfreeze(block)
    final_norm = getattr(module, "final_norm", None)
    if isinstance(final_norm, LayerNorm):
        unfreeze(final_norm)


def freeze_parts(module: Module, names: Iterable[str]) -> list[str]:
    """Freeze the parts of these names, wherever they are: "token_embedding", "mlp", "blocks.0".

    A name is one word or several in a row of the way to a parameter, such as
    ``blocks.0.attention.qkv_proj.weight``.

    Args:
        module: changed in place.
        names: of the parts.

    Returns:
        the names of the parameters that were frozen.

    Raises:
        ValueError: the module has no such part; nothing is frozen then.
        TypeError: not a list of names.

    Example:
        >>> from minigpt.models import GPT, GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=9, block_size=8, n_layer=3, n_head=1, n_embd=4))
        >>> names = freeze_parts(model, ["token_embedding", "blocks.0", "blocks.1"])
        >>> sorted({name.rpartition(".")[0] for name in trainable(model) if "mlp." in name})
        ['blocks.2.mlp.down_proj', 'blocks.2.mlp.up_proj']
    """
    chosen = _check_parts(module, names)
    own = dict(module.named_parameters())
    for name in chosen:
        own[name].requires_grad, own[name].grad = False, None
    return chosen


def trainable(module: Module) -> list[str]:
    """The names of the parameters of a module that training moves.

    Example:
        >>> from minigpt.nn import MLP, BlockConfig, add_lora
        >>> mlp = MLP(BlockConfig(n_embd=4, n_head=1), seed=0)
        >>> names = add_lora(mlp, rank=1, targets=["up_proj"])
        >>> trainable(mlp)
        ['up_proj.lora_a', 'up_proj.lora_b']
    """
    own = checks.instance("module", module, Module).named_parameters()
    return [name for name, parameter in own if parameter.requires_grad]


def frozen(module: Module) -> list[str]:
    """The names of the parameters of a module that training leaves as they are.

    Example:
        >>> from minigpt.nn import MLP, BlockConfig
        >>> mlp = MLP(BlockConfig(n_embd=4, n_head=1), seed=0)
        >>> names = freeze_parts(mlp, ["up_proj"])
        >>> frozen(mlp)
        ['up_proj.weight', 'up_proj.bias']
    """
    own = checks.instance("module", module, Module).named_parameters()
    return [name for name, parameter in own if not parameter.requires_grad]


def num_trainable(module: Module) -> int:
    """How many numbers of a module training moves; shared ones count once.

    Example:
        >>> from minigpt.nn import MLP, BlockConfig, add_lora
        >>> mlp = MLP(BlockConfig(n_embd=64, n_head=1), seed=0)
        >>> names = add_lora(mlp, rank=4, targets=["up_proj"])
        >>> num_trainable(mlp), mlp.num_parameters()  # 4 · (64 + 256) of them
        (1280, 34368)
    """
    own = checks.instance("module", module, Module).parameters()
    return sum(p.size for p in own if p.requires_grad)


def _check(module: Module, n_blocks: int) -> list[Module]:
    blocks = getattr(module, "blocks", None)
    if not isinstance(blocks, list):
        mend = "pass a GPT, an encoder's stack, or the backbone of a classifier"
        raise checks.wrong_type("module", "a module with blocks", module, mend)
    checks.integer("n_blocks", n_blocks, least=0, most=len(blocks))
    return blocks


def _check_parts(module: Module, names: Iterable[str]) -> list[str]:
    """The names of the parameters that lie within the parts."""
    parts = checks.items("names", names, "a list of names")
    own = [name for name, _ in checks.instance("module", module, Module).named_parameters()]
    chosen: set[str] = set()
    for i, part in enumerate(parts):
        found = {n for n in own if f".{checks.text(f'names[{i}]', part)}." in f".{n}."}
        if not found:
            words = sorted({word for n in own for word in n.split(".") if not word.isdecimal()})
            kind = type(module).__name__
            expected = f"names of parts of this {kind}: {', '.join(words)}, blocks.0, …"
            raise checks.wrong_value("names", expected, part)
        chosen |= found
    return [name for name in own if name in chosen]
