"""The equations E1 to E15 as the library computes them, each beside an independent computation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import equations_by_hand as by_hand
import minigpt as mg
import minigpt.functional as F
from attention_by_hand import SENTENCE, W_K, W_Q, W_V, X
from equations_by_hand import Matrix, Numbers, Vector
from minigpt.datasets import masked
from minigpt.nn import Block, BlockConfig
from minigpt.sampling import log_probability
from minigpt.sampling.filters import apply_temperature, softmax, top_k_filter, top_p_filter


@dataclass(frozen=True)
class Check:
    """What the library gives, and what it should.

    Attributes:
        library: numbers, in an array.
        by_hand: the same in plain Python, in a kind of numbers.
        torch: the same by PyTorch, which is given as the module; None where it has nothing alike.
    """

    library: Any
    by_hand: Callable[[Numbers], Any]
    torch: Callable[[Any], Any] | None = None


def draws(seed: int, *shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def tensors(*arrays: Any) -> Any:
    return [mg.Tensor(array) for array in arrays]


def attention() -> Check:
    q, k, v = draws(1, (4, 3), (5, 3), (5, 2))
    return Check(
        F.scaled_dot_product_attention(*tensors(q, k, v)).numpy(),
        lambda m: by_hand.attention(m.of(q), m.of(k), m.of(v), m),
        lambda torch: torch.nn.functional.scaled_dot_product_attention(
            *map(torch.from_numpy, (q, k, v))
        ),
    )


def three_tokens() -> Check:
    def hand(m: Numbers) -> Matrix:
        x = m.of(X)
        q, k, v = (by_hand.matmul(x, m.of(w)) for w in (W_Q, W_K, W_V))
        return by_hand.attention(q, k, v, m)

    return Check(
        F.scaled_dot_product_attention(*tensors(X @ W_Q, X @ W_K, X @ W_V)).numpy(),
        hand,
        lambda torch: torch.nn.functional.scaled_dot_product_attention(
            *(torch.from_numpy(X @ w) for w in (W_Q, W_K, W_V))
        ),
    )


def weights_of_sat() -> Check:
    q, k = draws(3, (6, 4), (6, 4))
    sat = SENTENCE.index("sat")

    def hand(m: Numbers) -> Matrix:
        every = by_hand.attention_weights(m.of(q), m.of(k), m)[sat]
        causal = by_hand.attention_weights(m.of(q), m.of(k), m, by_hand.earlier)[sat]
        return [every, causal]

    def theirs(torch: Any) -> Any:
        scores = torch.from_numpy(q[sat] @ k.T / 2)  # √4
        hidden = torch.arange(6) > sat
        causal = scores.masked_fill(hidden, -torch.inf)
        return torch.stack([torch.softmax(scores, -1), torch.softmax(causal, -1)])

    library = [F.attention_weights(q, k, causal=causal)[sat] for causal in (False, True)]
    return Check(np.stack(library), hand, theirs)


def positions() -> Check:
    return Check(
        F.sinusoidal_positions(6, 8),
        lambda m: [by_hand.position(place, 8, m) for place in range(6)],
    )


def layer_norm() -> Check:
    x, gain, bias = draws(5, (3, 6), (6,), (6,))
    return Check(
        F.layer_norm(*tensors(x, gain, bias)).numpy(),
        lambda m: by_hand.layer_norm(m.of(x), m.of(gain), m.of(bias), m),
        lambda torch: torch.nn.functional.layer_norm(
            torch.from_numpy(x), (6,), torch.from_numpy(gain), torch.from_numpy(bias)
        ),
    )


def small_gpt() -> mg.GPT:
    model = mg.GPT(mg.GPTConfig(11, block_size=6, n_layer=2, n_head=2, n_embd=8, init_std=0.5))
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(np.float64)
    return model.eval()


def chain_rule() -> Check:
    model, ids = small_gpt(), np.array([3, 1, 4, 1, 5, 9])
    # Each token by the ones before it, read anew: as many texts as tokens.
    logits = [model(ids[None, :t]).numpy()[0, -1] for t in range(1, len(ids))]

    def hand(m: Numbers) -> Vector:
        p = m.number(1)
        for row, token in zip(logits, ids[1:], strict=True):
            p *= by_hand.softmax(m.of(row), m)[token]
        return [m.log(p), m.exp(-m.log(p) / len(logits))]

    def theirs(torch: Any) -> Any:
        log_p = torch.log_softmax(torch.from_numpy(np.stack(logits)), -1)
        total = log_p[torch.arange(len(logits)), torch.from_numpy(ids[1:])].sum()
        return torch.stack([total, torch.exp(-total / len(logits))])

    score = log_probability(model, ids)
    return Check(np.array([score, np.exp(-score / len(logits))]), hand, theirs)


def cross_entropy(targets: Any = None) -> Check:
    (logits,) = draws(7, (8, 9))
    targets = np.arange(8) % 5 if targets is None else targets
    return Check(
        F.cross_entropy(mg.Tensor(logits), targets).numpy(),
        lambda m: by_hand.cross_entropy(m.of(logits), targets.tolist(), m),
        lambda torch: torch.nn.functional.cross_entropy(
            torch.from_numpy(logits), torch.from_numpy(targets), ignore_index=-1
        ),
    )


def masked_cross_entropy() -> Check:
    ids = np.arange(8).reshape(1, 8)
    rng = np.random.default_rng(8)
    _, targets = masked(ids, rng, mask_id=8, vocab_size=9, probability=0.4)
    return cross_entropy(targets[0])


def multi_head_attention() -> Check:
    x, w_qkv, w_o = draws(9, (4, 6), (6, 18), (6, 6))
    qkv = (x @ w_qkv)[None]

    def hand(m: Numbers) -> Matrix:
        rows = by_hand.matmul(m.of(x), m.of(w_qkv))
        q, k, v = ([row[6 * i : 6 * i + 6] for row in rows] for i in range(3))
        return by_hand.matmul(by_hand.heads(q, k, v, 2, m), m.of(w_o))

    def theirs(torch: Any) -> Any:
        module = torch.nn.MultiheadAttention(6, 2, bias=False, batch_first=True).double()
        with torch.no_grad():
            module.in_proj_weight.copy_(torch.from_numpy(w_qkv.T))
            module.out_proj.weight.copy_(torch.from_numpy(w_o.T))
            future = torch.ones(4, 4, dtype=torch.bool).triu(1)
            batch = torch.from_numpy(x)[None]
            return module(batch, batch, batch, attn_mask=future, need_weights=False)[0][0]

    heads = F.multi_head_attention(mg.Tensor(qkv), 2, causal=True)
    return Check((heads @ mg.Tensor(w_o)).numpy()[0], hand, theirs)


def feed_forward() -> Check:
    x, up, down = draws(10, (3, 4), (4, 8), (8, 4))

    def hand(m: Numbers) -> Matrix:
        exact = [[by_hand.exact_gelu(u, m) for u in row] for row in m.of(x)]
        return by_hand.feed_forward(m.of(x), m.of(up), m.of(down), m) + exact

    def theirs(torch: Any) -> Any:
        a, b, c = map(torch.from_numpy, (x, up, down))
        gelu = torch.nn.functional.gelu
        return torch.cat([gelu(a @ b, approximate="tanh") @ c, gelu(a)])

    tx, tup, tdown = tensors(x, up, down)
    both = [F.linear(F.gelu(F.linear(tx, tup)), tdown), F.gelu(tx, approximate="none")]
    return Check(np.concatenate([y.numpy() for y in both]), hand, theirs)


def residual_block() -> Check:
    block = Block(BlockConfig(n_embd=4, n_head=2, bias=False), seed=11)
    w = {name: 10 * p.data.astype(np.float64) for name, p in block.named_parameters()}
    for name, parameter in block.named_parameters():
        parameter.data = w[name]
    (x,) = draws(11, (3, 4))

    def hand(m: Numbers) -> Matrix:
        none = [m.number(0)] * 4
        rows = m.of(x)
        h = by_hand.layer_norm(rows, m.of(w["attention_norm.weight"]), none, m)
        qkv = by_hand.matmul(h, m.of(w["attention.qkv_proj.weight"]))
        q, k, v = ([row[4 * i : 4 * i + 4] for row in qkv] for i in range(3))
        heads = by_hand.heads(q, k, v, 2, m)
        rows = by_hand.add(rows, by_hand.matmul(heads, m.of(w["attention.out_proj.weight"])))
        h = by_hand.layer_norm(rows, m.of(w["mlp_norm.weight"]), none, m)
        up, down = m.of(w["mlp.up_proj.weight"]), m.of(w["mlp.down_proj.weight"])
        return by_hand.add(rows, by_hand.feed_forward(h, up, down, m))

    return Check(block(mg.Tensor(x[None])).numpy()[0], hand)


def next_token() -> Check:
    (z,) = draws(12, (7,))
    kept = top_p_filter(top_k_filter(apply_temperature(z[None], 0.8), 5), 0.9)
    return Check(softmax(kept)[0], partial(by_hand.filtered, z.tolist(), 0.8, 5, 0.9))


def adamw() -> Check:
    settings = (0.1, 0.9, 0.99, 1e-8, 0.3)
    theta, *gradients = draws(13, (2, 3), (2, 3), (2, 3), (2, 3))
    lr, beta1, beta2, eps, decay = settings
    options = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": decay}

    def hand(m: Numbers) -> Vector:
        numbers = [m.of(array.ravel()) for array in (theta, *gradients)]
        return [
            by_hand.adamw(start, of_one, settings, m)
            for start, *of_one in zip(*numbers, strict=True)
        ]

    def theirs(torch: Any) -> Any:
        parameter = torch.nn.Parameter(torch.from_numpy(theta.copy()))
        optimizer = torch.optim.AdamW([parameter], **options)
        for g in gradients:
            parameter.grad = torch.from_numpy(g)
            optimizer.step()
        return parameter.detach().ravel()

    own = mg.nn.Parameter(theta.copy())
    optimizer = mg.AdamW([own], **options)  # type: ignore[arg-type]
    for g in gradients:
        own.grad = g.copy()
        optimizer.step()
    return Check(own.data.ravel(), hand, theirs)


def dropout() -> Check:
    (x,) = draws(14, (6, 5))
    p = 0.25
    y = F.dropout(mg.Tensor(x), p, np.random.default_rng(14)).numpy()
    alive = (y != 0).tolist()  # which numbers it spared

    def hand(m: Numbers) -> Matrix:
        rest = 1 - m.number(p)
        return [
            [xi / rest if spared else m.number(0) for xi, spared in zip(*row, strict=True)]
            for row in zip(m.of(x), alive, strict=True)
        ]

    return Check(y, hand)


def padding() -> Check:
    q, k, v = draws(15, (4, 3), (4, 3), (4, 3))
    real = np.array([False, True, True, True])  # one token of padding at the left

    def seen(i: int, j: int) -> bool:
        return by_hand.earlier(i, j) and bool(real[j])

    def theirs(torch: Any) -> Any:
        mask = torch.from_numpy(np.tri(4, dtype=bool) & real)[1:]
        arrays = map(torch.from_numpy, (q[1:], k, v))
        return torch.nn.functional.scaled_dot_product_attention(*arrays, attn_mask=mask)

    tq, tk, tv = tensors(q, k, v)
    y = F.scaled_dot_product_attention(tq, tk, tv, mask=real, causal=True).numpy()
    tq, tk, tv = tensors(q[1:], k[1:], v[1:])
    alone = F.scaled_dot_product_attention(tq, tk, tv, causal=True).numpy()

    def hand(m: Numbers) -> Matrix:
        weights = by_hand.attention_weights(m.of(q[1:]), m.of(k), m, lambda i, j: seen(i + 1, j))
        return by_hand.matmul(weights, m.of(v)) * 2

    return Check(
        np.concatenate([y[1:], alone]),
        hand,
        lambda torch: torch.cat([theirs(torch)] * 2),
    )


CHECKS: dict[str, Callable[[], Check]] = {
    "E1": attention,
    "E2": three_tokens,
    "E3": weights_of_sat,
    "E4": positions,
    "E5": layer_norm,
    "E6": chain_rule,
    "E7": cross_entropy,
    "E8": masked_cross_entropy,
    "E9": multi_head_attention,
    "E10": feed_forward,
    "E11": residual_block,
    "E12": next_token,
    "E13": adamw,
    "E14": dropout,
    "E15": padding,
}
