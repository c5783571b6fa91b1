"""Chat templates: the same ids as Transformers' apply_chat_template, on clean conversations."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigpt as mg
from minigpt.interop import find_smollm2
from minigpt.tasks import ChatML, ChatTemplate, chat_format_of
from tests.tasks.test_chat_template import NAMES, TEMPLATES, TOKENIZER, WITH_DEFAULT
from tests.tokenizers.files.written import tokenizer_json

transformers = pytest.importorskip(
    "transformers", reason="compares with transformers: pip install -e '.[parity]'"
)

# What published templates do: find the last question, cut out what was thought, trim, number, join.
ELABORATE = """{%- set ns = namespace(last=-1) -%}
{%- for message in messages[::-1] -%}
    {%- if ns.last < 0 and message.role == "user" and not message.content.startswith('<tool>') -%}
        {%- set ns.last = (messages | length - 1) - loop.index0 -%}
    {%- endif -%}
{%- endfor -%}
{%- if messages[0]['role'] == 'system' -%}
    {%- set system = messages[0]['content'] | trim -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set system = "You are " ~ (bos_token is defined and "one" or "none") -%}
    {%- set rest = messages -%}
{%- endif %}
<|im_start|>system
{{ system }}<|im_end|>
{% for message in rest %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles must alternate') }}
    {%- endif %}
    {%- set content = message['content'] %}
    {%- if message.role == 'assistant' and '</think>' in content %}
        {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1] %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- if loop.index0 > ns.last %}
            {%- set content = '<think>' + thought + '</think>' + content %}
        {%- endif %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + (content | trim) + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""
ALL = {**TEMPLATES, "with default": WITH_DEFAULT, "elaborate": ELABORATE}
WORDS = [
    "hello",
    " ",
    "\n",
    "  ",
    "é漢",
    "a",
    "?",
    "</think>",
    "<think>",
    "\n\n",
    "I'm",
    "7",
    "{{",
    "%}",
]
SAID = st.lists(st.sampled_from(WORDS), max_size=8).map("".join)


@pytest.fixture(scope="module", params=ALL)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("t")
    write(folder, ALL[request.param])
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    return mg.load_tokenizer(folder), theirs


def write(folder: Path, template: str) -> None:
    described = json.dumps(tokenizer_json(TOKENIZER))
    (folder / "tokenizer.json").write_text(described, encoding="utf-8")
    config = {"bos_token": "<s>", "eos_token": NAMES[1], "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def same_ids(form: Any, theirs: Any, turns: list[Any]) -> None:
    messages = [{"role": role, "content": text} for role, text in turns]
    ids = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert form.prompt(turns) == ids, turns
    text = theirs.apply_chat_template(messages, add_generation_prompt=False, tokenize=False)
    assert "".join(text for text, _ in form.pieces(turns, answer_next=False)) == text


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(system=st.none() | SAID, said=st.lists(SAID, min_size=1, max_size=7))
def test_conversations(both: Any, system: str | None, said: list[str]) -> None:
    ours, theirs = both
    said = said[: len(said) - 1 + len(said) % 2]
    turns = [] if system is None else [("system", system)]
    turns += [(("user", "assistant")[i % 2], text) for i, text in enumerate(said)]
    same_ids(ChatTemplate(ours), theirs, turns)
    same_ids(chat_format_of(ours), theirs, turns)


def test_the_published_template() -> None:
    """SmolLM2's, which is ChatML with a default for the system: built in, and by Jinja."""
    try:
        path = find_smollm2()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    ours = mg.load_tokenizer(path)
    theirs = transformers.AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    question = "What is the capital of France?"
    turns = [("user", question), ("assistant", "Paris. 是巴黎。"), ("user", " Why?\n")]
    built_in = chat_format_of(ours)
    assert isinstance(built_in, ChatML) and re.match("You are", str(built_in.default_system))
    for form in (built_in, ChatTemplate(ours)):
        for some in (turns[:1], turns, [("system", "Answer in French."), *turns]):
            same_ids(form, theirs, some)
