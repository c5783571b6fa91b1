"""GPT-2's architecture and its training step in plain JAX: a contender of ``training_step.py``.

Parameters have minigpt's names and layouts. Nothing else of minigpt is here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

Parameters = dict[str, jax.Array]


def training_step(
    state: Mapping[str, np.ndarray],
    ids: np.ndarray,
    targets: np.ndarray,
    *,
    n_layer: int,
    n_head: int,
    dropout: float,
    activation: str,
    learning_rate: float,
    betas: tuple[float, float],
    weight_decay: float,
    max_norm: float,
) -> Callable[[], float]:
    """A step compiled by ``jit``: the old parameters' memory is given back for the new ones."""
    parameters: Parameters = {name: jnp.array(value) for name, value in state.items()}
    optimizer = optax.chain(
        optax.clip_by_global_norm(max_norm),
        optax.adamw(
            learning_rate,
            *betas,
            weight_decay=weight_decay,
            mask={name: value.ndim >= 2 for name, value in parameters.items()},
        ),
    )

    def step(parameters, moments, key, ids, targets):
        key, use = jax.random.split(key)
        value, gradients = jax.value_and_grad(loss)(
            parameters, ids, targets, use, n_layer, n_head, dropout, activation
        )
        updates, moments = optimizer.update(gradients, moments, parameters)
        return optax.apply_updates(parameters, updates), moments, key, value

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    data = jnp.array(ids), jnp.array(targets)
    now = parameters, optimizer.init(parameters), jax.random.key(0)

    def work() -> float:
        nonlocal now
        *now, value = jax.block_until_ready(compiled(*now, *data))
        return float(value)

    return work


def loss(p: Parameters, ids, targets, key, n_layer, n_head, dropout, activation):
    """Mean cross-entropy of the next token; the head is tied to the embedding."""
    keys = iter(jax.random.split(key, 1 + 3 * n_layer))
    x = p["token_embedding.weight"][ids] + p["position_embedding.weight"][: ids.shape[1]]
    x = dropped(x, dropout, next(keys))
    for i in range(n_layer):
        names = [name for name in p if name.startswith(f"blocks.{i}.")]
        block = {name.removeprefix(f"blocks.{i}."): p[name] for name in names}
        h = layer_norm(x, block, "attention_norm")
        h = attention(linear(h, block, "attention.qkv_proj"), n_head, dropout, next(keys))
        x = x + dropped(linear(h, block, "attention.out_proj"), dropout, next(keys))
        h = linear(layer_norm(x, block, "mlp_norm"), block, "mlp.up_proj")
        h = jax.nn.gelu(h, approximate=activation == "gelu_tanh")
        x = x + dropped(linear(h, block, "mlp.down_proj"), dropout, next(keys))
    logits = layer_norm(x, p, "final_norm") @ p["token_embedding.weight"].T
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()


def attention(qkv, n_head, dropout, key):
    """Causal, of all heads: (B, T, 3·C) -> (B, T, C)."""
    b, t, width = qkv.shape
    q, k, v = qkv.reshape(b, t, 3, n_head, -1).transpose(2, 0, 3, 1, 4)  # 3 of (B, h, T, d)
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]).astype(q.dtype)
    scores = jnp.where(np.tri(t, dtype=bool), scores, -jnp.inf)
    heads = dropped(jax.nn.softmax(scores), dropout, key) @ v
    return heads.transpose(0, 2, 1, 3).reshape(b, t, width // 3)


def layer_norm(x, p, name, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    normal = centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + eps)
    return normal * p[f"{name}.weight"] + p.get(f"{name}.bias", 0)


def linear(x, p, name):
    return x @ p[f"{name}.weight"] + p.get(f"{name}.bias", 0)


def dropped(x, p, key):
    return x if p == 0 else jnp.where(jax.random.bernoulli(key, 1 - p, x.shape), x / (1 - p), 0)


def about() -> str:
    """The version, and what decides how fast it is."""
    every = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if every else os.cpu_count()
    devices = ", ".join(f"{device.device_kind} {device.id}" for device in jax.devices())
    return (
        f"JAX {jax.__version__}, optax {optax.__version__}, devices: {devices}; XLA's own threads, "
        f"on {cores} cores; XLA_FLAGS: {os.environ.get('XLA_FLAGS', 'none')}"
    )
