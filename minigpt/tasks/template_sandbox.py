"""Templates in Jinja's language that come out of files, run with a bound on all that they may do.

A chat template is a program that somebody else wrote. It runs in the sandbox of the package jinja2,
where it reaches nothing but what it is given, and here it is also metered: it may take so many
steps, make so many characters, and go on for so many seconds. What no chat template needs, such as
including other files, is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NoReturn

from minigpt.tasks.template_meter import ChatTemplateError, Meter

STATEMENTS = {
    "Template", "Output", "TemplateData", "For", "If", "Macro", "Assign", "AssignBlock", "ExprStmt",
    "Continue", "Break", "Scope",
}  # fmt: skip
EXPRESSIONS = {
    "Name", "NSRef", "Const", "Tuple", "List", "Dict", "Pair", "Keyword", "CondExpr", "Filter",
    "Test", "Call", "Getitem", "Getattr", "Slice", "Concat", "Compare", "Operand", "Mul", "Div",
    "FloorDiv", "Add", "Sub", "Mod", "And", "Or", "Not", "Neg", "Pos",
}  # fmt: skip
FILTERS = {
    "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last",
    "length", "list", "lower", "map", "reject", "rejectattr", "reverse", "select", "selectattr",
    "sort", "string", "title", "trim", "upper",
}  # fmt: skip
METHODS_OF_TEXT = {
    "capitalize", "count", "endswith", "find", "isalnum", "isalpha", "isdigit", "islower",
    "isspace", "isupper", "join", "lower", "lstrip", "removeprefix", "removesuffix", "replace",
    "rfind", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper",
}  # fmt: skip
METHODS_OF_DICTS = {"get", "items", "keys", "values"}


class Template:
    """A template, compiled once.

    Args:
        source: its text.
        functions: what it may call, by name, beside ``range``, ``namespace`` and
            ``raise_exception``.

    Raises:
        ChatTemplateError: it is not a template, or holds what is not allowed.
        ImportError: the package jinja2 is missing; says how to install it.

    Example:
        >>> template = Template("{% for a in all %}{{ a }}! {% endfor %}")  # doctest: +SKIP
        >>> template.render(all=["You", "Me"])  # doctest: +SKIP
        'You! Me! '
    """

    def __init__(
        self, source: str, functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> None:
        self._meter = Meter()
        self._meter.start()
        with_errors = _said_clearly("cannot be read")
        self._template = with_errors(_compiled)(source, self._meter, functions or {})

    def render(self, **variables: Any) -> str:
        """What the template writes.

        Raises:
            ChatTemplateError: it takes too much, does what it may not, or refuses.
        """
        self._meter.start()
        text: str = _said_clearly("failed")(self._template.render)(**variables)
        return text


def _compiled(source: str, meter: Meter, functions: Mapping[str, Callable[..., Any]]) -> Any:
    """The template, in an environment of its own."""
    environment = _environment(meter)
    environment.globals = {
        "range": environment.globals["range"],  # the sandbox's, of at most 100,000
        "namespace": environment.globals["namespace"],
        "raise_exception": _refuse,
        **functions,
    }
    environment.filters = {
        name: _metered(meter, environment.filters[name]) for name in FILTERS
    } | {
        "tojson": meter.as_json,
        "join": lambda values, d="", attribute=None: meter.joined_values(values, d, attribute),
        "replace": lambda text, old, new, count=None: meter.replaced(str(text), old, new, count),
        "each step": meter.each,
        "built": meter.built,
    }  # fmt: skip
    tree = environment.parse(source)
    _check_nodes(tree)
    return environment.from_string(_with_meters(tree))


def _environment(meter: Meter) -> Any:
    """Jinja's sandbox, with a meter at all that makes texts, lists and numbers."""
    try:
        from jinja2 import nodes
        from jinja2.ext import Extension, loopcontrols
        from jinja2.runtime import LoopContext
        from jinja2.sandbox import ImmutableSandboxedEnvironment
        from jinja2.utils import Namespace
    except ImportError:
        raise ImportError(
            'a chat template needs the package jinja2: pip install "minigpt[hf]"'
        ) from None

    class Generation(Extension):  # type: ignore[misc, unused-ignore]
        """``{% generation %}…{% endgeneration %}`` marks what is said, and changes nothing."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return nodes.Scope(parser.parse_statements(["name:endgeneration"], drop_needle=True))

    class Sandbox(ImmutableSandboxedEnvironment):  # type: ignore[misc, unused-ignore]
        intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%"])

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            """Few methods of texts and dicts are safe; what has no end of attributes is not."""
            if isinstance(obj, str):
                return attr in METHODS_OF_TEXT
            if isinstance(obj, dict):
                return attr in METHODS_OF_DICTS
            known = isinstance(obj, (LoopContext, Namespace))
            return known and bool(super().is_safe_attribute(obj, attr, value))

        def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
            """What is not safe is an error at once, and not when it is used."""
            raise ChatTemplateError(f"it reaches for {attribute!r:.80} of a {type(obj).__name__}")

        def wrap_str_format(self, value: Any) -> None:
            """Without ``str.format``, whose result may have any length."""

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            """Before a text or a list is made, its length is known."""
            sizes = [len(x) for x in (left, right) if isinstance(x, (str, list, tuple))]
            if sizes and operator == "%":
                raise ChatTemplateError("it formats text with %")
            if sizes and operator == "*":
                sizes = [sizes[0] * max(x, 0) for x in (left, right) if isinstance(x, int)]
            is_text = isinstance(left, str) or isinstance(right, str)
            (meter.write if is_text else meter.step)(sum(sizes) + 1)
            value = super().call_binop(context, operator, left, right)
            return meter.made(value) if isinstance(value, int) else value

        def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
            """Every call is a step; what makes longer texts than it is given is done here."""
            meter.step()
            text = getattr(__obj, "__self__", None)
            if isinstance(text, str) and __obj.__name__ in ("replace", "join"):
                if __obj.__name__ == "replace":
                    return meter.replaced(text, *args, **kwargs)
                (values,) = args
                return meter.joined_values(values, text)
            return meter.made(super().call(__context, __obj, *args, **kwargs))

        def getitem(self, obj: Any, argument: Any) -> Any:
            """A slice is made anew."""
            value = super().getitem(obj, argument)
            return meter.made(value) if isinstance(argument, slice) else value

    environment = Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols],
        finalize=meter.written, optimized=False,
    )  # fmt: skip
    environment.concat = meter.joined
    return environment


def _check_nodes(tree: Any) -> None:
    """Refuse what no chat template needs."""
    from jinja2 import nodes

    for node in [tree, *tree.find_all(nodes.Node)]:
        kind = type(node).__name__
        if kind not in STATEMENTS | EXPRESSIONS:
            raise ChatTemplateError(f"line {node.lineno} holds {kind}, which no template may")
        if kind == "For" and node.recursive:
            raise ChatTemplateError(f"line {node.lineno} holds a loop that calls itself")


def _with_meters(tree: Any) -> Any:
    """The template with a meter at every loop and list, and with + in the place of ~."""
    from jinja2 import nodes
    from jinja2.visitor import NodeTransformer

    def filtered(node: Any, name: str) -> Any:
        return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)

    class WithMeters(NodeTransformer):  # type: ignore[misc, unused-ignore]
        def visit_For(self, node: Any) -> Any:
            self.generic_visit(node)
            node.iter = filtered(node.iter, "each step")
            return node

        def visit_List(self, node: Any) -> Any:
            self.generic_visit(node)
            return filtered(node, "built")

        def visit_Dict(self, node: Any) -> Any:
            return self.visit_List(node)

        def visit_Tuple(self, node: Any) -> Any:
            return self.visit_List(node) if node.ctx == "load" else node

        def visit_Concat(self, node: Any) -> Any:
            self.generic_visit(node)
            first, *others = (filtered(part, "string") for part in node.nodes)
            for other in others:
                first = nodes.Add(first, other, lineno=node.lineno)
            return first

    return WithMeters().visit(tree)


def _metered(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose every call is a step, and whose result is counted."""

    @wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        meter.step()
        return meter.made(function(*args, **kwargs))

    return metered


def _refuse(message: object) -> NoReturn:
    """What ``raise_exception`` does."""
    raise ChatTemplateError(f"it says {str(message)[:300]!r}")


def _said_clearly(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Every error of a function becomes a ChatTemplateError that says so."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except (ImportError, MemoryError):
                raise
            except RecursionError:
                raise ChatTemplateError(
                    f"the chat template {what}: it is nested too deep"
                ) from None
            except ChatTemplateError as error:
                raise ChatTemplateError(f"the chat template {what}: {error}") from None
            except Exception as error:
                said = f"{type(error).__name__}: {str(error)[:300]}"
                raise ChatTemplateError(f"the chat template {what}: {said}") from None

        return call

    return decorate
