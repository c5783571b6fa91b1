"""Looking at a model as it is: dropout off and no gradients recorded, and afterwards as before."""

from __future__ import annotations

from typing import Any

from minigpt.autograd import no_grad


class evaluating:
    """Dropout off and no gradients recorded inside ``with``; every module gets back its mode.

    It can be entered again and again: what a text is written with, a token at a time, is looked
    for once.

    Args:
        model: a Module, whose modules are found here; what has none is left alone.

    Example:
        >>> from minigpt.nn import Dropout
        >>> dropout = Dropout(0.5)
        >>> with evaluating(dropout):
        ...     dropout.training
        False
        >>> dropout.training
        True
    """

    def __init__(self, model: Any) -> None:
        named_modules = getattr(model, "named_modules", None)
        self._modules = [] if named_modules is None else [module for _, module in named_modules()]
        self._no_grad = no_grad()

    def __enter__(self) -> None:
        self._in_training = [module for module in self._modules if module.training]
        for module in self._in_training:
            module.training = False
        self._no_grad.__enter__()

    def __exit__(self, *exception: Any) -> None:
        self._no_grad.__exit__(*exception)
        for module in self._in_training:
            module.training = True
