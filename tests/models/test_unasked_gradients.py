"""Nobody computes a gradient that nobody asked for: of frozen parameters, or below the lowest."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import minigpt as mg
from minigpt import nn
from minigpt.autograd import Node

IDS = np.random.default_rng(0).integers(0, 11, (3, 6))
WIDTH, VOCABULARY, LAYERS, RANK = 8, 11, 3, 2
FAMILIES = {
    "gpt2": mg.GPTConfig(VOCABULARY, 6, LAYERS, 2, WIDTH),
    "llama": mg.GPTConfig.llama(VOCABULARY, 6, LAYERS, 2, WIDTH, n_kv_head=1, qk_norm=True),
}


@pytest.fixture
def walk(monkeypatch):
    """The steps of walks back: the operation, and per input whether it was asked for, and came."""
    steps: list[tuple[str, list[bool], list[np.ndarray | None]]] = []
    make = Node.__init__

    def watched(self, value, inputs, vjp):
        make(self, value, inputs, vjp)
        asked, name = [source is not None for source in self.inputs], self.operation

        def watching(g):
            parts = vjp(g)
            # What is passed on as it came is not computed.
            steps.append((name, asked, [None if part is g else part for part in parts]))
            return parts

        self.vjp = watching

    monkeypatch.setattr(Node, "__init__", watched)
    return steps


def gradients_of(model):
    model.loss(IDS[:, :-1], IDS[:, 1:]).backward()
    return {name for name, p in model.named_parameters() if p.grad is not None}


def unasked(walk):
    return [
        (name, part.shape)
        for name, asked, parts in walk
        for wanted, part in zip(asked, parts, strict=True)
        if part is not None and not wanted
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_weights_have_no_product_of_their_own(family, walk):
    """A linear layer's walk back is two products, ∂L/∂x and ∂L/∂W; a frozen one's is the first."""
    model = mg.GPT(FAMILIES[family], seed=0)
    everything = gradients_of(model)
    assert everything == set(nn.trainable(model)) and not unasked(walk)
    of_all = Counter(name for name, _, _ in walk)["linear"]
    walk.clear()

    adapted = nn.add_lora(model, rank=RANK)
    model.zero_grad()
    assert gradients_of(model) == set(nn.trainable(model)) and not unasked(walk)
    products = Counter(
        part.shape
        for name, _, parts in walk
        if name == "linear"
        for part in parts[:2]
        if part is not None
    )
    layers = [(p.shape, "lora" in n) for n, p in model.named_parameters() if p.ndim == 2]
    frozen = [shape for shape, is_adapter in layers if not is_adapter]
    assert not products.keys() & set(frozen)  # no ∂L/∂W among them
    of_adapters = sum(products[shape] for shape in {s for s, is_adapter in layers if is_adapter})
    assert of_adapters == 2 * len(adapted)  # A and B of each
    # ∂L/∂x of each frozen layer, of A and of B: of the lowest layer, which nothing learns below,
    # of B only.
    assert products.total() == of_adapters + (of_all + 2 * len(adapted)) - 2


@pytest.mark.parametrize("family", FAMILIES)
def test_the_walk_ends_at_the_lowest_part_that_learns(family, walk):
    model = mg.GPT(FAMILIES[family], seed=0)
    nn.freeze_all_but_last(model, 1)
    assert gradients_of(model) == set(nn.trainable(model)) and not unasked(walk)
    in_a_block = sum(isinstance(part, nn.Linear) for _, part in model.blocks[-1].named_modules())
    steps = Counter(name for name, _, _ in walk)
    assert steps["linear"] == in_a_block + 1  # and the head
    assert steps["multi_head_attention"] == 1 and steps["embedding"] == 0
