"""Templates out of files: what they may do, and hostile ones, which do no harm."""

from __future__ import annotations

import sys
import time
import tracemalloc

import pytest

from minigpt.tasks import ChatTemplateError
from minigpt.tasks.template_meter import Meter

pytest.importorskip("jinja2", reason='jinja2 is not installed: pip install -e ".[hf]"')

from minigpt.tasks.template_sandbox import Template

MESSAGES = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " Yes.\n"}]
VALUES = {"messages": MESSAGES, "words": ["a", "b"], "long": "k" * 1000, "none": None, "n": 3}


def render(source: str) -> str:
    return Template(source).render(**VALUES)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% for m in messages %}{{ m.role }}:{{ m['content'] | trim }} {% endfor %}",
         "user:Hi assistant:Yes. "),
        ("  {% if true %}\n a\n  {% endif %}\nb", " a\nb"),  # blocks leave no blank lines
        ("{% set ns = namespace(n=0) %}{% for w in words %}{% set ns.n = ns.n + loop.index %}"
         "{% endfor %}{{ ns.n }}", "3"),
        ("{{ 'a' ~ 1 ~ none ~ missing }}", "a1None"),
        ("{{ missing }}{{ none }}{{ true }}", "NoneTrue"),
        ("{{ words | join(', ') }} {{ ', '.join(words) }} {{ words | tojson }}",
         'a, b a, b ["a", "b"]'),
        ("{{ {'é': [1, none]} | tojson(indent=1) }}", '{\n "é": [\n  1,\n  null\n ]\n}'),
        ("{{ 'a-b-b'.replace('b', 'c', 1) }} {{ 'ab' | replace('b', 'c') }}", "a-c-b ac"),
        ("{{ messages[1:][0].content.split('e')[0] }}{{ messages[-1]['role'][:2] }}", " Yas"),
        ("{% macro f(x, y=2) %}<{{ x * y }}>{% endmacro %}{{ f(2) }}{{ f('ab', y=3) }}",
         "<4><ababab>"),
        ("{% for i in range(5) %}{% if i == 1 %}{% continue %}{% elif i > 3 %}{% break %}"
         "{% endif %}{{ i }}{{ ',' if not loop.last }}{% endfor %}", "0,2,3,"),
        ("{% set x %}a{{ n }}{% endset %}{{ x | upper }}{{ x is string }}{{ n is defined }}",
         "A3TrueTrue"),
        ("{% generation %}said{% endgeneration %}", "said"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"),
        ("{{ messages | map(attribute='role') | join('+') }}{{ 7 // 2 }}{{ 7 % 4 }}",
         "user+assistant33"),
    ],
)  # fmt: skip
def test_what_templates_do(source: str, text: str) -> None:
    assert render(source) == text


