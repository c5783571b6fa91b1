"""Good calls of the ground, the equations, the layers and the optimizers."""

# mypy: disable-error-code="misc"

from __future__ import annotations

import numpy as np

import minigpt as mg
import minigpt.functional as F
from minigpt import Tensor, nn, optim
from minigpt import operations as ops
from tests.reliability.good_call import GoodCalls


def ones(*shape):
    return Tensor(np.ones(shape, np.float32), requires_grad=True)


def draws():
    return np.random.default_rng(0)


def named():
    p = nn.Parameter(np.ones((2, 2), np.float32))
    p.grad = np.ones((2, 2), np.float32)
    return [("w", p)]


def small(**changes):
    return nn.BlockConfig(**{"n_embd": 8, "n_head": 2, "dropout": 0.1, **changes})


def with_lora():
    model = nn.Block(small(), seed=0)
    nn.add_lora(model, rank=2)
    return model


def cache():
    held = nn.KeyValueCache(1, 2, 2, 6, 4)
    held.length = 2
    return held


def memory():
    return [(np.ones((2, 2, 3, 4), np.float32), np.ones((2, 2, 3, 4), np.float32))]


IDS = np.array([[0, 1, 2]])
SEEN = np.ones((3, 3), bool)
RATES = dict(learning_rate=0.1, min_learning_rate=0.01, warmup_steps=1, max_steps=10)
SCALING = dict(kind="llama3", factor=8.0, low_frequency_factor=1.0, high_frequency_factor=4.0,
               original_context=64)  # fmt: skip
REDUCED = dict(axis=0, keepdims=False)
ADAM = dict(lr=0.1, betas=(0.9, 0.9), eps=1e-8, weight_decay=0.1)
HIDDEN = dict(mask=None, positions=None)

GROUND: GoodCalls = {
    "Tensor": lambda: (Tensor, dict(array=1.0, requires_grad=False)),
    "Tensor.assign": lambda: (ones(2).assign, dict(value=np.ones(2))),
    "Tensor.backward": lambda: (ones(2).exp().backward, dict(gradient=np.ones(2, np.float32))),
    "gradcheck": lambda: (
        mg.gradcheck,
        dict(fn=lambda x: x * 2, inputs=Tensor(np.ones(2), requires_grad=True), eps=1e-6,
             atol=1e-6, rtol=1e-5, seed=0),
    ),
    **{
        f"operations.{name}": lambda name=name: (getattr(ops, name), dict(x=ones(2)))
        for name in ("absolute", "exp", "log", "negative", "relu", "sigmoid", "sqrt", "tanh")
    },
    **{
        f"operations.{name}": lambda name=name: (getattr(ops, name), dict(a=ones(2), b=ones(2)))
        for name in ("add", "subtract", "multiply", "divide", "maximum", "matmul")
    },
    **{
        f"operations.{name}": lambda name=name: (getattr(ops, name), dict(x=ones(2, 3), **REDUCED))
        for name in ("sum", "mean", "max")
    },
    "operations.var": lambda: (ops.var, dict(x=ones(2, 3), **REDUCED, correction=0)),
    "operations.where": lambda: (ops.where, dict(condition=np.ones(2, bool), a=ones(2), b=ones(2))),
    "operations.masked_fill": lambda: (
        ops.masked_fill, dict(x=ones(2), mask=np.ones(2, bool), value=0.0),
    ),
    "operations.concatenate": lambda: (ops.concatenate, dict(tensors=[ones(2), ones(2)], axis=0)),
    "operations.stack": lambda: (ops.stack, dict(tensors=[ones(2), ones(2)], axis=0)),
    "operations.split": lambda: (ops.split, dict(x=ones(4), sections=2, axis=0)),
    "operations.broadcast_to": lambda: (ops.broadcast_to, dict(x=ones(1, 3), shape=(2, 3))),
    "operations.reshape": lambda: (
        lambda x, shape: ops.reshape(x, shape), dict(x=ones(4), shape=(2, 2)),
    ),
    "operations.transpose": lambda: (
        lambda x, axes: ops.transpose(x, axes), dict(x=ones(4, 2), axes=(1, 0)),
    ),
    "operations.swapaxes": lambda: (ops.swapaxes, dict(x=ones(2, 3), axis1=0, axis2=1)),
    "operations.power": lambda: (ops.power, dict(x=ones(2), exponent=2)),
    "operations.astype": lambda: (ops.astype, dict(x=ones(2), dtype=np.float64)),
    "operations.getitem": lambda: (ops.getitem, dict(x=ones(2, 3), index=0)),
}  # fmt: skip

