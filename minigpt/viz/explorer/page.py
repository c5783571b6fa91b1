"""One HTML file to explore a GPT with: it needs no network, no server and no other file."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
from collections.abc import Collection, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from minigpt import checks
from minigpt.atomic import replacing
from minigpt.models import GPT
from minigpt.progress_bar import ProgressBar
from minigpt.sampling.prompts import encode_prompt
from minigpt.tokenizers import Tokenizer
from minigpt.viz.explorer.live import (
    live_model,
    live_tokenizer,
    vocabulary,
    why_no_typing,
    why_recorded,
)
from minigpt.viz.explorer.packing import byte_string, script_json, token_bytes
from minigpt.viz.explorer.recording import BYTES_OF_A_WEIGHT, Recording, places, record

# The scripts of a page, in the order in which they use each other.
SCRIPTS = (
    "payload.js", "equations.js", "gpt.js", "tokenizer.js", "sampling.js", "sources.js",
    "elements.js", "heat_maps.js", "tokens_view.js", "heads_view.js", "map_view.js",
    "all_heads_view.js", "predictions_view.js", "writer_view.js", "app.js", "links.js", "start.js",
)  # fmt: skip
MOST_BYTES = 32_000_000  # of the attention in a page: beyond, browsers become slow
MANY_PARAMETERS = 10_000_000  # from where recording takes seconds, and shows a bar
HEIGHT = 860  # of the page in a notebook, in pixels
LONGEST_TITLE = 60


def explore(
    model: GPT,
    tokenizer: Tokenizer,
    text: str | Sequence[str],
    path: str | os.PathLike[str] | None = None,
    *,
    allowed_special: str | Collection[str] = (),
    progress: bool = True,
) -> Explorer:
    """A page that shows where each head looks, and what the model expects after each layer.

    Hover a token, step through the layers, see the likeliest next tokens beside the true one. The
    page of a model of up to two million parameters carries its weights and runs it in the browser:
    type, and all numbers follow; choose temperature, top-k and top-p, and let it write. Larger
    models, and what the page cannot compute (it says what), are shown as recorded here.

    Recorded attention weights are rounded to 0.01 %, probabilities are float32; the browser
    computes with float32 weights, and first compares its numbers with the recorded ones.

    Args:
        model: a GPT.
        tokenizer: the one that it was trained with.
        text: what it reads; or several texts, to choose from in the page.
        path: the file to write, such as "explorer.html". Without it, a notebook shows the page.
        allowed_special: names of special tokens that the text may hold; "all" of them.
        progress: show a bar where the model is large.

    Raises:
        TypeError: the model is not a GPT, or text is not text.
        ValueError: a text has no token, more than the context holds, or so many that the page
            would be too large; or the model's numbers are not finite.
        OSError: the file cannot be written.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("to be or not to be")
        >>> model = mg.GPT(mg.GPTConfig(7, block_size=16, n_layer=2, n_head=2, n_embd=8), seed=0)
        >>> explore(model, tokenizer, "to be or not")
        Explorer(12 tokens, 2 layers of 2 heads, computed in the page, 0.1 MB)
    """
    texts = _check(model, tokenizer, text, path)
    checks.flag("progress", progress)
    rows = [_encoded(model, tokenizer, one, allowed_special) for one in texts]
    _check_size(model, rows)
    shown = progress and model.num_parameters() > MANY_PARAMETERS
    with ProgressBar(
        len(rows) * (model.config.n_layer + 1), "recording", "layer", shown=shown
    ) as bar:
        recordings = [record(model, ids, bar.update) for ids in rows]
    explorer = Explorer(_payload(model, tokenizer, recordings), texts[0])
    if path is not None:
        explorer.save(path)
    return explorer


class Explorer:
    """A page made by :func:`explore`: a notebook shows it, and ``save`` writes it.

    Args:
        payload: what the page holds: the texts, the recorded numbers, the weights.
        title: of the page.

    Attributes:
        html: the page.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("to be")
        >>> model = mg.GPT(mg.GPTConfig(5, block_size=8, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> page = explore(model, tokenizer, "to be")
        >>> page.html[:15], "to be" in page.html
        ('<!doctype html>', True)
    """

    def __init__(self, payload: dict[str, Any], title: str) -> None:
        about, texts = payload["about"], payload["texts"]
        self.html = _page(payload, title)
        counts = ", ".join(str(len(one["ids"])) for one in texts)
        self._summary = (
            f"{counts} tokens, {_count(about['layers'], 'layer')} of "
            f"{_count(about['heads'], 'head')}, "
            f"{'computed in the page' if payload['live'] else 'recorded'}"
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to ``path``; a reader finds the old file whole, or the new one.

        Raises:
            OSError: the file cannot be written.
        """
        target = checks.path("path", path)
        with replacing(target) as file:
            file.write(self.html.encode("utf-8"))
        return target

    def _repr_html_(self) -> str:
        """The page in a frame of its own, where it can reach nothing of the notebook."""
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts allow-downloads" '
            f'title="minigpt explorer" style="width:100%;height:{HEIGHT}px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"Explorer({self._summary}, {len(self.html.encode('utf-8')) / 1e6:.1f} MB)"


def _payload(model: GPT, tokenizer: Tokenizer, recordings: list[Recording]) -> dict[str, Any]:
    """All that the page's scripts are given."""
    c, why = model.config, why_recorded(model)
    named = sorted(set().union(*(recording.tokens() for recording in recordings)))
    known = [token for token in named if token < tokenizer.vocab_size]
    typing = "" if why else why_no_typing(tokenizer)
    return {
        "about": {
            "layers": c.n_layer,
            "heads": c.n_head,
            "context": c.block_size,
            "parameters": model.num_parameters(),
            "causal": c.causal,
            "whyRecorded": why,
            "whyNoTyping": typing,
        },
        "vocabulary": {i: byte_string(token_bytes(tokenizer, i)) for i in known}
        if why
        else vocabulary(tokenizer, c.vocab_size),
        "texts": [recording.to_dict() for recording in recordings],
        "live": None if why else live_model(model),
        "tokenizer": None if why or typing else live_tokenizer(tokenizer),
    }


def _page(payload: dict[str, Any], title: str) -> str:
    """The template with its style, its scripts and the payload.

    The page allows itself these scripts, known by their hashes, and nothing from any network:
    whatever stands in a text, no other script runs.
    """
    files = resources.files("minigpt.viz.explorer") / "browser"
    scripts = [(files / name).read_text(encoding="utf-8") for name in SCRIPTS]
    title = " ".join(title.split())
    parts = {
        "title": html.escape(title if len(title) <= LONGEST_TITLE else title[:LONGEST_TITLE] + "…"),
        "policy": " ".join(f"'sha256-{_sha256(script)}'" for script in scripts),
        "style": (files / "style.css").read_text(encoding="utf-8"),
        "payload": script_json(payload),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    template = (files / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _encoded(
    model: GPT, tokenizer: Tokenizer, text: str, allowed_special: str | Collection[str]
) -> list[int]:
    """The tokens of a text as the model is to read it, where it can read that many."""
    if not text:
        raise checks.wrong_value("text", "of at least one token", text)
    ids = encode_prompt(tokenizer, text, model.config.vocab_size, allowed_special)
    if len(ids) > model.config.block_size:
        raise ValueError(
            f"text has {len(ids):,} tokens, and the context holds {model.config.block_size:,} "
            f"(block_size): shorten it"
        )
    return [int(i) for i in ids]


def _check_size(model: GPT, rows: list[list[int]]) -> None:
    c = model.config
    maps = c.n_layer * (c.n_head + 1) * BYTES_OF_A_WEIGHT * 4 / 3  # base64
    size = maps * sum(places(len(ids), c.causal) for ids in rows)
    if size > MOST_BYTES:
        most = int((MOST_BYTES / maps * (2 if c.causal else 1)) ** 0.5)
        raise ValueError(
            f"the page would be of {size / 1e6:,.0f} MB, as text has "
            f"{sum(map(len, rows)):,} tokens and the model {c.n_layer * c.n_head:,} heads: a page "
            f"of {MOST_BYTES / 1e6:.0f} MB has room for one text of {most:,} tokens; shorten it"
        )


def _check(model: object, tokenizer: object, text: object, path: object) -> list[str]:
    checks.instance("model", model, GPT, "no other model can be explored")
    if not isinstance(tokenizer, Tokenizer):
        raise checks.wrong_type("tokenizer", "the model's Tokenizer", tokenizer)
    if path is not None and checks.path("path", path).suffix.lower() not in (".html", ".htm"):
        mend = "the order is explore(model, tokenizer, text, path)"
        raise checks.wrong_value("path", "the name of a page, ….html", str(path), mend)
    if path is not None and not (folder := checks.path("path", path).parent).is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: make it first, for {path}")
    if isinstance(text, str):
        return [text]
    texts = checks.items("text", text, "a str or a list of them")
    for one in texts:
        checks.text("text", one)
    if not texts:
        raise checks.wrong_value("text", "a str or a list of them", texts)
    return texts