HOSTILE = [
    ("{{ ''.__class__.__mro__ }}", "it reaches for '__class__' of a str"),
    ("{{ messages.append(1) }}", "it reaches for 'append' of a list"),
    ("{{ messages[0].update(a=1) }}", "it reaches for 'update' of a dict"),
    ("{{ namespace.__init__.__globals__ }}", "it reaches for '__init__' of a "),
    ("{{ messages | map(attribute='__class__') | list }}", "it reaches for '__class__' of a dict"),
    ("{{ raise_exception.__globals__ }}", "it reaches for '__globals__' of a function"),
    ("{{ '{0.__class__}'.format(1) }}", "it reaches for 'format' of a "),
    ("{{ n.bit_length() }}", "it reaches for 'bit_length' of a int"),
    ("{% for i in range(100001) %}{% endfor %}", "Range too big"),
    ("{{ range(10**9) }}", "line 1 holds Pow, which no template may"),
    ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
     "takes more than 100,000 steps"),
    ("{% for i in range(99999) %}{{ long }}{% endfor %}", "makes more than 20,000,000 characters"),
    ("{% set x %}{% for i in range(99999) %}{{ long }}{% endfor %}{% endset %}", "characters"),
    ("{{ 'a' * 1000000000 }}", "makes more than 20,000,000 characters"),
    ("{{ 1000000000 * 'a' }}", "makes more than 20,000,000 characters"),
    ("{{ (words * 1000000000) | length }}", "takes more than 100,000 steps"),
    ("{% set ns = namespace(x=long) %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}"
     "{% endfor %}", "characters"),
    ("{% set ns = namespace(x=long) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
     "{% endfor %}", "characters"),
    ("{% set ns = namespace(x=words) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
     "{% endfor %}", "steps"),
    ("{% set ns = namespace(x=3) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}"
     "{% endfor %}", "a number of more than 64 bits"),
    ("{% set ns = namespace(x=1, y=1) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}"
     "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}", "a list of more than 100,000"),
    ("{% set ns = namespace(x=1) %}{% for i in range(99) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}"
     "{% endfor %}{{ ns.x | tojson }}", "a list of more than 100,000 items"),
    ("{% set ns = namespace(x=1) %}{% for i in range(99) %}{% set ns.x = (ns.x, ns.x) %}"
     "{% endfor %}{{ {ns.x: 1} }}", "a list of more than 100,000 items"),
    ("{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}", "nested too deep"),
    ("{{ (long * 999).replace('k', long * 999) }}", "characters"),
    ("{{ long | replace('k', long * 99) }}", "characters"),
    ("{{ (long * 99).join(range(1000) | map('string')) }}", "characters"),
    ("{{ range(1000) | map('string') | join(long * 99) }}", "characters"),
    ("{{ words | join(attribute='x') }}", "joins by an attribute"),
    ("{{ words | tojson(indent=1000000000) }}", "indents JSON by 1000000000"),
    ("{{ '%1000000000d' % 1 }}", "formats text with %"),
    ("{{ 'a'.ljust(1000000000) }}", "it reaches for 'ljust' of a "),
    ("{{ 'a' | center(1000000000) }}", "No filter named 'center'"),
    ("{{ messages }}", "writes a list without |tojson or |join"),
    ("{{ words | map('upper') }}", "writes a generator without"),
    ("{{ namespace(a=1) }}", "writes a Namespace without"),
    ("{{ missing.x }}", "'missing' is undefined"),
    ("{{ lipsum(n=99) }}", "'lipsum' is undefined"),
    ("{{ 1 / 0 }}", "division by zero"),
    ("{{ raise_exception('no ' * 999) }}", "the chat template failed: it says 'no no"),
    ("{% include 'x' %}", "line 1 holds Include, which no template may"),
    ("{% import 'x' as y %}", "line 1 holds Import"),
    ("{% from 'x' import y %}", "line 1 holds FromImport"),
    ("a\n{% extends 'x' %}", "line 2 holds Extends"),
    ("{% block a %}{% endblock %}", "line 1 holds Block"),
    ("{% for x in words recursive %}{{ loop(words) }}{% endfor %}", "a loop that calls itself"),
    ("{% if %}", "the chat template cannot be read: TemplateSyntaxError"),
    ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deep"),
    ("{% if 1 %}" * 300 + "{% endif %}" * 300, "cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "message"), HOSTILE)
def test_hostile_templates(source: str, message: str) -> None:
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(
            ChatTemplateError, match=r"^the chat template (failed|cannot be read): "
        ) as caught:
            render(source)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert message in str(caught.value) and len(str(caught.value)) < 500
    assert time.process_time() - started < 5
    assert MESSAGES == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": " Yes.\n"},
    ]


def test_a_template_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minigpt.tasks.template_meter.MOST_SECONDS", 0.05)
    look = "{% set x = long * 9000 %}{% for i in range(99999) %}{{ 'b' in x }}{% endfor %}"
    with pytest.raises(ChatTemplateError, match=r"it takes more than 0\.05 seconds"):
        render(look)


def test_a_template_that_calls_itself_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minigpt.tasks.template_meter.MOST_STEPS", 1000)
    body = "{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}"
    with pytest.raises(ChatTemplateError, match="it takes more than 1,000 steps"):
        render("{% macro f(n) %}" + body + "{% endmacro %}{{ f(30) }}")


def test_each_run_has_its_own_measure() -> None:
    template = Template("{% for i in range(60000) %}{% endfor %}{{ n }}")
    assert [template.render(n=i) for i in range(3)] == ["0", "1", "2"]
    with pytest.raises(ChatTemplateError):
        Template("{% for i in range(60000) %}{{ n }}{% endfor %}").render(n=1)


def test_what_a_list_weighs() -> None:
    meter = Meter()
    meter.start()
    inner = meter.built([1, 2, 3])
    meter.built([inner] * 20_000)
    with pytest.raises(ChatTemplateError, match="a list of more than 100,000 items"):
        meter.built([inner] * 30_000)


def test_without_jinja2_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.split(".")[0] == "jinja2":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r'a chat template needs .* pip install "minigpt\[hf\]"'):
        Template("x")
