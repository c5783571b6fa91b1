"""Step 9: block(x, W, n_head), a layer of a GPT."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

import minigpt as mg
import minigpt.functional as F
from calling import Wrong, call, shown
from comparing import compare, derivatives

ATTENTION = ("norm 1", "query", "key", "value", "out")
MLP = ("norm 2", "up", "down")
N_HEAD, WIDTH = 2, 4


def attend(x: Any, *weights: Any, norm: bool = True, n_head: int = N_HEAD) -> Any:
    """What attention adds to x."""
    gain, query, key, value, out = weights
    x = F.layer_norm(x, gain) if norm else x
    qkv = F.concatenate([x @ query, x @ key, x @ value], axis=-1)
    return F.multi_head_attention(qkv, n_head, causal=True) @ out


def think(x: Any, *weights: Any, norm: bool = True) -> Any:
    """What the MLP adds to x."""
    gain, up, down = weights
    return F.gelu((F.layer_norm(x, gain) if norm else x) @ up) @ down


def check(block: Any) -> None:
    rng = np.random.default_rng(9)
    shapes: dict[str, Any] = {"up": (WIDTH, 16), "down": (16, WIDTH)}
    shapes |= {"norm 1": WIDTH, "norm 2": WIDTH}
    W = {name: rng.normal(0, 0.6, shapes.get(name, (WIDTH, WIDTH))) for name in (*ATTENTION, *MLP)}
    x, dy = rng.standard_normal((2, 3, WIDTH)), rng.standard_normal((2, 3, WIDTH))
    first, second = [W[name] for name in ATTENTION], [W[name] for name in MLP]

    result = call("block", block, {"x": x, "W": W, "n_head": N_HEAD})
    if not (isinstance(result, (tuple, list)) and len(result) == 2 and callable(result[1])):
        raise Wrong(f"it returns {shown(result)}: end with `return y, backward`")
    middle = x + value_of(attend, x, first)
    y = middle + value_of(think, middle, second)
    compare("y", result[0], y, usual_values(x, middle, first, second))

    back = call("backward", result[1], {"dy": dy}, besides={"x": x, "n_head": N_HEAD})
    if not (isinstance(back, (tuple, list)) and len(back) == 2):
        raise Wrong(
            f"backward returns {shown(back)}, and should return dx, and a dict of the gradients by "
            "the names in W"
        )
    dx, gradients = back
    if isinstance(dx, dict):
        raise Wrong("backward returns the dict first: return dx, and then the dict of gradients")
    if not isinstance(gradients, dict):
        raise Wrong(
            f"the gradients are {shown(gradients)}, and should be a dict, by the names in W"
        )
    if missing := [name for name in W if name not in gradients]:
        others = ", ".join(repr(name) for name in gradients if name not in W)
        has = f" (it has {others}, which W has not)" if others else ""
        raise Wrong(f"the dict of gradients lacks {', '.join(missing)}{has}")

    # y = middle + MLP(middle): dy arrives at the middle along both ways. Then the same once more.
    _, (through_mlp, *of_mlp) = derivatives(think, middle, *second, dy=dy)
    flat = normal(middle, W["norm 2"]).reshape(-1, WIDTH).T @ (dy @ W["down"].T).reshape(-1, 16)
    both, (through_attention, *of_attention) = (
        dy + through_mlp,
        back_through(x, first, dy + through_mlp),
    )
    right = dict(zip((*MLP, *ATTENTION), (*of_mlp, *of_attention), strict=True))

    def exchanged(name: str) -> dict[str, Any]:
        what = "put each under its own name: this is the gradient of"
        return {f"{what} W[{other!r}]": right[other] for other in W if other != name}

    for name in reversed(MLP):  # as backward goes
        compare(
            f"the gradient of W[{name!r}]",
            gradients[name],
            right[name],
            {
                **exchanged(name),
                "what comes back through W['down'] must go back through gelu first": flat,
            },
        )
    only_mlp, only_past = back_through(x, first, through_mlp), back_through(x, first, dy)
    for i, name in reversed([*enumerate(ATTENTION)]):
        compare(
            f"the gradient of W[{name!r}]",
            gradients[name],
            right[name],
            {
                **exchanged(name),
                "the gradient that goes past the MLP is missing, by the residual connection: "
                "dy + what comes back through the MLP": only_mlp[1 + i],
                "the gradient that comes back through the MLP is missing: dy + that": only_past[
                    1 + i
                ],
                **(of_some_ways(x, first, both) if name == "norm 1" else {}),
            },
        )
    compare(
        "dx",
        dx,
        both + through_attention,
        {
            "the gradient that goes past attention is missing, by the residual connection: what "
            "arrives there + what comes back through attention": through_attention,
            "the gradient that comes back through attention is missing": both,
            "the gradient that comes back through attention is added twice": both
            + 2 * through_attention,
        },
    )


def usual_values(x: Any, middle: Any, first: Any, second: Any) -> dict[str, Any]:
    """What is computed by whoever leaves out a part of the block, or puts it elsewhere."""
    added = value_of(attend, x, first)
    no_norm = x + value_of(attend, x, first, norm=False)
    after = normal(x + value_of(attend, x, first, norm=False), first[0])
    mlp_first = x + value_of(think, x, second)
    gain, query, key, value, out = first

    def from_attention(*weights: Any, n_head: int = N_HEAD) -> Any:
        x1 = x + value_of(attend, x, weights, n_head=n_head)
        return x1 + value_of(think, x1, second)

    return {
        "both residual connections are missing: x + attention(…), then x + MLP(…)": value_of(
            think, added, second
        ),
        "the second residual connection is missing: x + MLP(norm(x))": value_of(
            think, middle, second
        ),
        "the first residual connection is missing: x + attention(norm(x))": added
        + value_of(think, added, second),
        "the norms stand after the additions, as in GPT-1: GPT-2's stand before attention and "
        "before the MLP": normal(after + value_of(think, after, second, norm=False), second[0]),
        "the layer norms are missing": no_norm + value_of(think, no_norm, second, norm=False),
        "the second layer norm is missing": middle + value_of(think, middle, second, norm=False),
        "the first layer norm is missing": no_norm + value_of(think, no_norm, second),
        "the MLP is missing": middle,
        "the second addition begins with the first x, so that what attention added is lost": x
        + value_of(think, middle, second),
        "the MLP reads the x from before attention: it reads what attention has added to": middle
        + value_of(think, x, second),
        "attention comes first, the MLP after it": mlp_first + value_of(attend, mlp_first, first),
        "the MLP reads what norm 1 gave: it reads the norm of what attention has added to": middle
        + value_of(think, normal(x, gain), second, norm=False),
        "the gain of norm 1 stands in both norms, and W['norm 2'] in none": middle
        + value_of(think, middle, [gain, *second[1:]]),
        "gelu is missing between up and down": middle
        + normal(middle, second[0]) @ second[1] @ second[2],
        "n_head is not handed on: this is one head": from_attention(*first, n_head=1),
        "W['out'] is transposed": from_attention(gain, query, key, value, out.T),
        "W['out'] is missing after attention": from_attention(
            gain, query, key, value, np.eye(WIDTH)
        ),
        "key and value have changed places": from_attention(gain, query, value, key, out),
        "query and key have changed places": from_attention(gain, key, query, value, out),
    }


def value_of(function: Any, x: Any, weights: Any, **how: Any) -> Any:
    return function(mg.Tensor(x), *map(mg.Tensor, weights), **how).numpy()


def normal(x: Any, gain: Any) -> Any:
    return F.layer_norm(mg.Tensor(x), mg.Tensor(gain)).numpy()


def back_through(x: Any, first: Any, dy: Any) -> list[Any]:
    """The gradients of x and of attention's weights, by what attention adds."""
    return derivatives(attend, x, *first, dy=dy)[1]


def of_some_ways(x: Any, first: Any, dy: Any) -> dict[str, Any]:
    """The gradients of the gain of norm 1 by whoever goes back one way of the three, or two."""
    h = mg.Tensor(normal(x, first[0]))

    def through(way: int) -> Any:
        def one(gain: Any) -> Any:
            inputs = [h, h, h]
            inputs[way] = F.layer_norm(mg.Tensor(x), gain)
            qkv = [i @ mg.Tensor(w) for i, w in zip(inputs, first[1:4], strict=True)]
            heads = F.multi_head_attention(F.concatenate(qkv, axis=-1), N_HEAD, causal=True)
            return heads @ mg.Tensor(first[4])

        return derivatives(one, first[0], dy=dy)[1][0]

    what = "three ways lead back to what norm 1 gave, and their gradients are added; here only"
    one = {name: through(i) for i, name in enumerate(ATTENTION[1:4])}
    return {f"{what} that through {name}": gradient for name, gradient in one.items()} | {
        f"{what} those through {a} and {b}": one[a] + one[b] for a, b in combinations(one, 2)
    }