FUNCTIONAL: GoodCalls = {
    "functional.RotaryScaling": lambda: (F.RotaryScaling, dict(SCALING)),
    "functional.alibi_slopes": lambda: (F.alibi_slopes, dict(n_head=2, scale=1.0)),
    "functional.attention_weights": lambda: (
        F.attention_weights,
        dict(q=np.ones((2, 3, 4)), k=np.ones((2, 3, 4)), mask=SEEN, causal=True,
             slopes=np.ones(2), grouped=False),
    ),
    "functional.cross_entropy": lambda: (
        F.cross_entropy,
        dict(logits=ones(1, 3, 4), targets=IDS, ignore_index=-1, reduction="mean",
             label_smoothing=0.1),
    ),
    "functional.dropout": lambda: (F.dropout, dict(x=ones(2, 3), p=0.5, rng=draws())),
    "functional.embedding": lambda: (F.embedding, dict(ids=IDS, weight=ones(4, 2))),
    "functional.erf": lambda: (F.erf, dict(x=np.ones(2))),
    "functional.gated_unit": lambda: (
        F.gated_unit, dict(gate=ones(2), up=ones(2), activation="silu"),
    ),
    "functional.gelu": lambda: (F.gelu, dict(x=ones(2), approximate="tanh")),
    "functional.layer_norm": lambda: (
        F.layer_norm, dict(x=ones(2, 3), weight=ones(3), bias=ones(3), eps=1e-5),
    ),
    "functional.linear": lambda: (F.linear, dict(x=ones(2, 3), weight=ones(3, 4), bias=ones(4))),
    "functional.log_likelihood": lambda: (
        F.log_likelihood, dict(logits=ones(1, 3, 4), targets=IDS, ignore_index=-1),
    ),
    "functional.log_softmax": lambda: (F.log_softmax, dict(x=ones(2, 3), axis=-1)),
    "functional.softmax": lambda: (F.softmax, dict(x=ones(2, 3), axis=-1)),
    "functional.lstm": lambda: (
        F.lstm,
        dict(x=ones(2, 3, 4), weight_ih=ones(4, 20), weight_hh=ones(5, 20), bias=ones(20),
             h0=ones(2, 5), c0=ones(2, 5), mask=np.ones((2, 3), bool)),
    ),
    "functional.multi_head_attention": lambda: (
        F.multi_head_attention,
        dict(qkv=ones(2, 3, 24), n_head=2, mask=SEEN, causal=True, dropout=0.1, rng=draws(),
             slopes=np.ones(2, np.float32), n_kv_head=2,
             rotation=np.ones((3, 2, 4), np.float32), overwrite_qkv=False),
    ),
    "functional.multi_head_cross_attention": lambda: (
        F.multi_head_cross_attention,
        dict(q=ones(2, 3, 4), kv=ones(2, 3, 8), n_head=2, mask=SEEN, dropout=0.1, rng=draws()),
    ),
    "functional.qk_norm": lambda: (
        F.qk_norm,
        dict(qkv=ones(2, 3, 8), query_weight=ones(2), key_weight=ones(2), n_head=2, n_kv_head=1,
             eps=1e-5),
    ),
    "functional.relu_squared": lambda: (F.relu_squared, dict(x=ones(2))),
    "functional.rms_norm": lambda: (F.rms_norm, dict(x=ones(2, 3), weight=ones(3), eps=1e-5)),
    "functional.short_convolution": lambda: (
        F.short_convolution, dict(x=ones(2, 3, 4), weight=ones(3, 4)),
    ),
    "functional.rotary": lambda: (
        F.rotary,
        dict(x=ones(2, 3, 4), positions=np.arange(3), base=100.0,
             scaling=F.RotaryScaling(**SCALING), pairing="halves"),
    ),
    "functional.rotary_frequencies": lambda: (
        F.rotary_frequencies, dict(d=4, base=100.0, scaling=None),
    ),
    "functional.scaled_dot_product_attention": lambda: (
        F.scaled_dot_product_attention,
        dict(q=ones(2, 3, 4), k=ones(2, 3, 4), v=ones(2, 3, 4), mask=SEEN, causal=True,
             dropout=0.1, rng=draws(), slopes=np.ones(2, np.float32), grouped=False),
    ),
    "functional.silu": lambda: (F.silu, dict(x=ones(2))),
    "functional.sinusoidal_positions": lambda: (
        F.sinusoidal_positions, dict(length=3, d_model=4),
    ),
}  # fmt: skip

