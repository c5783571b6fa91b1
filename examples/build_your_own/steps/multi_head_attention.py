"""Step 8: multi_head_attention(q, k, v, n_head), several attentions side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigpt as mg
import minigpt.functional as F
from comparing import check_operation, derivatives


def check(multi_head_attention: Any) -> None:
    rng = np.random.default_rng(8)
    b, t, c = 2, 4, 6
    arrays = [rng.standard_normal((b, t, c)) for _ in range(3)]
    dy = rng.standard_normal((b, t, c))
    for n_head in (3, 2, 1):
        d = c // n_head

        def heads(q: Any, k: Any, v: Any, n_head: int = n_head) -> Any:
            qkv = F.concatenate([q, k, v], axis=-1)
            return F.multi_head_attention(qkv, n_head, causal=True)

        def attend(q: Any, k: Any, v: Any) -> Any:
            q, k, v = (mg.Tensor(np.ascontiguousarray(x)) for x in (q, k, v))
            return F.scaled_dot_product_attention(q, k, v, causal=True).numpy()

        def cut(x: Any, n_head: int = n_head, d: int = d) -> Any:
            return x.reshape(b, t, n_head, d).swapaxes(1, 2)

        def back_through(dy: Any) -> Any:  # (B, h, T, d)
            q, k, v = (np.ascontiguousarray(cut(x)) for x in arrays)
            return derivatives(
                lambda q, k, v: F.scaled_dot_product_attention(q, k, v, causal=True),
                *(q, k, v),
                dy=np.ascontiguousarray(dy),
            )[1]

        y, gradients = derivatives(heads, *arrays, dy=dy)
        split = attend(*map(cut, arrays))  # (B, h, T, d)
        unmoved = attend(*(x.reshape(b, n_head, t, d) for x in arrays))
        over_heads = attend(*(x.reshape(b, t, n_head, d) for x in arrays))
        interleaved = attend(*(x.reshape(b, t, d, n_head).transpose(0, 3, 1, 2) for x in arrays))
        turned = attend(*(x.reshape(b, t, d, n_head).swapaxes(1, 2) for x in arrays))
        at_once = back_through(dy.reshape(b, n_head, t, d))
        mistakes = {
            "the heads are not there: this is one attention over all features": attend(*arrays),
            "(B, T, C) is reshaped to (B, h, T, d) at once, which mixes the places: reshape to "
            "(B, T, h, d), then swap the axes 1 and 2": unmoved.reshape(b, t, c),
            "(B, T, C) is reshaped to (B, h, T, d) at once, which mixes the places: reshape to "
            "(B, T, h, d), then swap the axes": unmoved.swapaxes(1, 2).reshape(b, t, c),
            "the axes 1 and 2 are not swapped, so that heads attend to heads: attention needs "
            "(B, h, T, d)": over_heads.reshape(b, t, c),
            "the axes 1 and 2 are not swapped, so that heads attend to heads: attention needs the "
            "shape (B, h, T, d)": over_heads.swapaxes(1, 2).reshape(b, t, c),
            "before the heads are put side by side again, the axes must be swapped back to "
            "(B, T, h, d)": split.reshape(b, t, c),
            "the features are dealt out in turn: the first head has the first d features, the "
            "second the next d": interleaved.transpose(0, 2, 3, 1).reshape(b, t, c),
            "h and d have changed places: (B, T, h, d) makes h heads of d features, and here d "
            "heads have h": turned.swapaxes(1, 2).reshape(b, t, c),
            "the heads' outputs are still apart: put them side by side": split,
        }
        if n_head == 1:
            mistakes = {}
        check_operation(
            f"multi_head_attention with n_head={n_head}",
            multi_head_attention,
            {"q": arrays[0], "k": arrays[1], "v": arrays[2], "n_head": n_head},
            ("y", y, mistakes),
            {
                name: (
                    gradient,
                    {
                        "it is still apart by heads: put them side by side again": cut(gradient),
                        "the axes must be swapped back to (B, T, h, d) before the heads are put "
                        "side by side": cut(gradient).reshape(b, t, c),
                        "dy is reshaped to (B, h, T, d) at once, which mixes the places: cut it as "
                        "q, k and v": wrong.swapaxes(1, 2).reshape(b, t, c),
                    }
                    if n_head > 1
                    else {},
                )
                for name, gradient, wrong in zip(
                    ("dq", "dk", "dv"), gradients, at_once, strict=True
                )
            },
            dy,
        )
