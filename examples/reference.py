"""Pages of every public name, made of the docstrings, with the mathematics set as mathematics.

    python examples/reference.py                 # then open reference/index.html

pdoc (the extra ``docs``) finds the names and follows the links. Equations stand in the docstrings
as indented lines of plain Unicode, which a reader of the source or of ``help()`` reads as they are;
here they become italics, subscripts, roots and columns. All of it happens on this machine: the
pages load nothing from a network.
"""

from __future__ import annotations

import argparse
import html
import importlib.util
import inspect
import re
import types
import warnings
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path

import minigpt as mg
import minigpt.operations

ROOMS = ["minigpt", "minigpt.operations"]
SECTION = re.compile(r"[A-Z][a-z]+:$")
GAP = re.compile(r" {2,}")  # what separates the columns of an equation
BETWEEN = r"(?:</?span[^>]*>|\s)*"  # in a signature every sign has a colour of its own
ANY = rf"(?:typing{BETWEEN}\.{BETWEEN})?Any"
LONG_ARRAY = re.compile(
    BETWEEN.join(["numpy", r"\.", "ndarray", r"\[", ANY, ",", "numpy", r"\.", "dtype", r"\[", ANY])
    + BETWEEN.join(["", r"\]", r"\]"])
)
TOKEN = re.compile(
    r'(?P<text>"[^"]*")'
    r"|\^\((?P<power>[^()]*)\)"
    r"|(?P<base>[^\W\d_]̂?)_(?:\{(?P<braced>[^}]*)\}|(?P<index>\w+))"
    r"|(?P<word>[^\W\d]\w*)"
)
STYLE = """<style>
.pdoc .equation { border-spacing: 0; margin: .6em 0 .9em 1.2em; color: inherit;
    font-family: "STIX Two Text", "Latin Modern Roman", Cambria, "Times New Roman", serif;
    font-size: 1.08em; line-height: 1.75; }
.pdoc .equation td { border: 0; padding: 0 1.4em 0 0; white-space: nowrap; }
.pdoc .equation sub, .pdoc .equation sup { font-size: .72em; line-height: 0; }
.pdoc .equation .root { border-top: 1px solid; padding: .05em .1em 0; }
.pdoc .docstring { overflow-x: auto; }
@media (min-width: 770px) { main.pdoc { max-width: none; } }
.pdoc .docstring h6 { font-size: 1em; font-weight: 600; margin: .9em 0 .2em; }
.pdoc .docstring blockquote { margin-left: 0; }
</style>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", default="reference", help="the folder to write (%(default)s)")
    folder = Path(parser.parse_args().output)
    write_pages(folder)
    print(f"Open {folder / 'index.html'} in a browser.")


def write_pages(folder: Path, rooms: list[str] = ROOMS) -> None:
    """Write a page for each room, and for the rooms that it names."""
    try:
        import pdoc
    except ImportError:
        raise SystemExit('The pages need pdoc: pip install -e ".[docs]"') from None

    for name in mg.__all__:  # what is loaded when it is first asked for, is asked for now
        setattr(mg, name, getattr(mg, name))
    describe_constructors()
    google = pdoc.docstrings.google
    pdoc.docstrings.google = lambda docstring: google(prepared(docstring))
    pdoc.docstrings.GOOGLE_LIST_SECTIONS.append("Shapes")
    pdoc.render.configure(docformat="google", include_undocumented=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # types that only type checkers look up
            pdoc.pdoc(*rooms, *not_pages(), output_directory=folder)
    finally:
        pdoc.docstrings.google = google
        pdoc.docstrings.GOOGLE_LIST_SECTIONS.remove("Shapes")
    for page in folder.rglob("*.html"):
        text = LONG_ARRAY.sub('Array</span><span class="p">', page.read_text(encoding="utf-8"))
        page.write_text(text.replace("</head>", f"{STYLE}</head>"), encoding="utf-8")


def public_rooms() -> list[types.ModuleType]:
    named = [value for value in vars(mg).values() if isinstance(value, types.ModuleType)]
    return [mg, minigpt.operations, *(room for room in named if hasattr(room, "__all__"))]


def describe_constructors() -> None:
    """Let classes show how they are called, and leave out what only ``repr`` asks for."""
    for room in public_rooms():
        for cls in map(vars(room).get, room.__all__):
            members = vars(cls) if inspect.isclass(cls) else {}
            for name, says in (("__init__", "As the class has it."), ("extra_repr", "@private")):
                if inspect.isfunction(members.get(name)) and not members[name].__doc__:
                    members[name].__doc__ = says


def not_pages() -> list[str]:
    """Modules that are called like the function that they hold: the function is the public name."""
    names = {
        f"{room.__name__}.{name}"
        for room in public_rooms()
        for name in room.__all__
        if not isinstance(getattr(room, name), types.ModuleType)
    }
    return [f"!{name}" for name in sorted(names) if importlib.util.find_spec(name)]


# ── from a docstring to Markdown ──────────────────────────────────────────────────────────────


def prepared(docstring: str) -> str:
    """A docstring with its equations as tables; links without the ~ that Sphinx would read."""
    lines: list[str] = []
    equation: list[str] = []
    in_section = False
    for line in [*docstring.replace("`~", "`").splitlines(), ""]:
        indented = line.startswith("    ")
        if line.strip() and not indented:
            in_section = SECTION.fullmatch(line) is not None
        if indented and not in_section and (equation or not (lines and lines[-1].strip())):
            equation.append(line)
            continue
        if equation:
            lines += [table(equation), ""]
            equation = []
        lines.append(line)
    return "\n".join(lines)


def table(lines: list[str]) -> str:
    """The lines of an equation in columns: a place where cells of two lines begin is one.

    Example:
        >>> print(table(["x = 1    where x > 0", "    2    else"]))
        <table class="equation">
        <tr><td><i>x</i> = 1</td><td>where <i>x</i> &gt; 0</td></tr>
        <tr><td>2</td><td>else</td></tr>
        </table>
    """
    starts = [start for line in lines for start in cells(line)]
    rows = [cells(line, at=starts) for line in lines]
    starts = [start for row in rows for start in row]
    columns = sorted({min(starts), *(start for start in starts if starts.count(start) > 1)})
    out = ['<table class="equation">']
    for row in rows:
        placed: dict[int, list[str]] = {}
        for start, text in row.items():
            column = max(i for i, place in enumerate(columns) if place <= start)
            placed.setdefault(column, []).append(typeset(text))
        out.append("<tr>")
        at = 0
        for column, texts in sorted(placed.items()):
            out[-1] += "<td></td>" * (column - at)
            nearest = min((other for other in placed if other > column), default=len(columns))
            span = f' colspan="{nearest - column}"' if nearest - column > 1 else ""
            out[-1] += f"<td{span}>{'&emsp;'.join(texts)}</td>"
            at = nearest
        out[-1] += "</tr>"
    return "\n".join([*out, "</table>"])


def cells(line: str, at: Collection[int] = ()) -> dict[int, str]:
    """What stands between the gaps of a line, by where it begins.

    An = or ← after a single space begins a cell too, where another line has one ``at`` its place.
    """
    first = len(line) - len(line.lstrip())
    borders = [first, *(gap.end() for gap in GAP.finditer(line, first))]
    borders += [i for i in at if line[i - 1 : i + 1] in (" =", " ←") and i > first]
    borders = [*sorted({*borders}), len(line)]
    return {a: line[a:b].strip() for a, b in pairwise(borders) if line[a:b].strip()}


# ── from Unicode to typeset mathematics ───────────────────────────────────────────────────────


def typeset(text: str) -> str:
    """A piece of an equation as HTML.

    Example:
        >>> typeset("y = W_out x/√(σ² + ε)")
        '<i>y</i> = <i>W</i><sub>out</sub> <i>x</i>/√<span class="root"><i>σ</i>² + <i>ε</i></span>'
    """
    before, root, after = text.partition("√(")
    if root and ")" in after:
        inside, outside = matching(after)
        under = f'√<span class="root">{typeset(inside)}</span>'
        return f"{typeset(before)}{under}{typeset(outside)}"
    out, at = [], 0
    for token in TOKEN.finditer(text):
        out += [html.escape(text[at : token.start()]), set_token(token)]
        at = token.end()
    return "".join([*out, html.escape(text[at:])])


def matching(text: str) -> tuple[str, str]:
    """What stands before the bracket that closes one before the text, and what after it."""
    depth = 1
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[:i], text[i + 1 :]
    return text, ""


def set_token(token: re.Match[str]) -> str:
    if token["text"]:
        return f"<code>{html.escape(token['text'], quote=False)}</code>"
    if token["power"]:
        return f"<sup>{typeset(token['power'])}</sup>"
    if token["base"]:
        return f"<i>{token['base']}</i><sub>{typeset(token['braced'] or token['index'])}</sub>"
    word = token["word"]
    letter, rest = word[0], word[1:]
    if not rest.strip("′²³ⁿᵀˣᵗᵢⱼₖₗₙₜᵥ₀₁₂₊₋⁰¹⁴⁵⁶⁷⁸⁹⁻̂"):  # a letter, with what belongs to it
        return f"<i>{letter}</i>{rest}"
    return f"<code>{word}</code>" if "_" in word else word


if __name__ == "__main__":
    main()