LAYERS: GoodCalls = {
    "nn.Parameter": lambda: (
        nn.Parameter, dict(array=np.ones((2, 4)), parts=(2, 2), is_embedding=False),
    ),
    "nn.Module.astype": lambda: (nn.LayerNorm(3).astype, dict(dtype=np.float64)),
    "nn.Module.load_state_dict": lambda: (
        nn.LayerNorm(3).load_state_dict, dict(state=nn.LayerNorm(3).state_dict(), strict=True),
    ),
    "nn.Module.named_modules": lambda: (nn.LayerNorm(3).named_modules, dict(prefix="")),
    "nn.Module.train": lambda: (nn.LayerNorm(3).train, dict(mode=True)),
    "nn.Linear": lambda: (
        nn.Linear, dict(n_in=2, n_out=4, bias=True, std=0.1, parts=(2, 2), seed=0),
    ),
    "nn.Linear.forward": lambda: (nn.Linear(2, 4, seed=0), dict(x=ones(3, 2))),
    "nn.Embedding": lambda: (nn.Embedding, dict(n=4, d=2, std=0.1, seed=0)),
    "nn.Embedding.forward": lambda: (nn.Embedding(4, 2, seed=0), dict(ids=IDS)),
    "nn.LayerNorm": lambda: (nn.LayerNorm, dict(n=3, bias=True, eps=1e-5)),
    "nn.LayerNorm.forward": lambda: (nn.LayerNorm(3), dict(x=ones(2, 3))),
    "nn.RMSNorm": lambda: (nn.RMSNorm, dict(n=3, eps=1e-5)),
    "nn.RMSNorm.forward": lambda: (nn.RMSNorm(3), dict(x=ones(2, 3))),
    "nn.ShortConvolution": lambda: (nn.ShortConvolution, dict(n=3, width=2, std=0.1, seed=0)),
    "nn.ShortConvolution.forward": lambda: (
        nn.ShortConvolution(3, seed=0), dict(x=ones(1, 2, 3)),
    ),
    "nn.Dropout": lambda: (nn.Dropout, dict(p=0.5)),
    "nn.Dropout.forward": lambda: (nn.Dropout(0.5), dict(x=ones(2, 3), rng=draws())),
    "nn.Identity.forward": lambda: (nn.Identity(), dict(x=ones(2, 3))),
    "nn.LearnedPositions": lambda: (
        nn.LearnedPositions, dict(block_size=4, n_embd=2, std=0.1, seed=0),
    ),
    "nn.LearnedPositions.forward": lambda: (
        nn.LearnedPositions(4, 2, seed=0), dict(x=ones(1, 3, 2), positions=np.arange(3)),
    ),
    "nn.SinusoidalPositions": lambda: (nn.SinusoidalPositions, dict(block_size=4, n_embd=2)),
    "nn.SinusoidalPositions.forward": lambda: (
        nn.SinusoidalPositions(4, 2), dict(x=ones(1, 3, 2), positions=np.arange(3)),
    ),
    "nn.NoPositions.forward": lambda: (
        nn.NoPositions(), dict(x=ones(1, 3, 2), positions=np.arange(3)),
    ),
    "nn.LSTM": lambda: (nn.LSTM, dict(n_in=4, n_hidden=5, seed=0)),
    "nn.LSTM.forward": lambda: (
        nn.LSTM(4, 5, seed=0),
        dict(x=ones(2, 3, 4), h0=ones(2, 5), c0=ones(2, 5), mask=np.ones((2, 3), bool)),
    ),
    "nn.MLP": lambda: (nn.MLP, dict(config=small(), seed=0)),
    "nn.MLP.forward": lambda: (nn.MLP(small(), seed=0), dict(x=ones(1, 3, 8), rng=draws())),
    "nn.GatedMLP": lambda: (nn.GatedMLP, dict(config=small(mlp="gated"), seed=0)),
    "nn.GatedMLP.forward": lambda: (
        nn.GatedMLP(small(mlp="gated"), seed=0), dict(x=ones(1, 3, 8), rng=draws()),
    ),
    "nn.BlockConfig": lambda: (
        nn.BlockConfig,
        dict(n_embd=8, n_head=2, n_inner=8, activation="gelu_tanh", norm="pre", dropout=0.1,
             bias=True, layer_norm_eps=1e-5, init_std=0.02, causal=True, residual=True,
             alibi_scale=None, normalization="layer", mlp="plain", n_kv_head=1, head_width=4,
             qk_norm=True, qkv_bias=True, rotary_base=100.0,
             rotary_scaling=F.RotaryScaling(**SCALING), short_convolution=3),
    ),
    "nn.Block": lambda: (nn.Block, dict(config=small(), layer=0, seed=0)),
    "nn.Block.forward": lambda: (
        nn.Block(small(rotary_base=100.0), seed=0),
        dict(x=ones(1, 3, 8), cache=None, rng=draws(), **HIDDEN),
    ),
    "nn.Block.attention_weights": lambda: (
        nn.Block(small(rotary_base=100.0), seed=0).attention_weights,
        dict(x=ones(1, 3, 8), **HIDDEN),
    ),
    "nn.CausalSelfAttention": lambda: (
        nn.CausalSelfAttention, dict(config=small(), layer=0, seed=0),
    ),
    "nn.CausalSelfAttention.forward": lambda: (
        nn.CausalSelfAttention(small(rotary_base=100.0), seed=0),
        dict(x=ones(1, 3, 8), mask=SEEN, cache=None, rng=draws(), positions=np.arange(3)),
    ),
    "nn.CausalSelfAttention.weights": lambda: (
        nn.CausalSelfAttention(small(rotary_base=100.0), seed=0).weights,
        dict(x=ones(1, 3, 8), mask=SEEN, positions=np.arange(3)),
    ),
    "nn.CrossAttention": lambda: (nn.CrossAttention, dict(config=small(), layer=0, seed=0)),
    "nn.CrossAttention.forward": lambda: (
        nn.CrossAttention(small(), seed=0),
        dict(x=ones(1, 3, 8), memory=ones(1, 3, 8), mask=SEEN, cache=None, rng=draws()),
    ),
    "nn.CrossAttention.keys_and_values": lambda: (
        nn.CrossAttention(small(), seed=0).keys_and_values, dict(memory=ones(1, 3, 8)),
    ),
    "nn.CrossAttention.weights": lambda: (
        nn.CrossAttention(small(), seed=0).weights,
        dict(x=ones(1, 3, 8), memory=ones(1, 3, 8), mask=SEEN),
    ),
    "nn.DecoderBlock": lambda: (nn.DecoderBlock, dict(config=small(), layer=0, seed=0)),
    "nn.DecoderBlock.forward": lambda: (
        nn.DecoderBlock(small(), seed=0),
        dict(x=ones(1, 3, 8), memory=ones(1, 3, 8), mask=SEEN, memory_mask=SEEN, cache=None,
             rng=draws()),
    ),
    "nn.DecoderBlock.cross_attention_weights": lambda: (
        nn.DecoderBlock(small(), seed=0).cross_attention_weights,
        dict(x=ones(1, 3, 8), memory=ones(1, 3, 8), memory_mask=SEEN),
    ),
    "nn.KeyValueCache": lambda: (
        nn.KeyValueCache,
        dict(n_layer=1, batch_size=2, n_head=2, capacity=6, head_size=4, dtype=np.float32),
    ),
    "nn.ConvolutionCache": lambda: (
        nn.ConvolutionCache,
        dict(n_layer=1, batch_size=2, n_head=2, capacity=6, head_size=4, n_inputs=24,
             dtype=np.float32),
    ),
    "nn.KeyValueCache.reorder": lambda: (cache().reorder, dict(rows=[1, 0])),
    "nn.KeyValueCache.reserve": lambda: (cache().reserve, dict(capacity=8)),
    "nn.KeyValueCache.truncate": lambda: (cache().truncate, dict(length=1)),
    "nn.DecoderCache": lambda: (
        nn.DecoderCache, dict(capacity=6, memory=memory(), memory_mask=np.ones((2, 1, 1, 3), bool)),
    ),
    "nn.DecoderCache.reorder": lambda: (nn.DecoderCache(6, memory()).reorder, dict(rows=[1, 0])),
    "nn.LoRALinear": lambda: (
        nn.LoRALinear, dict(linear=nn.Linear(2, 4, seed=0), rank=1, alpha=2.0, dropout=0.1, seed=0),
    ),
    "nn.LoRALinear.forward": lambda: (
        nn.LoRALinear(nn.Linear(2, 4, seed=0), 1, 2.0, dropout=0.1, seed=0),
        dict(x=ones(3, 2), rng=draws()),
    ),
    "nn.add_lora": lambda: (
        nn.add_lora,
        dict(model=nn.Block(small(), seed=0), rank=2, alpha=4.0, targets=["qkv_proj"], seed=0,
             dropout=0.1),
    ),
    "nn.load_lora_state_dict": lambda: (
        nn.load_lora_state_dict, dict(model=with_lora(), state=nn.lora_state_dict(with_lora())),
    ),
    "nn.unmerge_lora": lambda: (
        lambda model, adapters: nn.unmerge_lora(model, adapters),
        (lambda model: dict(adapters=nn.merge_lora(model), model=model))(with_lora()),
    ),
    **{
        f"nn.{name}": lambda name=name: (getattr(nn, name), dict(model=with_lora()))
        for name in ("lora_parameters", "lora_state_dict", "merge_lora")
    },
    **{
        f"nn.{name}": lambda name=name: (getattr(nn, name), dict(module=nn.Block(small(), seed=0)))
        for name in ("freeze", "unfreeze", "frozen", "trainable", "num_trainable")
    },
    "nn.freeze_all_but_last": lambda: (
        nn.freeze_all_but_last,
        dict(module=mg.GPT(mg.GPTConfig(4, 4, 1, 1, 4)), n_blocks=1),
    ),
    "nn.freeze_parts": lambda: (
        nn.freeze_parts, dict(module=nn.Block(small(), seed=0), names=["mlp"]),
    ),
}  # fmt: skip

