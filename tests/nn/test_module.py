"""Module and Parameter: registration, saving, loading, modes, and what they say of themselves."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minigpt import Tensor
from minigpt.nn import Dropout, Embedding, LayerNorm, Linear, Module, Parameter


class Everything(Module):
    """Parameters and modules in every place where they may be kept."""

    def __init__(self):
        super().__init__()
        self.scale = Parameter([1.0, 2.0])
        self.nothing = None
        self.layers = [Linear(2, 3, seed=0), Dropout(0.5), Linear(3, 2, bias=False, seed=1)]
        self.by_name = {"a": LayerNorm(2), "b": [Parameter([3.0]), (Parameter([4.0]),)]}
        self.constant = Tensor([5.0])
        self.array = np.zeros(3)
        self.number = 7

    def forward(self, x):
        for layer in self.layers[::2]:
            x = layer(x)
        return x * self.scale


NAMES = [
    "scale",
    "by_name.b.0",
    "by_name.b.1.0",
    "layers.0.weight",
    "layers.0.bias",
    "layers.2.weight",
    "by_name.a.weight",
    "by_name.a.bias",
]


class Sharing(Module):
    """Two modules that have one weight, and one module under two names."""

    def __init__(self):
        super().__init__()
        self.first = Linear(2, 2, bias=False, seed=0)
        self.second = Linear(2, 2, bias=False, seed=1)
        self.second.weight = self.first.weight
        self.again = self.first


# ── registration ──────────────────────────────────────────────────────────────────────────────


def test_a_parameter_is_a_leaf_that_requires_a_gradient():
    p = Parameter([1.0])
    assert isinstance(p, Tensor)
    assert p.requires_grad
    assert p.node is None


def test_parameters_are_found_wherever_they_are():
    model = Everything()
    assert sorted(name for name, _ in model.named_parameters()) == sorted(NAMES)
    assert model.parameters() == [p for _, p in model.named_parameters()]
    assert dict(model.named_parameters())["by_name.b.1.0"] is model.by_name["b"][1][0]
    assert model.num_parameters() == 2 + (6 + 3) + 6 + (2 + 2) + 1 + 1


def test_the_order_is_the_same_each_time():
    names = [name for name, _ in Everything().named_parameters()]
    assert names == [name for name, _ in Everything().named_parameters()]
    assert list(Everything().state_dict()) == names


def test_modules_are_named_from_the_root_down():
    names = [name for name, _ in Everything().named_modules()]
    assert names == ["", "layers.0", "layers.1", "layers.2", "by_name.a"]


def test_what_is_added_later_is_found():
    model = Everything()
    model.layers.append(Linear(2, 2, seed=2))
    model.extra = Parameter([9.0])
    names = {name for name, _ in model.named_parameters()}
    assert {"layers.3.weight", "extra"} <= names
    del model.extra
    assert "extra" not in dict(model.named_parameters())


def test_what_is_shared_counts_once():
    model = Sharing()
    assert [name for name, _ in model.named_parameters()] == ["first.weight"]
    assert model.num_parameters() == 4
    assert [name for name, _ in model.named_modules()] == ["", "first", "second"]
    assert list(model.state_dict()) == ["first.weight"]
    model.load_state_dict({"first.weight": np.full((2, 2), 5, np.float32)})
    assert (model.second.weight.data == 5).all()


def test_the_gradient_of_a_shared_parameter_is_the_sum():
    model = Sharing()
    x = Tensor(np.eye(2, dtype=np.float32))
    (model.first(x) + model.second(x)).sum().backward()
    np.testing.assert_array_equal(model.first.weight.grad, np.full((2, 2), 2))


def test_a_module_without_forward_says_so():
    with pytest.raises(TypeError, match=r"Module defines no forward\(\)"):
        Module()(1)


def test_a_copy_shares_nothing():
    model = Everything()
    twin = copy.deepcopy(model)
    twin.scale.data += 1
    np.testing.assert_array_equal(model.scale.data, [1, 2])
    assert [n for n, _ in twin.named_parameters()] == [n for n, _ in model.named_parameters()]


# ── saving and loading ────────────────────────────────────────────────────────────────────────


def test_state_dict_copies():
    model = Everything()
    state = model.state_dict()
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(state[name], parameter.data)
        assert state[name].dtype == parameter.dtype
        assert not np.shares_memory(state[name], parameter.data)


def test_loading_copies_into_the_parameters():
    model, other = Everything(), Everything()
    state = {name: array + 1 for name, array in model.state_dict().items()}
    before = {name: p.data for name, p in other.named_parameters()}
    other.load_state_dict(state)
    for name, parameter in other.named_parameters():
        np.testing.assert_array_equal(parameter.data, state[name])
        assert parameter.data is before[name]  # optimizers keep views of it
        assert not np.shares_memory(parameter.data, state[name])


def test_the_error_lists_everything_that_is_wrong_and_nothing_is_written():
    model = Everything()
    state = {name: array + 1 for name, array in model.state_dict().items()}
    del state["scale"], state["layers.0.bias"]
    state["stranger"] = np.zeros(1, np.float32)
    state["layers.2.weight"] = np.zeros((2, 3), np.float32)
    state["by_name.a.bias"] = np.zeros(2)
    before = model.state_dict()
    with pytest.raises(ValueError, match="5 names do not fit Everything") as error:
        model.load_state_dict(state)
    for line in (
        "missing: scale (2,)",
        "missing: layers.0.bias (3,)",
        "unexpected: stranger",
        "misshapen: layers.2.weight is float32(2, 3), the module's float32(3, 2)",
        "misshapen: by_name.a.bias is float64(2,), the module's float32(2,)",
    ):
        assert f"\n  {line}" in str(error.value)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_loading_a_part():
    model = Everything()
    before = model.state_dict()
    part = {"scale": np.array([8, 9], np.float32), "stranger": np.zeros(1)}
    model.load_state_dict(part, strict=False)
    np.testing.assert_array_equal(model.scale.data, [8, 9])
    for name in NAMES[1:]:
        np.testing.assert_array_equal(model.state_dict()[name], before[name])
    with pytest.raises(ValueError, match="1 name does not fit Everything:\n  misshapen: scale"):
        model.load_state_dict({"scale": np.zeros(3, np.float32)}, strict=False)


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "model."])
def test_what_a_wrapper_has_put_before_every_name_is_named(wrapper):
    model = Everything()
    state = {wrapper + name: array for name, array in model.state_dict().items()}
    with pytest.raises(ValueError, match=f"every name begins with '{wrapper}', .*: take it off"):
        model.load_state_dict(state)


@pytest.mark.parametrize("dtype", [int, "x", np.float16, None, 3])
def test_parameters_are_floats_of_two_sizes(dtype):
    with pytest.raises(TypeError, match=r"dtype must be np\.float32 or np\.float64: got"):
        Everything().astype(dtype)


def test_wrong_modes_and_names():
    with pytest.raises(TypeError, match="mode must be True or False: got 'x'"):
        Everything().train("x")
    with pytest.raises(TypeError, match="a name in state must be a str: got 3"):
        Everything().load_state_dict({3: np.ones(1)})


def test_a_state_is_a_mapping():
    with pytest.raises(
        TypeError, match=r"a dict of arrays by name: got \[1\]; pass what state_dict"
    ):
        Everything().load_state_dict([1])


# ── modes ─────────────────────────────────────────────────────────────────────────────────────


def test_train_and_eval_reach_every_module():
    model = Everything()
    assert all(module.training for _, module in model.named_modules())
    assert model.eval() is model
    assert not any(module.training for _, module in model.named_modules())
    assert model.train() is model
    assert all(module.training for _, module in model.named_modules())
    model.train(False)
    assert not model.layers[1].training


def test_zero_grad_and_astype():
    model = Everything()
    model(Tensor(np.ones((1, 2), np.float32))).sum().backward()
    assert model.scale.grad is not None
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert model.astype(np.float64) is model
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float64)}
    assert model(Tensor(np.ones((1, 2)))).dtype == np.float64
    with pytest.raises(TypeError, match="int32"):
        model.astype(np.int32)


# ── what it says of itself ────────────────────────────────────────────────────────────────────


def test_repr_shows_the_tree():
    assert repr(Everything()).split("\n") == [
        "Everything(scale (2,), by_name.b.0 (1,), by_name.b.1.0 (1,))  # 23 parameters",
        "  layers.0: Linear(weight (2, 3), bias (3,))  # 9 parameters",
        "  layers.1: Dropout(p=0.5)",
        "  layers.2: Linear(weight (3, 2))  # 6 parameters",
        "  by_name.a: LayerNorm(weight (2,), bias (2,))  # 4 parameters",
    ]
    assert repr(Embedding(1, 1, seed=0)).endswith("# 1 parameter")
    assert repr(Embedding(70_000, 1, seed=0)).endswith("# 70,000 parameters")


def test_a_notebook_shows_the_tree_folded():
    page = Everything()._repr_html_()
    assert page.startswith('<details style="margin-left:0em" open><summary><code')
    assert "<b>layers.0</b>: " in page and "Linear(weight (2, 3), bias (3,))</code>" in page
    assert ">23 parameters<" in page and ">9 parameters<" in page
    assert page.count("<details") == page.count("</details>") == 1  # one has modules in it
    nested = Module()
    nested.inner, nested.layers = Everything(), {"<b>": Dropout(0.5)}
    page = nested._repr_html_()
    assert page.count("<details") == 2 and page.count(" open>") == 1
    assert "layers.&lt;b&gt;" in page and "layers.<b>" not in page


def test_summary_is_a_table():
    summary = Everything().summary()
    assert str(summary) == repr(summary)  # a notebook shows the lines
    lines = summary.split("\n")
    assert lines[0].split() == ["parameter", "shape", "numbers", "share"]
    row = next(line for line in lines if line.startswith("layers.0.weight"))
    assert row.split() == ["layers.0.weight", "(2,", "3)", "6", "26.1", "%"]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[-1] == "Everything: 23 parameters, 0.0 MB as float32"
    assert Dropout(0.1).summary().endswith("Dropout: 0 parameters, 0.0 MB as ")


def test_loading_ends_every_graph_from_before():
    module = Linear(3, 2, seed=0)
    loss = module(Tensor([[1.0, 2.0, 3.0]])).sum()
    module.load_state_dict(module.state_dict())
    with pytest.raises(RuntimeError, match="has changed since it was recorded"):
        loss.backward()


@pytest.mark.parametrize(
    "kept", [lambda w: w, lambda w: [w], lambda w: {"w": (w,)}], ids=["itself", "list", "dict"]
)
def test_a_plain_tensor_that_should_learn_is_refused(kept):
    module = Module()
    learns = Tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"^own.* must be a Parameter.*mg\.nn\.Parameter\(array\)"):
        module.own = kept(learns)
    module.own = kept(learns * 2.0)  # a result: its history is elsewhere
    module.own = kept(Tensor([1.0]))  # a constant
    module.own = kept(Parameter([1.0]))
    assert module.num_parameters() == 1


def test_a_plain_tensor_in_a_list_that_grew_is_refused_when_it_is_looked_at():
    module = Module()
    module.layers = []
    module.layers.append(Tensor([1.0], requires_grad=True))
    with pytest.raises(TypeError, match=r"layers\.0 must be a Parameter"):
        module.parameters()
