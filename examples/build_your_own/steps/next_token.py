"""Step 10: next_token(logits, temperature, top_k, rng) draws the next token."""

from __future__ import annotations

from typing import Any

import numpy as np

from calling import Wrong, call, shown

DRAWS = 1000
LOGITS = np.log(np.array([0.05, 0.4, 0.1, 0.25, 0.2])) + 3
NAMES = ("logits", "temperature", "top_k", "rng")


def check(next_token: Any) -> None:
    token = _draw(next_token, 0, None, np.random.default_rng(0))
    if token != 1:
        least = ": argmin takes the least likely" if token == 0 else ""
        raise Wrong(f"temperature 0 takes the likeliest token, 1, and here it takes {token}{least}")

    one, other = (
        [_draw(next_token, 1.0, None, rng) for _ in range(40)]
        for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    if one != other:
        raise Wrong("the same rng draws other tokens: draw with rng, as in rng.random(), only")
    if len(set(one)) == 1:
        if one[0] != 1:
            raise Wrong(
                f"at temperature 1 it draws token {one[0]} 40 times of 40: a generator that is "
                "made anew in each call gives the same number each time; draw with rng"
            )
        raise Wrong(f"at temperature 1 it draws token {one[0]} 40 times of 40: draw from p")

    p = _softmax(LOGITS)
    _compare(next_token, 1.0, None, p, {
        "all tokens come equally often: draw with the probabilities softmax(logits)":
            np.full(5, 0.2),
        "softmax is taken twice: draw with the probabilities softmax(logits / temperature)":
            _softmax(p),
        "the first token never comes, or all are moved by one: token i where p₀ + … + pᵢ is the "
        "first sum above u": np.roll(p, -1),
        "tokens get each other's probabilities: those are sorted, and the tokens must go with "
        "them": np.sort(p),
        "likelier tokens come more rarely: the logits have lost their sign": _softmax(-LOGITS),
    })  # fmt: skip
    _compare(next_token, 0.5, None, _softmax(LOGITS / 0.5), {
        "the temperature changes nothing: divide the logits by it (probabilities that are divided "
        "by it are the same once they sum to 1)": p,
        "the logits are multiplied by the temperature, and should be divided": _softmax(
            LOGITS * 0.5),
    })  # fmt: skip
    kept = np.where(np.sort(LOGITS)[-2] <= LOGITS, LOGITS, -np.inf)
    _compare(next_token, 1.0, 2, _softmax(kept), {
        "top_k is not used": p,
        "the k likeliest stay, and here the k least likely do": _softmax(
            np.where(np.sort(LOGITS)[1] >= LOGITS, LOGITS, -np.inf)),
        "the first k tokens stay, and should be the k likeliest": _softmax(
            np.where(np.arange(5) < 2, LOGITS, -np.inf)),
        "of top_k=2 only the likeliest is drawn: it draws from the k likeliest":
            np.eye(5)[1],
        "three tokens stay of top_k=2: the k-th largest is np.sort(logits)[-k]": _softmax(
            np.where(np.sort(LOGITS)[-3] <= LOGITS, LOGITS, -np.inf)),
        "the logits of the others become 0, which is a logit like others: they become −∞":
            _softmax(np.where(kept > -np.inf, LOGITS, 0)),
        "the k likeliest come equally often: they keep their probabilities": (kept > -np.inf) / 2,
    })  # fmt: skip
    _compare(next_token, 1.0, 50, p, {})  # more than there are


def _compare(
    next_token: Any, temperature: float, top_k: int | None, p: Any, mistakes: dict[str, Any]
) -> None:
    """Draw often; the shares must be the probabilities."""
    rng = np.random.default_rng(10)
    drawn = [_draw(next_token, temperature, top_k, rng) for _ in range(DRAWS)]
    shares = np.bincount(drawn, minlength=5)[:5] / DRAWS
    if _near(shares, p):
        return
    with_k = "" if top_k is None else f", top_k={top_k}"
    seen = f"{DRAWS:,} draws at temperature {temperature:g}{with_k}"
    near = {sentence: wrong for sentence, wrong in mistakes.items() if _near(shares, wrong)}
    if near:
        nearest = min(near, key=lambda sentence: float(abs(shares - near[sentence]).sum()))
        raise Wrong(f"{nearest} (seen in {seen})")
    worst = int(abs(shares - p).argmax())
    raise Wrong(
        f"token {worst} is {shares[worst]:.1%} of {seen}, and should be about {p[worst]:.1%}"
    )


def _near(shares: Any, p: Any) -> bool:
    """Within four and a half standard deviations, and nothing where nothing may be."""
    spread = np.sqrt(p * (1 - p) / DRAWS)
    return bool((abs(shares - p) <= 4.5 * spread).all())


def _draw(next_token: Any, temperature: float, top_k: int | None, rng: Any) -> Any:
    values = (LOGITS.copy(), temperature, top_k, rng)
    token = call("next_token", next_token, dict(zip(NAMES, values, strict=True)))
    if not isinstance(token, (int, np.integer)):
        raise Wrong(f"it returns {shown(token)}, and should return an int")
    if not 0 <= token < 5:
        raise Wrong(f"it gives token {token}, and there are 0, …, 4")
    return token


def _softmax(z: Any) -> Any:
    e = np.exp(z - z.max())
    return e / e.sum()
