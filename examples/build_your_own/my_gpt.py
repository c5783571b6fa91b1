"""My own GPT: twelve functions on NumPy arrays, for me to write.

    python examples/build_your_own/check.py

says which is next, and what is still wrong with it, in words. Each has a page in pages/, with the
equation, the shapes, an example to do by hand, and the usual mistakes.

An operation returns two things: its value y, and the function ``backward``, which turns ∂loss/∂y
(called dy) into the derivatives of the loss by its inputs. Sizes: B texts in a batch, T tokens in a
text, C features of a token, h heads of d = C/h features, V tokens in the vocabulary.
"""

import math  # noqa: F401

import numpy as np  # noqa: F401


def softmax(x):
    """1. Scores become probabilities, along the last axis: (…, n) -> (…, n). No backward here."""
    raise NotImplementedError


def cross_entropy(logits, targets):
    """2. The loss of a language model, a number. logits (…, V), targets (…) of integers.

    Returns: loss, backward; backward(dloss) -> dlogits
    """
    raise NotImplementedError


def linear(x, W):
    """3. y = x W: (…, C) @ (C, D) -> (…, D), where … may be T, or B and T.

    Returns: y, backward; backward(dy) -> dx, dW
    """
    raise NotImplementedError


def embedding(ids, W):
    """4. A row of W (V, C) for each of the ids (B, T) -> (B, T, C).

    Returns: y, backward; backward(dy) -> dW
    """
    raise NotImplementedError


def gelu(x):
    """5. A smooth ramp, number by number.

    Returns: y, backward; backward(dy) -> dx
    """
    raise NotImplementedError


def layer_norm(x, gain):
    """6. Features of mean 0 and variance 1 at each place, times a gain: (…, C), (C,) -> (…, C).

    Returns: y, backward; backward(dy) -> dx, dgain
    """
    raise NotImplementedError


def attention(q, k, v):
    """7. Causal attention of one head; all are (…, T, d), where … may be nothing, B, or B and h.

    Returns: y, backward; backward(dy) -> dq, dk, dv
    """
    raise NotImplementedError


def multi_head_attention(q, k, v, n_head):
    """8. n_head attentions side by side, on d = C/n_head features each: (B, T, C) -> (B, T, C).

    Returns: y, backward; backward(dy) -> dq, dk, dv
    """
    raise NotImplementedError


def block(x, W, n_head):
    """9. A layer of a GPT: (B, T, C) -> (B, T, C).

    W is a dict: "norm 1" and "norm 2" (C,); "query", "key", "value", "out" (C, C); "up" (C, 4·C);
    "down" (4·C, C).

    Returns: y, backward; backward(dy) -> dx, and a dict of gradients by the same names
    """
    raise NotImplementedError


def next_token(logits, temperature, top_k, rng):
    """10. An int, drawn from the probabilities of logits (V,). top_k may be None.

    rng is a numpy.random.Generator. Temperature 0 takes the likeliest token.
    """
    raise NotImplementedError


def adamw(theta, g, m, v, t, lr, weight_decay):
    """11. Step t = 1, 2, … of AdamW, with β₁ = 0.9, β₂ = 0.99, ε = 1e-8.

    g is ∂loss/∂theta; m and v are what it remembers, arrays of the same shape, 0 at first.

    Returns: the new theta, m, v
    """
    raise NotImplementedError


def train_step(W, loss_and_gradients, moments, ids, targets, t, lr):
    """12. One step of training; it puts new arrays into W and new tuples into moments.

    W is a dict of arrays. loss_and_gradients(W, ids, targets) gives the loss, and a dict of
    gradients by the names in W. moments[name] is the tuple (m, v) of W[name].

    Returns: the loss
    """
    raise NotImplementedError
