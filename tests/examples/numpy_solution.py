"""The assignment of examples/build_your_own, solved as its readers do: on arrays, by hand.

tests/examples/test_build_your_own.py makes the usual mistakes in this text.
"""

import math

import numpy as np


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(logits, targets):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    is_target = targets[..., None] == np.arange(logits.shape[-1])
    loss = -log_p[is_target].mean()

    def backward(dloss):
        return dloss * (softmax(logits) - is_target) / targets.size

    return loss, backward


def linear(x, W):
    y = x @ W

    def backward(dy):
        dx = dy @ W.T
        dW = x.reshape(-1, x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])
        return dx, dW

    return y, backward


def embedding(ids, W):
    y = W[ids]

    def backward(dy):
        dW = np.zeros_like(W)
        np.add.at(dW, ids, dy)
        return dW

    return y, backward


def gelu(x):
    slope = math.sqrt(2 / math.pi)
    t = np.tanh(slope * (x + 0.044715 * x * x * x))
    y = 0.5 * x * (1 + t)

    def backward(dy):
        du = slope * (1 + 3 * 0.044715 * x * x)
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du)

    return y, backward


def layer_norm(x, gain):
    mean = x.mean(axis=-1, keepdims=True)
    std = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    x_hat = (x - mean) / std
    y = gain * x_hat

    def backward(dy):
        dx_hat = dy * gain
        level = dx_hat.mean(axis=-1, keepdims=True)
        along = x_hat * (dx_hat * x_hat).mean(axis=-1, keepdims=True)
        dx = (dx_hat - level - along) / std
        dgain = (dy * x_hat).reshape(-1, x.shape[-1]).sum(axis=0)
        return dx, dgain

    return y, backward


def attention(q, k, v):
    T, d = q.shape[-2:]
    scale = 1 / math.sqrt(d)
    scores = q @ k.swapaxes(-1, -2) * scale
    past = np.tri(T, dtype=bool)
    scores = np.where(past, scores, -np.inf)
    A = softmax(scores)
    y = A @ v

    def backward(dy):
        dA = dy @ v.swapaxes(-1, -2)
        dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True)) * scale
        dq = dS @ k
        dk = dS.swapaxes(-1, -2) @ q
        dv = A.swapaxes(-1, -2) @ dy
        return dq, dk, dv

    return y, backward


def multi_head_attention(q, k, v, n_head):
    B, T, C = q.shape

    def split(x):
        return x.reshape(B, T, n_head, C // n_head).swapaxes(1, 2)

    def merge(x):
        return x.swapaxes(1, 2).reshape(B, T, C)

    y, back = attention(split(q), split(k), split(v))

    def backward(dy):
        dq, dk, dv = back(split(dy))
        return merge(dq), merge(dk), merge(dv)

    return merge(y), backward


def block(x, W, n_head):
    h, norm1_back = layer_norm(x, W["norm 1"])
    q, q_back = linear(h, W["query"])
    k, k_back = linear(h, W["key"])
    v, v_back = linear(h, W["value"])
    a, attention_back = multi_head_attention(q, k, v, n_head)
    a, out_back = linear(a, W["out"])
    x1 = x + a
    h2, norm2_back = layer_norm(x1, W["norm 2"])
    u, up_back = linear(h2, W["up"])
    g, gelu_back = gelu(u)
    f, down_back = linear(g, W["down"])
    y = x1 + f

    def backward(dy):
        dW = {}
        dg, dW["down"] = down_back(dy)
        dh2, dW["up"] = up_back(gelu_back(dg))
        dx1, dW["norm 2"] = norm2_back(dh2)
        dx1 = dx1 + dy
        da, dW["out"] = out_back(dx1)
        dq, dk, dv = attention_back(da)
        dhq, dW["query"] = q_back(dq)
        dhk, dW["key"] = k_back(dk)
        dhv, dW["value"] = v_back(dv)
        dx, dW["norm 1"] = norm1_back(dhq + dhk + dhv)
        dx = dx + dx1
        return dx, dW

    return y, backward


def next_token(logits, temperature, top_k, rng):
    if temperature == 0:
        return int(logits.argmax())
    z = logits / temperature
    if top_k is not None and top_k < len(z):
        least = np.sort(z)[-top_k]
        z = np.where(z >= least, z, -np.inf)
    p = softmax(z)
    return int(rng.choice(len(p), p=p / p.sum()))


def adamw(theta, g, m, v, t, lr, weight_decay):
    m = 0.9 * m + 0.1 * g
    v = 0.99 * v + 0.01 * g * g
    m_hat = m / (1 - 0.9**t)
    v_hat = v / (1 - 0.99**t)
    theta = theta - lr * m_hat / (np.sqrt(v_hat) + 1e-8) - lr * weight_decay * theta
    return theta, m, v


def train_step(W, loss_and_gradients, moments, ids, targets, t, lr):
    loss, gradients = loss_and_gradients(W, ids, targets)
    norm = math.sqrt(sum((g * g).sum() for g in gradients.values()))
    for name, g in gradients.items():
        g = g / max(1.0, norm)
        m, v = moments[name]
        decay = 0.1 if g.ndim == 2 else 0.0
        W[name], m, v = adamw(W[name], g, m, v, t, lr, decay)
        moments[name] = m, v
    return loss
