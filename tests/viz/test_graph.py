"""The computation graph: what was recorded, where its boxes go, and the gradients in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigpt as mg
from minigpt import viz
from minigpt.viz.graph_boxes import recorded
from minigpt.viz.graph_layout import _crossings, _neighbours, lay_out


def leaf(value):
    return mg.Tensor(np.array(value, np.float32), requires_grad=True)


@st.composite
def graphs(draw):
    """Sizes of boxes, and edges that lead from earlier boxes to later ones."""
    n = draw(st.integers(1, 12))
    sizes = draw(st.lists(st.tuples(*[st.floats(0.1, 2)] * 2), min_size=n, max_size=n))
    pairs = [(a, b) for b in range(n) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=20)) if pairs else []
    return sizes, edges


@given(graphs())
def test_boxes_do_not_overlap_and_edges_lead_on(drawn):
    sizes, edges = drawn
    layout = lay_out(sizes, edges, (0.4, 0.2))
    placed = list(zip(layout.centers, sizes, strict=True))
    for i, ((xa, ya), (wa, ha)) in enumerate(placed):
        assert xa - wa / 2 >= -1e-9 and xa + wa / 2 <= layout.size[0] + 1e-9
        assert ya - ha / 2 >= -1e-9 and ya + ha / 2 <= layout.size[1] + 1e-9
        for (xb, yb), (wb, hb) in placed[:i]:
            beside = abs(xa - xb) >= (wa + wb) / 2 + 0.4 - 1e-9
            assert beside or abs(ya - yb) >= (ha + hb) / 2 + 0.2 - 1e-9
    for (start, end), passages in zip(edges, layout.passages, strict=True):
        (x0, _), (x1, _) = layout.centers[start], layout.centers[end]
        along = [x0, *(x for begin, stop, _ in passages for x in (begin, stop)), x1]
        assert along == sorted(along) and x0 < x1
        for begin, stop, y in passages:  # no edge runs through a box
            for (x, at), (width, height) in placed:
                if x - width / 2 < stop and begin < x + width / 2:
                    assert abs(at - y) > height / 2


def test_a_crossing_that_can_be_undone_is_undone():
    """Two pairs whose ends stand the wrong way round."""
    edges = [(0, 3), (1, 2), (3, 4), (2, 4)]
    layout = lay_out([(1, 1)] * 5, edges, (1, 1))
    (_, y0), (_, y1), (_, y2), (_, y3), _ = layout.centers
    assert (y0 < y1) == (y3 < y2)
    crossed = [[0, 1], [2, 3], [4]]
    assert _crossings(crossed, _neighbours(5, edges)[1]) == 1


def test_a_long_path_runs_straight_past_its_inputs():
    chain = [(0, 2), (1, 2), (2, 4), (3, 4), (4, 6), (5, 6)]
    layout = lay_out([(1, 1)] * 7, chain, (1, 1))
    straight = [layout.centers[box][1] for box in (2, 4, 6)]
    assert max(straight) - min(straight) < 0.2


def test_what_was_recorded():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = ((x * w + 1) * x).sum()
    boxes, edges = recorded(y, {id(x): ("x", x)})
    titles = [box.title for box in boxes]
    assert sorted(titles) == sorted(["x", "leaf", "×", "constant", "+", "×", "sum"])
    named = {(titles[a], titles[b]) for a, b in edges}
    assert named == {
        ("x", "×"), ("leaf", "×"), ("×", "+"), ("constant", "+"), ("+", "×"), ("×", "sum"),
    }  # fmt: skip
    assert len(edges) == 7 and all(a < b for a, b in edges)
    assert [box.kind for box in boxes].count("constant") == 1
    assert boxes[-1].kind == "result" and boxes[-1].remarks == ["22"]
    assert boxes[titles.index("x")].remarks == ["[1, 2]"]
    assert boxes[titles.index("+")].remarks == ["(2,)"]


def test_every_operation_has_a_name():
    model = mg.GPT(mg.GPTConfig(7, 4, 1, 1, 4), seed=0)
    ids = np.array([[1, 2, 3]])
    boxes, _ = recorded(model.loss(ids, ids[:, ::-1]), {})
    assert {box.title for box in boxes if box.kind != "leaf"} == {
        "embedding", "+", "layer norm", "linear", "multi head attention", "gelu tanh", "transpose",
        "cross entropy",
    }  # fmt: skip
    assert all(box.title == "Parameter" for box in boxes if box.kind == "leaf")


def test_a_long_chain_needs_no_recursion():
    y = x = leaf(1.0)
    for _ in range(5000):
        y = y + x
    with pytest.raises(ValueError, match="more than 300 boxes, too many to read"):
        recorded(y, {})


class TestPicture:
    """The same, drawn."""

    @pytest.fixture(autouse=True)
    def _needs_matplotlib(self):
        pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'minigpt[viz]'")

    def boxes_of(self, figure):
        from matplotlib.patches import FancyBboxPatch

        return [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]

    def lines_of(self, figure):
        return [text.get_text() for text in figure.axes[0].texts]

    def test_gradients_come_to_every_box(self):
        """Karpathy's first example: L = (a·b + c)·f."""
        a, b, c, f = (leaf(value) for value in (2.0, -3.0, 10.0, -2.0))
        e = a * b
        d = e + c
        loss = d * f
        names = {"a": a, "b": b, "c": c, "e": e, "d": d, "f": f}
        figure = viz.graph(loss, names, gradients=True)
        lines = self.lines_of(figure)
        boxes = [lines[i : i + 3] for i in range(0, len(lines), 3)]
        assert sorted(boxes) == sorted(
            [
                ["a", "2", "grad 6"],
                ["b", "−3", "grad −4"],
                ["e = ×", "−6", "grad −2"],
                ["c", "10", "grad −2"],
                ["d = +", "4", "grad −2"],
                ["f", "−2", "grad 4"],
                ["×", "−8", "grad 1"],
            ]
        )
        assert [x.grad.item() for x in (a, b, c, f)] == [6, -4, -2, 4]
        with pytest.raises(RuntimeError, match=r"graph is gone: backward\(\) frees it"):
            viz.graph(loss)

    def test_a_drawing_leaves_the_graph_as_it_is(self):
        x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        y = (x * x).sum()
        figure = viz.graph(y, {"输入 $x$": x})
        assert "(2, 3)" in self.lines_of(figure) and x.grad is None
        y.backward()
        np.testing.assert_array_equal(x.grad, 2 * x.data)

    def test_the_norm_of_many_gradients(self):
        x = leaf(np.arange(6.0))
        assert "‖grad‖ 2.45" in self.lines_of(viz.graph(x.sum(), gradients=True))

    def test_a_module_names_its_parameters(self):
        linear = mg.nn.Linear(3, 2, seed=0)
        figure = viz.graph(linear(mg.Tensor(np.ones((1, 3), np.float32))).sum(), linear)
        titles = [box.get_label() for box in self.boxes_of(figure)]
        assert {"weight", "bias", "linear", "sum"} == set(titles)

    def test_a_tensor_used_twice_has_two_arrows(self):
        x = leaf(3.0)
        figure = viz.graph(x * x)
        assert len(figure.axes[0].patches) - len(self.boxes_of(figure)) == 2

    def test_a_leaf_is_a_graph_too(self):
        assert self.lines_of(viz.graph(leaf(3.0))) == ["leaf", "3"]

    def test_short_graphs_run_to_the_right_and_long_ones_down(self):
        def chain(n):
            y = leaf(1.0)
            for _ in range(n):
                y = y.tanh()
            return y

        short, long = viz.graph(chain(3)), viz.graph(chain(20))
        assert short.get_size_inches()[0] > short.get_size_inches()[1]
        assert long.get_size_inches()[0] < long.get_size_inches()[1]
        turned = viz.graph(chain(3), direction="down")
        assert turned.get_size_inches()[0] < turned.get_size_inches()[1]

    @pytest.mark.parametrize(
        ("arguments", "error", "said"),
        [
            ((3,), TypeError, "tensor must be a Tensor: got 3"),
            ((mg.Tensor([1.0]),), RuntimeError, "the tensor has no graph"),
            ((leaf(1.0), {"x": 3}), TypeError, r"names\['x'\] must be a Tensor"),
            ((leaf(1.0), [3]), TypeError, "a dict of tensors by name, or a module"),
            ((leaf(1.0), {3: leaf(1.0)}), TypeError, "a name in names must be a str"),
        ],
    )
    def test_bad_arguments(self, arguments, error, said):
        with pytest.raises(error, match=said):
            viz.graph(*arguments)
        with pytest.raises(ValueError, match='direction must be "right" or "down"'):
            viz.graph(leaf(1.0), direction="up")

    def test_gradients_of_several_numbers_are_refused_as_ever(self):
        with pytest.raises(ValueError, match=r"call it on a scalar"):
            viz.graph(leaf([1.0, 2.0]) * 2, gradients=True)
