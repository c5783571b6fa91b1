"""What all optimizers share: groups, names, the learning rate, skipping, state, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minigpt.nn import Parameter
from minigpt.optim import SGD, Adam, AdamW, Muon

MAKERS = {
    "SGD": lambda params: SGD(params, lr=0.1),
    "momentum": lambda params: SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda params: Adam(params, lr=0.1, weight_decay=0.1),
    "AdamW": lambda params: AdamW(params, lr=0.1, betas=(0.9, 0.99), weight_decay=0.1),
    "Muon": lambda params: Muon(params, lr=0.1, adamw_lr=0.1, weight_decay=0.1),
}
every_optimizer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def make_parameters(dtype=np.float32):
    rng = np.random.default_rng(1)
    shapes = {"embedding": (7, 4), "blocks.0.weight": (4, 4), "blocks.0.bias": (4,), "scale": ()}
    return {n: Parameter(rng.standard_normal(s).astype(dtype)) for n, s in shapes.items()}


def take_steps(optimizer, parameters, steps, seed):
    rng = np.random.default_rng(seed)
    for step in range(steps):
        optimizer.lr = 0.1 / (step + 1)
        for name, p in parameters.items():
            g = rng.standard_normal(p.shape).astype(p.dtype)
            p.grad = None if name == "scale" and step % 2 == 0 else g
        optimizer.step()


@every_optimizer
def test_a_restored_run_goes_on_bit_for_bit(make):
    ours, theirs = make_parameters(), make_parameters()
    first = make(ours.items())
    take_steps(first, ours, 5, seed=2)
    state = first.state_dict()
    for name, p in theirs.items():
        p.data[...] = ours[name].data
    second = make(theirs.items())
    second.load_state_dict(state)
    assert second.lr == first.lr and second.steps == first.steps == 5
    take_steps(first, ours, 5, seed=3)
    take_steps(second, theirs, 5, seed=3)
    for name, p in theirs.items():
        assert p.data.tobytes() == ours[name].data.tobytes(), name
    for key, value in first.state_dict().items():
        np.testing.assert_array_equal(value, second.state_dict()[key], err_msg=key)


@every_optimizer
def test_a_state_survives_npz_and_a_new_order_of_the_parameters(make, tmp_path):
    ours = make_parameters()
    first = make(ours.items())
    take_steps(first, ours, 3, seed=2)
    np.savez(tmp_path / "state.npz", **first.state_dict())
    second = make(reversed(list(ours.items())))
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        second.load_state_dict(dict(file))
    for key, value in first.state_dict().items():
        np.testing.assert_array_equal(value, second.state_dict()[key], err_msg=key)


def test_a_state_is_flat_keyed_by_name_and_a_copy():
    p = Parameter(np.ones((2, 2), np.float32))
    optimizer = AdamW([("head.weight", p)], lr=0.5)
    state = optimizer.state_dict()
    assert list(state) == [
        "step", "lr", "updates.head.weight", "first_moment.head.weight", "second_moment.head.weight"
    ]  # fmt: skip
    assert state["step"] == 0 and state["lr"] == 0.5
    state["first_moment.head.weight"] += 1
    assert not optimizer.state_dict()["first_moment.head.weight"].any()


def test_parameters_without_names_are_keyed_by_index_across_groups():
    parameters = [Parameter(np.ones(n + 1)) for n in range(3)]
    groups = [{"params": parameters[:2]}, {"params": parameters[2:]}]
    state = SGD(groups, lr=0.1, momentum=0.9).state_dict()
    assert state["momentum.2"].shape == (3,)
    assert "updates.0" in SGD(parameters, lr=0.1).state_dict()


def test_a_state_that_does_not_fit_is_refused_with_a_list_and_nothing_changes():
    parameters = make_parameters()
    optimizer = Adam(parameters.items())
    state = optimizer.state_dict()
    del state["first_moment.scale"]
    state["first_moment.extra"] = np.zeros(3)
    state["second_moment.embedding"] = np.zeros((4, 7), np.float32)
    state["second_moment.blocks.0.bias"] = np.zeros(4)
    state["updates.scale"] = -1
    state["step"] = True
    state["lr"] = math.nan
    state["first_moment.embedding"] = np.ones((7, 4), np.float32)  # this one fits
    with pytest.raises(ValueError, match="does not fit this Adam") as caught:
        optimizer.load_state_dict(state)
    for part in (
        "first_moment.scale: missing",
        "first_moment.extra: unexpected",
        "second_moment.embedding must be float32 of shape (7, 4): got a float32 array of shape (4,",
        "second_moment.blocks.0.bias must be float32 of shape (4,): got a float64 array of",
        "updates.scale must be an integer of at least 0: got -1",
        "step must be an integer of at least 0: got True",
        "lr must be a number of at least 0: got nan",
    ):
        assert part in str(caught.value)
    assert not optimizer.state_dict()["first_moment.embedding"].any()


def test_a_long_list_of_misfits_is_cut_short():
    many = [Parameter(np.ones(1)) for _ in range(30)]
    with pytest.raises(ValueError, match="and 20 more"):
        SGD(many, lr=0.1).load_state_dict({"step": 0, "lr": 0.1})
    with pytest.raises(TypeError, match=r"state must be what state_dict\(\) returned: got \[1\]"):
        SGD(many, lr=0.1).load_state_dict([1])


@every_optimizer
def test_a_parameter_without_gradient_keeps_its_value_and_state(make):
    parameters = make_parameters()
    optimizer = make(parameters.items())
    take_steps(optimizer, parameters, 3, seed=4)
    before, state = parameters["embedding"].data.copy(), optimizer.state_dict()
    optimizer.zero_grad()
    assert all(p.grad is None for p in parameters.values())
    parameters["scale"].grad = np.ones((), np.float32)
    optimizer.step()
    np.testing.assert_array_equal(parameters["embedding"].data, before)
    after = optimizer.state_dict()
    assert after["step"] == 4
    assert after["updates.scale"] == state["updates.scale"] + 1
    for key in state:
        if key.endswith(".embedding"):
            np.testing.assert_array_equal(after[key], state[key])


def test_values_written_into_a_parameter_from_outside_are_gone_on_from():
    p = Parameter(np.zeros(2))
    optimizer = SGD([p], lr=1.0)
    p.data[...] = 5.0  # as Module.load_state_dict does
    p.grad = np.ones(2)
    optimizer.step()
    np.testing.assert_array_equal(p.data, [4.0, 4.0])
    p.data = np.full(2, 9.0)
    optimizer.step()
    np.testing.assert_array_equal(p.data, [8.0, 8.0])


def test_groups_have_their_own_learning_rate_and_decay():
    a, b, c = (Parameter(np.ones((1, 1))) for _ in range(3))
    groups = [
        {"params": [("a", a)], "lr": 0.05},
        {"params": [("b", b)], "lr_scale": 2},
        {"params": [("c", c)], "lr_scale": 0.0, "weight_decay": 0.5},
    ]
    optimizer = SGD(groups, lr=0.1)
    for lr, expected in ((0.1, [0.95, 0.8, 1.0]), (0.2, [0.85, 0.4, 1.0])):
        optimizer.lr = lr
        for p in (a, b, c):
            p.grad = np.ones((1, 1))
        optimizer.step()
        np.testing.assert_allclose([p.item() for p in (a, b, c)], expected, rtol=1e-14)


def test_a_group_that_names_its_decay_decays_vectors_too():
    bias = Parameter(np.ones(2))
    bias.grad = np.zeros(2)
    AdamW([{"params": [bias], "weight_decay": 0.5}], lr=0.1).step()
    np.testing.assert_allclose(bias.data, 0.95)


def test_the_repr_says_what_is_trained():
    text = repr(AdamW(make_parameters().items(), lr=0.1, weight_decay=0.1))
    assert text == (
        "AdamW(lr=0.1, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.1: "
        "4 parameters, 2 of them decayed, 49 numbers)"
    )
    slot = AdamW(make_parameters().items()).slots[0]
    assert repr(slot) == "Slot(name='embedding', lr_scale=1.0, weight_decay=0.01, updates=0)"


def one():
    return [Parameter(np.ones(2))]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD(one(), lr=-0.1), ValueError, r"lr must be a number of at least 0: got -0\.1"),
        (lambda: SGD(one(), lr=math.nan), ValueError, "lr must be a number of at least 0: got nan"),
        (lambda: SGD(one(), lr=True), TypeError, "lr must be a number of at least 0: got True"),
        (lambda: SGD(one(), lr="0.1"), TypeError, r"lr must be a number of at least 0: got '0\.1'"),
        (
            lambda: SGD(one(), lr=0.1, momentum=1.0),
            ValueError,
            r"momentum must be a number of at least 0 and below 1: got 1\.0",
        ),
        (
            lambda: SGD(one(), lr=0.1, nesterov=True),
            ValueError,
            r"momentum must be above 0 with nesterov=True: got 0\.0",
        ),
        (
            lambda: SGD(one(), lr=0.1, momentum=0.9, nesterov="no"),
            TypeError,
            "nesterov must be True or False: got 'no'",
        ),
        (
            lambda: SGD(one(), lr=0.1, weight_decay=-1),
            ValueError,
            "weight_decay must be a number of at least 0: got -1",
        ),
        (
            lambda: Adam(one(), betas=(0.9, 1.0)),
            ValueError,
            r"betas\[1\] must be a number of at least 0 and below 1: got 1\.0",
        ),
        (
            lambda: Adam(one(), betas=(-0.1, 0.9)),
            ValueError,
            r"betas\[0\] must be a number of at least 0 and below 1: got -0\.1",
        ),
        (
            lambda: Adam(one(), betas=(math.nan, 0.9)),
            ValueError,
            r"betas\[0\] must be a number of at least 0 and below 1: got nan",
        ),
        (lambda: Adam(one(), betas=0.9), TypeError, "betas must be a pair of numbers: got"),
        (lambda: Adam(one(), betas=(0.9,)), TypeError, "betas must be a pair of numbers: got"),
        (lambda: Adam(one(), eps=0), ValueError, "eps must be a number above 0: got 0"),
        (lambda: Adam(one(), eps=math.inf), ValueError, "eps must be a number above 0: got inf"),
        (
            lambda: AdamW(one(), weight_decay=math.nan),
            ValueError,
            "weight_decay must be a number of at least 0: got nan",
        ),
        (
            lambda: SGD([], lr=0.1),
            ValueError,
            r"params must be a list of at least one Parameter: got \[\]",
        ),
        (
            lambda: SGD([{"params": []}], lr=0.1),
            ValueError,
            r"params must be a list of at least one Parameter: got \[\]",
        ),
        (lambda: SGD(one() * 2, lr=0.1), ValueError, "twice, as '0' and '1'"),
        (
            lambda: SGD(Parameter(np.ones(2)), lr=0.1),
            TypeError,
            r"params must be a list of Parameters or of \(name, Parameter\) pairs: "
            r"got a float64 Parameter of shape \(2,\)",
        ),
        (
            lambda: SGD([{"params": one()[0]}], lr=0.1),
            TypeError,
            r"params must be a list of Parameters or of \(name, Parameter\) pairs: "
            r"got a float64 Parameter of shape \(2,\)",
        ),
        (
            lambda: SGD({"params": one()}, lr=0.1),
            TypeError,
            r"params must be a list of Parameters or of \(name, Parameter\) pairs: "
            r"got \{'params': \[Tensor\(\[1\., 1\.\], dtype=float64, "
            r"requires_grad=True\)\]\}",
        ),
        (
            lambda: SGD([1.5], lr=0.1),
            TypeError,
            r"params\[0\] \('0'\) must be a Parameter, with an array \.data and a "
            r"\.grad: got 1\.5",
        ),
        (
            lambda: SGD([np.ones(2)], lr=0.1),
            TypeError,
            r"params\[0\] \('0'\) must be a Parameter, with an array \.data and a "
            r"\.grad: got a float64 array of shape \(2,\)",
        ),
        (
            lambda: SGD([("a",)], lr=0.1),
            TypeError,
            r"params\[0\] must be a \(name, Parameter\) pair: got \('a',\)",
        ),
        (lambda: SGD([("a", one()[0]), one()[0]], lr=0.1), TypeError, "names to all"),
        (lambda: SGD([("a", p) for p in one() + one()], lr=0.1), ValueError, "name 'a' is in"),
        (
            lambda: SGD([{"params": one()}, one()[0]], lr=0.1),
            TypeError,
            r'params\[1\] must be a group, a dict with "params", as others are: got a '
            r"float64 Parameter of shape \(2,\)",
        ),
        (lambda: SGD([{"lr": 0.1}], lr=0.1), TypeError, r"params\[0\] must be a group, a dict"),
        (
            lambda: SGD([{"params": one(), "mu": 1}], lr=0.1),
            ValueError,
            r"params\[0\]: a key must be .*: got 'mu'",
        ),
        (
            lambda: SGD([{"params": one(), "lr": -1}], lr=0.1),
            ValueError,
            "lr must be a number of at least 0: got -1",
        ),
        (lambda: SGD([{"params": one(), "lr": 1}], lr=0), ValueError, "give lr_scale instead"),
        (
            lambda: SGD([{"params": one(), "lr": 1, "lr_scale": 1}], lr=0.1),
            ValueError,
            "both lr and lr_scale",
        ),
    ],
)
def test_bad_values_are_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_learning_rate_is_checked_whenever_it_is_set():
    optimizer = SGD(one(), lr=0.1)
    with pytest.raises(ValueError, match="lr must be a number of at least 0: got -1"):
        optimizer.lr = -1
    assert optimizer.lr == 0.1


@pytest.mark.parametrize(
    ("gradient", "error", "message"),
    [
        (
            np.ones((3, 1)),
            ValueError,
            r"the gradient of 'b' must be float64 of shape \(3,\), as the parameter "
            r"is: got a float64 array of shape \(3, 1\)",
        ),
        (
            np.ones(3, np.float32),
            ValueError,
            r"the gradient of 'b' must be float64 of shape \(3,\), as the parameter "
            r"is: got a float32 array of shape \(3,\)",
        ),
        (
            [1.0, 1.0, 1.0],
            TypeError,
            r"the gradient of 'b' must be an array: got \[1\.0, 1\.0, 1\.0\]",
        ),
    ],
)
def test_a_gradient_that_does_not_fit_is_refused_before_anything_moves(gradient, error, message):
    a, b = Parameter(np.ones(3)), Parameter(np.ones(3))
    optimizer = Adam([("a", a), ("b", b)])
    a.grad, b.grad = np.ones(3), gradient
    with pytest.raises(error, match=message):
        optimizer.step()
    np.testing.assert_array_equal(a.data, np.ones(3))
    assert optimizer.steps == 0


def test_a_parameter_that_changed_its_shape_is_refused():
    p = Parameter(np.ones(3))
    optimizer = Adam([("p", p)])
    p.data, p.grad = np.ones(4), np.ones(4)
    with pytest.raises(
        ValueError,
        match=r"the parameter 'p' must be float64 of shape \(3,\), as when the "
        r"optimizer was made: got a float64 array of shape \(4,\)",
    ):
        optimizer.step()


def test_integer_and_read_only_parameters_are_refused():
    p = Parameter(np.ones(3))
    p.data = np.ones(3, np.int64)
    with pytest.raises(
        TypeError,
        match=r"params\[0\] \('0'\) must be float32 or float64: got an int64 array of "
        r"shape \(3,\)",
    ):
        SGD([p], lr=0.1)
    p.data = np.broadcast_to(np.ones(1), (3,))
    with pytest.raises(
        ValueError, match=r"must be writable: got a float64 array.*give it a copy of its data"
    ):
        SGD([p], lr=0.1)


@every_optimizer
def test_a_step_ends_every_graph_from_before(make):
    """Even of a parameter that hardly moves: the gradient would be that of neither value."""
    parameters = make_parameters()
    optimizer = make(parameters.items())
    weight = parameters["blocks.0.weight"]
    loss, again = ((weight * weight).sum() for _ in range(2))
    loss.backward()
    weight.grad[...] = 0
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"leaf of shape \(4, 4\) has changed since .*optimizer"):
        again.backward()
    (weight * weight).sum().backward()


@every_optimizer
def test_a_parameter_need_not_be_a_tensor(make):
    """Only its data and its gradient are asked for."""

    class Pair:
        def __init__(self):
            self.data, self.grad = np.ones((2, 2)), np.ones((2, 2))

    pair = Pair()
    make([("w", pair)]).step()
    assert (pair.data < 1).all()


@every_optimizer
def test_a_step_without_any_gradient_is_refused(make):
    parameters = make_parameters()
    optimizer = make(parameters.items())
    with pytest.raises(
        RuntimeError, match=r"no gradient of any parameter: call loss\.backward\(\)"
    ):
        optimizer.step()
    assert optimizer.steps == 0
    parameters["scale"].grad = np.zeros((), np.float32)  # a gradient of zero is one
    optimizer.step()
    assert optimizer.steps == 1
