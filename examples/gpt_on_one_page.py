"""A GPT on one page: from the derivative of a sum to a text that the model writes by itself.

    python examples/gpt_on_one_page.py

NumPy multiplies the matrices; all else is here. An operation is a short function: its value and,
right below, its derivative in the same symbols. Sizes: B texts in a batch, T characters in a text,
C features of a character, h attention heads of d = C/h features, V different characters.
"""

import math
import os
import textwrap
import time
from pydoc_data.topics import topics  # real text that every Python has: what help() shows

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for small matrices one thread is the fastest
import numpy as np

N_LAYER, N_HEAD, WIDTH, CONTEXT = 2, 4, 96, 32  # WIDTH is C, and CONTEXT the largest T
STEPS, BATCH_SIZE, LEARNING_RATE = 2400, 12, 4e-3

# ── 1. Derivatives ──────────────────────────────────────────────────────────────────────────────
# Learning asks of every number: if it grew a little, how much would the loss grow? Each operation
# is noted on a tape; read backwards, it turns ∂loss/∂result into ∂loss/∂input: the chain rule.
tape = []


class Tensor:
    """An array of numbers, and ∂loss/∂number for each of them."""

    def __init__(self, data, inputs=(), derivative=None):
        self.data, self.grad = data, 0.0
        if inputs:
            tape.append((self, inputs, derivative))

    def __add__(self, other):
        """y = a + b. What a or b grows by, y grows by, so ∂loss/∂a = ∂loss/∂b = ∂loss/∂y."""
        return Tensor(self.data + other.data, (self, other), lambda dy: (dy, dy))

    def __matmul__(self, weight):
        """y = x W: every feature of y is a weighted sum of the features of x."""
        x, W = self.data, weight.data

        def derivative(dy):  # here and below, dy is ∂loss/∂y: dx = dy Wᵀ, dW = xᵀ dy
            return dy @ W.T, x.reshape(-1, W.shape[0]).T @ dy.reshape(-1, W.shape[1])

        return Tensor(x @ W, (self, weight), derivative)  # (B, T, C) @ (C, D) -> (B, T, D)


def backward(loss):
    """∂loss/∂x for every x that the loss was computed from, the last operation first."""
    loss.grad = 1.0
    while tape:
        y, inputs, derivative = tape.pop()
        for x, dx in zip(inputs, derivative(y.grad), strict=True):
            x.grad += dx  # x may be used in several places: it moves the loss through each


# ── 2. The parts ────────────────────────────────────────────────────────────────────────────────
def embedding(weight, ids):
    """y = W[id]: each character has features of its own, which are learned."""

    def derivative(dy):
        dW = np.zeros_like(weight.data)
        np.add.at(dW, ids, dy)  # a row that was looked up n times gets n derivatives
        return (dW,)

    return Tensor(weight.data[ids], (weight,), derivative)  # (B, T) -> (B, T, C)


def layer_norm(x, gain):
    """y = γ ∘ x̂, x̂ = (x − μ)/√(σ² + ε): features of mean 0 and variance 1 (Ba et al. 2016)."""
    std = np.sqrt(x.data.var(-1, keepdims=True) + 1e-5)
    x_hat = (x.data - x.data.mean(-1, keepdims=True)) / std  # (B, T, C) - (B, T, 1)

    def derivative(dy):  # μ and σ move with x, which takes two means away
        dx_hat = dy * gain.data
        along = x_hat * (dx_hat * x_hat).mean(-1, keepdims=True)
        dx = (dx_hat - dx_hat.mean(-1, keepdims=True) - along) / std
        return dx, (dy * x_hat).sum(axis=(0, 1))

    return Tensor(gain.data * x_hat, (x, gain), derivative)


def gelu(x):
    """y = ½x(1 + tanh u), u = √(2/π)(x + 0.044715x³): a smooth ramp (Hendrycks & Gimpel 2016)."""
    slope, square = math.sqrt(2 / math.pi), x.data * x.data
    tanh = np.tanh(slope * x.data * (1 + 0.044715 * square))

    def derivative(dy):  # tanh′u = 1 − tanh²u
        du = slope * (1 + 3 * 0.044715 * square)
        return (dy * (0.5 * (1 + tanh) + 0.5 * x.data * (1 - tanh * tanh) * du),)

    return Tensor(0.5 * x.data * (1 + tanh), (x,), derivative)


