"""A page that shows what a GPT does with a text: where its heads look, what each layer expects.

Reading order: ``page`` (the public face: one HTML file, no network), ``recording`` (the numbers of
a text, computed here), ``live`` (the model itself, for a page that computes them again as one
types), ``packing`` (how arrays and texts stand in the page). What runs in the browser is in
``browser/``: ``gpt.js`` is the same GPT once more, ``tokenizer.js`` and ``sampling.js`` what it
reads and writes with, the rest shows it.
"""

from minigpt.viz.explorer.page import Explorer, explore

__all__ = ["Explorer", "explore"]
