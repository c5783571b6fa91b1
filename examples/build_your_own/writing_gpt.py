"""What is given: the GPT that the twelve functions make up, its training, and how it writes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pydoc_data.topics import topics  # real text that every Python has: what help() shows
from typing import Any

import numpy as np

N_LAYER, N_HEAD, WIDTH, CONTEXT = 2, 4, 96, 32
BATCH_SIZE, LEARNING_RATE = 12, 4e-3
BLOCK = ("norm 1", "query", "key", "value", "out", "norm 2", "up", "down")
Weights = dict[Any, Any]


def new_weights(vocab_size: int, rng: np.random.Generator) -> Weights:
    """Matrices, random at first, and the gains of the layer norms, 1 at first."""
    V, C, T = vocab_size, WIDTH, CONTEXT
    of_block = {"norm 1": (C,), "norm 2": (C,), "up": (C, 4 * C), "down": (4 * C, C)}
    shapes: dict[Any, tuple[int, ...]] = {"character": (V, C), "position": (T, C)}
    shapes |= {"norm": (C,), "logits": (C, V)}
    shapes |= {(i, name): of_block.get(name, (C, C)) for i in range(N_LAYER) for name in BLOCK}
    return {
        name: np.ones(shape, np.float32)
        if len(shape) == 1
        else rng.normal(0, 0.06, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


class GPT:
    """GPT-2 without biases, of the reader's own functions.

    Args:
        own: the module with the twelve functions.
    """

    def __init__(self, own: Any) -> None:
        self.own = own

    def forward(self, W: Weights, ids: Any) -> tuple[Any, Callable[[Any], Weights]]:
        """Logits (B, T, V) of the tokens that follow ids (B, T), and the way back."""
        own = self.own
        places = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        of_ids, ids_back = own.embedding(ids, W["character"])
        of_places, places_back = own.embedding(places, W["position"])
        x = of_ids + of_places
        blocks_back = []
        for i in range(N_LAYER):
            x, back = own.block(x, {name: W[i, name] for name in BLOCK}, N_HEAD)
            blocks_back.append(back)
        x, norm_back = own.layer_norm(x, W["norm"])
        logits, logits_back = own.linear(x, W["logits"])

        def backward(dlogits: Any) -> Weights:
            gradients: Weights = {}
            dx, gradients["logits"] = logits_back(dlogits)
            dx, gradients["norm"] = norm_back(dx)
            for i in reversed(range(N_LAYER)):
                dx, of_block = blocks_back[i](dx)
                gradients |= {(i, name): of_block[name] for name in BLOCK}
            gradients["character"], gradients["position"] = ids_back(dx), places_back(dx)
            return gradients

        return logits, backward

    def loss_and_gradients(self, W: Weights, ids: Any, targets: Any) -> tuple[float, Weights]:
        """The loss of a batch, and its derivative by every number in W."""
        logits, back = self.forward(W, ids)
        loss, loss_back = self.own.cross_entropy(logits, targets)
        return float(loss), back(loss_back(1.0))

    def write(
        self, W: Weights, characters: list[str], text: str, length: int, rng: np.random.Generator
    ) -> str:
        """Go on from a text, a character at a time."""
        while len(text) < length:
            ids = np.array([[characters.index(c) for c in text[-CONTEXT:]]])
            logits, _ = self.forward(W, ids)
            text += characters[self.own.next_token(logits[0, -1], 0.5, 20, rng)]
        return text


def train_and_write(
    own: Any, text: str | None, steps: int, show: Callable[[str], None] = print
) -> float:
    """Train the reader's GPT on a text, by default on Python's own manual; the last mean loss.

    Raises:
        ValueError: the text is shorter than a few sentences.
    """
    text = text or " ".join(" ".join(topics[name] for name in sorted(topics)).split())
    characters = sorted(set(text))
    if len(text) < 10 * CONTEXT or len(characters) < 2:
        raise ValueError(f"the text has {len(text):,} characters: take a longer one")
    place = {c: i for i, c in enumerate(characters)}
    ids = np.array([place[c] for c in text])
    rng, started = np.random.default_rng(0), time.perf_counter()
    W = new_weights(len(characters), rng)
    moments = {name: (np.zeros_like(w), np.zeros_like(w)) for name, w in W.items()}
    gpt, losses, report = GPT(own), [], math.ceil(steps / 10)
    beginning = text[: text.find(" ", 3) + 1 or 4]
    show(
        f"{len(text):,} characters, {len(characters)} different ones: to guess costs "
        f"{math.log(len(characters)):.2f} a character"
    )
    for t in range(1, steps + 1):
        starts = rng.integers(len(ids) - CONTEXT, size=(BATCH_SIZE, 1))
        batch = ids[starts + np.arange(CONTEXT + 1)]  # (B, T + 1)
        rate = LEARNING_RATE * min(t / 100, 1 - (t - 1) / steps)  # up, then down to 0
        losses.append(
            own.train_step(W, gpt.loss_and_gradients, moments, batch[:, :-1], batch[:, 1:], t, rate)
        )
        if t % report == 0 or t == steps:
            said = gpt.write(W, characters, beginning, 60, rng)
            seconds = time.perf_counter() - started
            show(f"{seconds:3.0f} s  step {t:4}  loss {np.mean(losses[-report:]):.2f}  {said}")
    show("\n" + gpt.write(W, characters, beginning, 400, rng))
    return float(np.mean(losses[-report:]))
