"""What holds for every picture: a figure, on axes of one's own, in light and dark, as a file."""

import io
import subprocess
import sys

import numpy as np
import pytest

import minigpt as mg
import minigpt.functional as F
from minigpt import viz
from minigpt.drawing import DARK


def history():
    return mg.History(
        [{"step": n, "loss": 5.0 / n, "learning_rate": 0.1} for n in (1, 2, 3)],
        [{"step": 3, "val_loss": 1.5}],
    )


def recorder():
    seen = viz.Recorder(every=1)
    model = mg.GPT(mg.GPTConfig(5, 4, n_layer=1, n_head=1, n_embd=4), seed=0)
    config = mg.TrainerConfig(max_steps=2, batch_size=2, progress=False)
    mg.Trainer(model, np.arange(30) % 5, None, config, callbacks=[seen]).fit()
    return seen


PICTURES = {
    "attention": lambda m, t, **o: viz.attention(m, t, "the cat", **o),
    "attention_weights": lambda m, t, **o: viz.attention_weights(np.eye(2), ["a", "b"], **o),
    "graph": lambda m, t, **o: viz.graph(mg.Tensor([2.0], requires_grad=True).tanh(), **o),
    "layers": lambda m, t, **o: viz.layers(recorder(), "updates", **o),
    "logit_lens": lambda m, t, **o: viz.logit_lens(m, t, "the cat", **o),
    "losses": lambda m, t, **o: viz.losses(history(), **o),
    "neighbours": lambda m, t, **o: viz.neighbours(m, t, ["a", "t"], **o),
    "next_token": lambda m, t, **o: viz.next_token(m, t, "the ", top_k=3, **o),
    "positions": lambda m, t, **o: viz.positions(F.sinusoidal_positions(4, 6), **o),
    "rotary_angles": lambda m, t, **o: viz.rotary_angles(8, **o),
    "schedules": lambda m, t, **o: viz.schedules(history(), **o),
}
every_picture = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)


def test_every_picture_is_here():
    others = {"Explorer", "Recorder", "explore", "new_figure", "token_labels"}
    assert set(viz.__all__) == set(PICTURES) | others


def test_nothing_imports_matplotlib_before_a_picture_is_asked_for():
    code = (
        "import sys, minigpt as mg, minigpt.viz\n"
        "mg.viz.attention, mg.Trainer, mg.History().__repr__()\n"
        "mg.Tensor([1.0])._repr_html_(), mg.nn.Linear(2, 2, seed=0)._repr_html_()\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@every_picture
def test_without_matplotlib_one_line_says_what_to_install(picture, english, monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    with pytest.raises(ImportError) as caught:
        picture(*english)
    assert str(caught.value) == 'no picture without matplotlib: pip install "minigpt[viz]"'


def test_without_matplotlib_a_graph_is_left_as_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    x = mg.Tensor([2.0], requires_grad=True)
    y = (x * x).sum()
    with pytest.raises(ImportError):
        viz.graph(y, gradients=True)
    y.backward()
    assert x.grad[0] == 4


class TestWithMatplotlib:
    """Every picture, drawn."""

    @pytest.fixture(autouse=True)
    def _needs_matplotlib(self):
        pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'minigpt[viz]'")

    @every_picture
    def test_it_draws_on_axes_of_ones_own(self, picture, english):
        figure = viz.new_figure(6, 3)
        left, right = figure.subplots(1, 2)
        assert picture(*english, ax=right) is figure
        assert right.has_data() or right.patches
        assert not left.has_data() and left in figure.axes

    @every_picture
    def test_it_is_dark_when_told_to_and_saves_as_vectors(self, picture, english):
        figure = picture(*english, theme="dark")
        assert figure.get_facecolor()[:3] == pytest.approx(
            [int(DARK.paper[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        )
        file = io.BytesIO()
        figure.savefig(file, format="svg")
        assert b"<svg" in file.getvalue()
        axes = figure.axes[0]
        written = [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.title]
        written += [axes.yaxis.label, *(axes.title for axes in figure.axes)]
        visible = [text for text in written if text.get_text() and axes.axison]
        assert all(text.get_color() in (DARK.ink, DARK.muted) for text in visible)

    def test_two_pictures_of_one_model_are_the_same_file(self, english):
        files = [io.BytesIO(), io.BytesIO()]
        for file in files:
            viz.logit_lens(*english, "the cat").savefig(file, format="svg")
        assert files[0].getvalue() == files[1].getvalue()