OPTIMIZERS: GoodCalls = {
    "optim.SGD": lambda: (
        optim.SGD, dict(params=named(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    ),
    "optim.Adam": lambda: (optim.Adam, dict(params=named(), **ADAM)),
    "optim.AdamW": lambda: (optim.AdamW, dict(params=named(), **ADAM)),
    "optim.Muon": lambda: (
        optim.Muon,
        dict(params=named(), lr=0.1, weight_decay=0.1, momentum=0.9, nesterov=True,
             ns_coefficients=(3.0, -4.0, 2.0), eps=1e-7, ns_steps=5, adjust_lr_fn="original",
             adamw_lr=0.1, adamw_betas=(0.9, 0.9), adamw_eps=1e-8),
    ),
    "optim.Optimizer.load_state_dict": lambda: (
        optim.Adam(named()).load_state_dict, dict(state=optim.Adam(named()).state_dict()),
    ),
    "optim.clip_grad_norm": lambda: (
        lambda params, max_norm: optim.clip_grad_norm(params, max_norm),
        dict(params=named(), max_norm=1.0),
    ),
    "optim.gradient_norm": lambda: (optim.gradient_norm, dict(params=named())),
    "optim.constant": lambda: (optim.constant, dict(step=1, learning_rate=0.1)),
    "optim.warmup_cosine": lambda: (optim.warmup_cosine, dict(step=1, **RATES)),
    "optim.warmup_linear": lambda: (optim.warmup_linear, dict(step=1, **RATES)),
    "optim.trapezoid": lambda: (optim.trapezoid, dict(step=1, **RATES, decay_steps=1)),
}  # fmt: skip
