"""Pictures of a model, and a page to explore it with."""

from minigpt.viz.explorer import Explorer, explore

__all__ = ["Explorer", "explore"]
