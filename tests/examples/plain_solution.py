"""The assignment of examples/build_your_own, solved with the plain pages of the library.

Each function is that of a plain page, on arrays: it records the operation, and walks it back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigpt.functional import plain
from minigpt.operations import concatenate
from minigpt.optim import clip_grad_norm
from minigpt.optim import plain as optim
from minigpt.sampling import plain as sampling
from minigpt.tensor import Tensor


def operation(function: Callable[..., Tensor], *arrays: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Value and way back of a function of tensors."""

    def backward(dy: Any) -> Any:
        inputs = [Tensor(array, requires_grad=True) for array in arrays]
        y = function(*inputs)
        y.backward(np.broadcast_to(np.asarray(dy, y.dtype), y.shape))
        gradients = tuple(x.grad for x in inputs)
        return gradients[0] if len(gradients) == 1 else gradients

    return function(*map(Tensor, arrays)).numpy(), backward


def softmax(x):
    return plain.softmax(Tensor(x)).numpy()


def cross_entropy(logits, targets):
    loss, backward = operation(lambda x: plain.cross_entropy(x, targets), logits)
    return float(loss), backward


def linear(x, W):
    return operation(plain.linear, x, W)


def embedding(ids, W):
    return operation(lambda W: plain.embedding(ids, W), W)


def gelu(x):
    return operation(plain.gelu, x)


def layer_norm(x, gain):
    return operation(plain.layer_norm, x, gain)


def attention(q, k, v):
    return operation(lambda q, k, v: plain.attention(q, k, v, causal=True), q, k, v)


def multi_head_attention(q, k, v, n_head):
    def heads(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        qkv = concatenate([q, k, v], axis=-1)
        return plain.multi_head_attention(qkv, n_head, causal=True)

    return operation(heads, q, k, v)


LIBRARY_NAMES = {
    "norm 1": "attention_norm", "out": "attention.out_proj",
    "norm 2": "mlp_norm", "up": "mlp.up_proj", "down": "mlp.down_proj",
}  # fmt: skip


def block(x, W, n_head):
    def layer(x: Tensor, *weights: Tensor) -> Tensor:
        w = dict(zip(W, weights, strict=True))
        parameters = {f"{own}.weight": w[name] for name, own in LIBRARY_NAMES.items()}
        qkv = concatenate([w[name] for name in ("query", "key", "value")], axis=-1)
        return plain.block(x, {**parameters, "attention.qkv_proj.weight": qkv}, n_head)

    y, back = operation(layer, x, *W.values())

    def backward(dy: Any) -> Any:
        dx, *gradients = back(dy)
        return dx, dict(zip(W, gradients, strict=True))

    return y, backward


def next_token(logits, temperature, top_k, rng):
    if temperature == 0:
        return sampling.greedy(logits)
    z = sampling.temperature(logits, temperature)
    return sampling.draw(sampling.softmax(z if top_k is None else sampling.top_k(z, top_k)), rng)


def adamw(theta, g, m, v, t, lr, weight_decay):
    return optim.adamw(theta, g, m, v, t, lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay)


def train_step(W, loss_and_gradients, moments, ids, targets, t, lr):
    loss, gradients = loss_and_gradients(W, ids, targets)
    parameters = {name: Tensor(w, requires_grad=True) for name, w in W.items()}
    for name, parameter in parameters.items():
        parameter.grad = gradients[name]
    clip_grad_norm(parameters.values(), 1.0)
    for name, parameter in parameters.items():
        decay = 0.1 if parameter.ndim == 2 else 0.0
        W[name], *moments[name] = adamw(W[name], parameter.grad, *moments[name], t, lr, decay)
        moments[name] = tuple(moments[name])
    return loss
