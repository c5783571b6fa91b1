"""Pictures of models, of what they do, and of how they learn; and a page to explore a model with.

Each picture is a matplotlib figure. It shows itself in a notebook, and
``figure.savefig("picture.svg")`` writes it. Every one takes ``ax``, the axes of a figure of one's
own to draw on, and ``theme``, "light" or "dark".
"""

from minigpt.drawing import new_figure
from minigpt.training.plots import plot_losses as losses
from minigpt.viz.attention import attention, attention_weights
from minigpt.viz.explorer import Explorer, explore
from minigpt.viz.graph import graph
from minigpt.viz.layers import layers
from minigpt.viz.logit_lens import logit_lens
from minigpt.viz.neighbours import neighbours
from minigpt.viz.next_token import next_token
from minigpt.viz.positions import positions, rotary_angles
from minigpt.viz.reading import token_labels
from minigpt.viz.recorder import Recorder
from minigpt.viz.schedules import schedules

__all__ = [
    "Explorer",
    "Recorder",
    "attention",
    "attention_weights",
    "explore",
    "graph",
    "layers",
    "logit_lens",
    "losses",
    "neighbours",
    "new_figure",
    "next_token",
    "positions",
    "rotary_angles",
    "schedules",
    "token_labels",
]
