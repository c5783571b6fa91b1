"""Module and Parameter: how a network keeps what it learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.grad_mode import is_evaluating
from minigpt.nn.description import Text, html_tree, summary_table, tree
from minigpt.operations.operands import float_type
from minigpt.tensor import Tensor

ModuleType = TypeVar("ModuleType", bound="Module")

# What parallel training, torch.compile and training frameworks put before every name.
WRAPPERS = ("module.", "_orig_mod.", "model.")

# What is looked for on a model, and stands elsewhere.
ELSEWHERE = {
    "save": "a Trainer saves its model: trainer.save(path), and mg.load_model(path) reads it; "
    "model.save_pretrained(folder) writes a GPT for other programs",
    "load": "mg.load_model(path) makes the model that a checkpoint holds, "
    "mg.GPT.from_pretrained(folder) that of a Hugging Face folder, and "
    "model.load_state_dict(state) takes arrays by name",
    "generate": "a Sampler writes: mg.Sampler(model, tokenizer).generate(prompt)",
    "fit": "a Trainer trains: mg.Trainer(model, train_tokens, config=config).fit()",
    "to": "model.astype(np.float64) converts every parameter; there is no other device",
}


class Parameter(Tensor):
    """A Tensor that a Module learns: a leaf that requires a gradient.

    Args:
        array: its numbers.
        parts: the widths of the matrices that stand side by side in it, as those of Q, K and V do;
            empty where it is one. :class:`minigpt.optim.Muon` looks at each by itself …
        is_embedding: … and leaves those out whose rows are vectors of their own, not a matrix.

    Raises:
        TypeError: ``parts`` is not a tuple of integers.
        ValueError: it does not add up to the array's last length.

    Example:
        >>> import numpy as np
        >>> w = Parameter(np.zeros((2, 3)))
        >>> ((w @ np.ones(3) - 1.0) ** 2).sum().backward()
        >>> w.grad
        array([[-2., -2., -2.],
               [-2., -2., -2.]])
    """

    __slots__ = ("is_embedding", "parts")

    def __init__(self, array: Any, parts: tuple[int, ...] = (), is_embedding: bool = False) -> None:
        super().__init__(array, requires_grad=True)
        self.parts = _check_parts(parts, self.shape)
        self.is_embedding = is_embedding is not False and checks.flag("is_embedding", is_embedding)


class Module:
    """A part of a network: parameters, other modules, and a ``forward`` that uses them.

    Parameters and modules are found where they are kept: in attributes, and in lists, tuples and
    dicts that are attributes. Their names are the way there, ``blocks.0.mlp.up_proj.weight``. A
    parameter that two modules share is listed once, under the first name.

    Raises:
        TypeError: an attribute is made a Tensor that requires a gradient and is not a
            :class:`Parameter`, so that nothing would ever move it.

    Example:
        >>> from minigpt.nn import Linear, Module
        >>> class Twice(Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layers = [Linear(4, 4, seed=0), Linear(4, 2, bias=False, seed=1)]
        ...
        ...     def forward(self, x):
        ...         for layer in self.layers:
        ...             x = layer(x)
        ...         return x
        >>> [name for name, _ in Twice().named_parameters()]
        ['layers.0.weight', 'layers.0.bias', 'layers.1.weight']
    """

    def __init__(self) -> None:
        self._in_training = True

    @property
    def training(self) -> bool:
        """Whether dropout is on: in training mode, and outside ``minigpt.grad_mode.evaluation``."""
        return self._in_training and not is_evaluating()

    @training.setter
    def training(self, mode: bool) -> None:
        self._in_training = mode

    def __setattr__(self, name: str, value: Any) -> None:
        for _ in _found(name, value):  # refuses what would never learn
            pass
        super().__setattr__(name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        _check_defines_forward(self)

    if not TYPE_CHECKING:  # for a type checker, an attribute that is not there stays an error

        def __getattr__(self, name: str) -> Any:
            kind = type(self).__name__
            where = f": {ELSEWHERE[name]}" if name in ELSEWHERE else ""
            raise AttributeError(f"{kind!r} object has no attribute {name!r}{where}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    # ── what it is made of ────────────────────────────────────────────────────────────────────

    def named_children(self) -> Iterator[tuple[str, Module | Parameter]]:
        """The modules and parameters kept here directly, with their names."""
        for name, value in vars(self).items():
            yield from _found(name, value)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module (named "", or the ``prefix``) and all below it, each once."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            children = [
                (f"{name}.{child}" if name else child, value)
                for child, value in module.named_children()
                if isinstance(value, Module)
            ]
            stack.extend(reversed(children))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once, with its name."""
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            for name, value in module.named_children():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{prefix}.{name}" if prefix else name, value

    def parameters(self) -> list[Parameter]:
        """Every parameter once."""
        return [parameter for _, parameter in self.named_parameters()]

    def num_parameters(self) -> int:
        """How many numbers the module learns; shared ones count once."""
        return sum(p.size for p in self.parameters())

    # ── modes ─────────────────────────────────────────────────────────────────────────────────

    def train(self: ModuleType, mode: bool = True) -> ModuleType:
        """Switch dropout on (or off, where ``mode`` is False) here and in all modules below."""
        checks.flag("mode", mode)
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self: ModuleType) -> ModuleType:
        """Switch dropout off, as for evaluation and generation."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def astype(self: ModuleType, dtype: np.dtype[Any] | type) -> ModuleType:
        """Convert every parameter, in place, to a ``dtype``; gradients are forgotten.

        Raises:
            TypeError: ``dtype`` is neither float32 nor float64.
        """
        dtype = float_type(dtype)
        for parameter in self.parameters():
            parameter.data = Tensor(parameter.data.astype(dtype)).data
            parameter.grad = None
        return self

    # ── saving and loading ────────────────────────────────────────────────────────────────────

    def state_dict(self) -> dict[str, Array]:
        """A copy of every parameter's array, by name."""
        return {name: parameter.data.copy() for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Array], strict: bool = True) -> None:
        """Write the arrays of ``state`` into the parameters of those names.

        Nothing is written unless everything fits.

        Args:
            state: arrays by name, as :meth:`state_dict` gives them.
            strict: whether every parameter must be in ``state``, and nothing else.

        Raises:
            ValueError: lists the missing, unexpected and misshapen (or mistyped) names.
        """
        own = dict(self.named_parameters())
        _check_fits(self, own, state, strict)
        for name in own.keys() & state.keys():
            own[name].assign(state[name])

    # ── inspecting it ─────────────────────────────────────────────────────────────────────────

    def extra_repr(self) -> str:
        """What the module's line in ``repr`` says besides its shapes."""
        return ""

    def __repr__(self) -> str:
        return tree(self)

    def _repr_html_(self) -> str:
        return html_tree(self)

    def summary(self) -> Text:
        """A table of every parameter: name, shape, how many numbers, and its share of all."""
        return summary_table(self)


