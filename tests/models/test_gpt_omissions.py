"""A GPT with a part left out: what it then cannot do, and that it says so."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt import Sampler


def test_without_the_causal_mask_the_future_is_seen(make_gpt, ids):
    model = make_gpt(causal=False)
    changed = ids.copy()
    changed[:, 9] = (changed[:, 9] + 1) % 13
    difference = np.abs(model(changed).data - model(ids).data).max(axis=-1)
    assert (difference > 1e-5).all()
    assert model.attention_weights(ids)[0][0, 0, 0, 9] > 0


def test_without_the_causal_mask_there_is_no_cache(make_gpt, ids):
    model = make_gpt(causal=False)
    with pytest.raises(ValueError, match=r"causal=False has no cache.*use_cache=False"):
        model.new_cache(1)
    sampler = Sampler(model)
    with pytest.raises(ValueError, match="use_cache=False"):
        sampler.generate_ids(ids, max_new_tokens=2)
    written = sampler.generate_ids(ids, max_new_tokens=2, temperature=0, use_cache=False)
    assert written[:, 10].tolist() == model(ids).data[:, -1].argmax(axis=-1).tolist()


def test_without_positions_one_layer_knows_what_came_before_but_not_in_which_order(make_gpt, ids):
    order = np.array([3, 0, 4, 1, 2, 5, 6, 7, 8, 9])
    for positions, same in (("none", True), ("learned", False)):
        model = make_gpt(positions=positions, n_layer=1)
        shuffled, plain = model(ids[:, order]).data[:, 5:], model(ids).data[:, 5:]
        assert np.allclose(shuffled, plain, atol=1e-5) == same


@pytest.mark.parametrize(
    "changes",
    [{"norm": "none"}, {"residual": False}, {"positions": "none"}, {"causal": False},
     {"norm": "none", "residual": False, "positions": "none", "causal": False}],
)  # fmt: skip
def test_each_has_a_loss_and_gradients(make_gpt, ids, changes):
    model = make_gpt(**changes)
    model.loss(ids, ids[:, ::-1]).backward()
    assert all(np.isfinite(p.grad).all() for p in model.parameters())
    names = [name for name, _ in model.named_parameters()]
    assert any("norm" in name for name in names) == (changes.get("norm") != "none")
    assert ("position_embedding.weight" in names) == (changes.get("positions") != "none")