def softmax(x):
    """pᵢ = exp(xᵢ)/Σⱼ exp(xⱼ): scores become probabilities. Minus the largest, none overflows."""
    exp = np.exp(x - x.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def attention(q, k, v):
    """softmax(Q Kᵀ/√d) V: a mean of values, by how keys fit a query (Vaswani et al. 2017, §3.2)."""
    B, T, C = q.data.shape  # (B, T, C) -> (B, h, T, d)
    Q, K, V = (x.data.reshape(B, T, N_HEAD, -1).swapaxes(1, 2) for x in (q, k, v))
    scale = 1 / math.sqrt(C / N_HEAD)
    scores = Q @ K.swapaxes(2, 3) * scale  # (B, h, T, d) @ (B, h, d, T) -> (B, h, T, T)
    scores[:, :, ~np.tri(T, dtype=bool)] = -np.inf  # nobody sees the future
    A = softmax(scores)

    def derivative(dy):
        dY = dy.reshape(B, T, N_HEAD, -1).swapaxes(1, 2)
        dA = dY @ V.swapaxes(2, 3)
        dscores = A * (dA - (dA * A).sum(-1, keepdims=True)) * scale  # rows of A sum to 1
        dQKV = dscores @ K, dscores.swapaxes(2, 3) @ Q, A.swapaxes(2, 3) @ dY
        return tuple(dx.swapaxes(1, 2).reshape(B, T, C) for dx in dQKV)

    return Tensor((A @ V).swapaxes(1, 2).reshape(B, T, C), (q, k, v), derivative)


def cross_entropy(logits, targets):
    """−mean log p(target), p = softmax(logits): 0 for whoever knows, log V for whoever guesses."""
    p = softmax(logits.data)
    is_target = targets[..., None] == np.arange(p.shape[-1])  # (B, T, 1) == (V,) -> (B, T, V)

    def derivative(dloss):  # p − 1 at the target, p elsewhere
        return (dloss * (p - is_target) / targets.size,)

    return Tensor(-np.log(p[is_target]).mean(), (logits,), derivative)


# ── 3. The model: GPT-2's (Radford et al. 2019), without its biases ─────────────────────────────
def new_weights(vocab_size, rng):
    """Everything that is learned: matrices, random at first, and the gains of the layer norms."""
    V, C, T = vocab_size, WIDTH, CONTEXT
    shapes = {"character": (V, C), "position": (T, C), "norm": (C,), "logits": (C, V)}
    for i in range(N_LAYER):
        shapes |= {(i, "norm 1"): (C,), (i, "query"): (C, C), (i, "key"): (C, C)}
        shapes |= {(i, "value"): (C, C), (i, "out"): (C, C)}
        shapes |= {(i, "norm 2"): (C,), (i, "up"): (C, 4 * C), (i, "down"): (4 * C, C)}
    values = (rng.normal(0, 0.06, s) if len(s) == 2 else np.ones(s) for s in shapes.values())
    return {name: Tensor(x.astype(np.float32)) for name, x in zip(shapes, values, strict=True)}


def gpt(W, ids):
    """Scores for every character that may follow each of those given: (B, T) -> (B, T, V)."""
    places = np.arange(ids.shape[1]) + 0 * ids  # 0, 1, 2, … in every row
    x = embedding(W["character"], ids) + embedding(W["position"], places)
    for i in range(N_LAYER):
        h = layer_norm(x, W[i, "norm 1"])  # ask the others …
        x = x + attention(h @ W[i, "query"], h @ W[i, "key"], h @ W[i, "value"]) @ W[i, "out"]
        h = layer_norm(x, W[i, "norm 2"])  # … and think it over
        x = x + gelu(h @ W[i, "up"]) @ W[i, "down"]
    return layer_norm(x, W["norm"]) @ W["logits"]


# ── 4. Learning, and writing ────────────────────────────────────────────────────────────────────
def adam(W, m, v, t, learning_rate, beta1=0.9, beta2=0.99):
    """θ ← θ − η m̂/(√v̂ + ε); m and v: running means of g and g² (Kingma & Ba 2015)."""
    for name, weight in W.items():
        m[name] = beta1 * m[name] + (1 - beta1) * weight.grad
        v[name] = beta2 * v[name] + (1 - beta2) * weight.grad**2
        m_hat, v_hat = m[name] / (1 - beta1**t), v[name] / (1 - beta2**t)
        weight.data -= learning_rate * m_hat / (np.sqrt(v_hat) + 1e-8)
        weight.grad = 0.0


def write(W, characters, text, length, rng, temperature=0.5):
    """Draw the next character from the model's probabilities, and again, and again."""
    while len(text) < length:
        ids = np.array([[characters.index(c) for c in text[-CONTEXT:]]])  # (1, T)
        text += rng.choice(characters, p=softmax(gpt(W, ids).data[0, -1] / temperature))
        tape.clear()  # nothing is learned from this
    return text


def main(steps=STEPS):
    text = " ".join(" ".join(topics[name] for name in sorted(topics)).split())  # one long line
    characters = sorted(set(text))
    ids = np.array([characters.index(c) for c in text])
    print(f"{len(text):,} characters; to guess the next one costs {math.log(len(characters)):.2f}")
    rng, started, losses, report = np.random.default_rng(0), time.time(), [], math.ceil(steps / 10)
    W = new_weights(len(characters), rng)
    m, v = dict.fromkeys(W, 0.0), dict.fromkeys(W, 0.0)
    for t in range(1, steps + 1):
        starts = rng.integers(len(ids) - CONTEXT, size=(BATCH_SIZE, 1))
        batch = ids[starts + np.arange(CONTEXT + 1)]  # (B, T + 1)
        loss = cross_entropy(gpt(W, batch[:, :-1]), batch[:, 1:])  # each predicts the one after it
        backward(loss)
        adam(W, m, v, t, LEARNING_RATE * min(t / 100, 1 - (t - 1) / steps))  # up, then down to 0
        losses.append(loss.data)
        if t % report == 0:
            mean, said = np.mean(losses[-report:]), write(W, characters, "The ", 64, rng)
            print(f"{time.time() - started:3.0f} s  step {t:4}  loss {mean:.2f}  {said}")
    print("\n" + textwrap.fill(write(W, characters, "The ", 500, rng), 96))


if __name__ == "__main__":
    main()