def _found(name: str, value: Any) -> Iterator[tuple[str, Module | Parameter]]:
    if isinstance(value, (Module, Parameter)):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _found(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _found(f"{name}.{key}", item)
    elif isinstance(value, Tensor) and value.requires_grad and value.node is None:
        raise checks.wrong_type(
            name, "a Parameter, as it requires a gradient", value,
            "parameters() lists Parameters only: wrap its array, mg.nn.Parameter(array)",
        )  # fmt: skip


def _check_parts(parts: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(parts, tuple) and not parts:
        return ()
    widths = tuple(checks.size("parts", width) for width in checks.items("parts", parts, "widths"))
    if widths and (len(shape) != 2 or sum(widths) != shape[1]):
        expected = f"widths that add up to that of a matrix of shape {shape}"
        raise checks.wrong_value("parts", expected, parts)
    return widths


def _check_defines_forward(module: Module) -> None:
    raise TypeError(f"{type(module).__name__} defines no forward()")


def _check_fits(module: Module, own: Mapping[str, Parameter], state: Any, strict: bool) -> None:
    if not isinstance(state, Mapping):
        mend = "pass what state_dict() gave"
        raise checks.wrong_type("state", "a dict of arrays by name", state, mend)
    checks.flag("strict", strict)
    for name in state:
        checks.text("a name in state", name)
    problems = []
    if strict:
        problems += [f"missing: {name} {own[name].shape}" for name in own if name not in state]
        problems += [f"unexpected: {name}" for name in state if name not in own]
    for name in own.keys() & state.keys():
        array = np.asarray(state[name])
        if array.shape != own[name].shape or array.dtype != own[name].dtype:
            problems.append(
                f"misshapen: {name} is {array.dtype}{array.shape}, the module's "
                f"{own[name].dtype}{own[name].shape}"
            )
    if strict and problems:
        wrapper = next((w for w in WRAPPERS if all(name.startswith(w) for name in state)), None)
        if wrapper and {name.removeprefix(wrapper) for name in state} == own.keys():
            raise ValueError(
                f"load_state_dict: every name begins with {wrapper!r}, which a wrapper has put "
                f"there: take it off, {{name.removeprefix({wrapper!r}): array for name, array in "
                "state.items()}"
            )
    if problems:
        names = "1 name does" if len(problems) == 1 else f"{len(problems)} names do"
        raise ValueError(
            f"load_state_dict: {names} not fit {type(module).__name__}:\n  "
            + "\n  ".join(sorted(problems))
        )
