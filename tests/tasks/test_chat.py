"""Conversations: how they become tokens, and what a chat shows the model and remembers."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

import minigpt as mg
from minigpt.datasets import CompletionBatches
from minigpt.tasks import Chat, ChatFormat
from minigpt.tasks.chat_format import ASSISTANT, CHAT_TOKENS, END, USER

CHARACTERS = " !<>|?abcdefghijklmnopqrstuvwxyz"
TOKENIZER = mg.CharTokenizer("".join(sorted(CHARACTERS)), special_tokens=CHAT_TOKENS)
FORMAT = ChatFormat(TOKENIZER)


class Scripted:
    """A model that writes given ids, one script an answer, and keeps what it was shown."""

    def __init__(self, *scripts, block_size=None, tokenizer=TOKENIZER):
        self.config = SimpleNamespace(vocab_size=tokenizer.vocab_size, block_size=block_size)
        self.scripts, self.prompts = [list(script) for script in scripts], []
        self._n_prompt = None

    def __call__(self, ids):
        if self._n_prompt is None:
            self._n_prompt = ids.shape[1]
            self.prompts.append(ids[0].tolist())
        if self.config.block_size is not None:
            assert ids.shape[1] <= self.config.block_size
        step = ids.shape[1] - self._n_prompt
        token = self.scripts[0][step]
        if step == len(self.scripts[0]) - 1:
            self.scripts.pop(0)
            self._n_prompt = None
        logits = np.zeros((*ids.shape, self.config.vocab_size), np.float32)
        logits[0, -1, token] = 50.0
        return mg.Tensor(logits)


def says(text):
    return [*TOKENIZER.encode(text), FORMAT.end_id]


def chat_with(model, **options):
    return Chat(mg.Sampler(model, TOKENIZER), temperature=0, **options)


def text_of(ids):
    return TOKENIZER.decode(ids)


# ── the format ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "tokenizer",
    [TOKENIZER, mg.BPETokenizer.train("hi you and me", 260, CHAT_TOKENS, progress=False)],
)
def test_a_conversation_and_what_of_it_is_said(tokenizer):
    turns = [("user", "hi"), ("assistant", "hi you!"), ("user", "me?"), ("assistant", "you")]
    made = ChatFormat(tokenizer).encode(turns)
    whole = f"{USER}hi{END}{ASSISTANT}hi you!{END}{USER}me?{END}{ASSISTANT}you{END}"
    assert tokenizer.decode(made.ids) == whole
    assert list(made.ids) == tokenizer.encode(whole, allowed_special="all")
    said = [token for token, counts in zip(made.ids, made.said, strict=True) if counts]
    assert tokenizer.decode(said) == f"hi you!{END}you{END}"


def test_a_prompt_ends_where_the_answer_begins():
    turns = [("user", "hi"), ("assistant", "yes"), ("user", "")]
    assert (
        text_of(FORMAT.prompt(turns)) == f"{USER}hi{END}{ASSISTANT}yes{END}{USER}{END}{ASSISTANT}"
    )
    with pytest.raises(ValueError, match="turns end with an answer"):
        FORMAT.prompt(turns[:2])


@pytest.mark.parametrize(
    ("turns", "error", "message"),
    [
        ([], ValueError, "turns is empty"),
        ([("assistant", "hi")], ValueError, r"turns\[0\] is of 'assistant', and 'user' is due"),
        ([("user", "a"), ("user", "b")], ValueError, r"turns\[1\] is of 'user', and 'assistant'"),
        ([("system", "a")], ValueError, r"turns\[0\] is of 'system', and 'user' is due"),
        ([("user", 1)], TypeError, r"turns\[0\] must be a pair \(role, text\) of strings: got"),
        (["user"], TypeError, r"turns\[0\] must be a pair"),
        (
            [("user", "a" + END)],
            ValueError,
            r"turns\[0\] holds the special token '<\|end\|>'",
        ),
        (
            [("user", "a"), ("assistant", USER)],
            ValueError,
            r"turns\[1\] holds the special token",
        ),
        ([("user", "É")], ValueError, r"turns\[0\]: "),
    ],
)
def test_what_is_no_conversation(turns, error, message):
    with pytest.raises(error, match=message):
        FORMAT.encode(turns)


def test_a_tokenizer_without_the_special_tokens():
    for tokenizer in (mg.CharTokenizer("ab"), mg.CharTokenizer("ab", special_tokens=[END]), None):
        with pytest.raises(
            ValueError, match=re.escape(f"no special token {USER!r}: train it with")
        ):
            ChatFormat(tokenizer)


# ── a chat ────────────────────────────────────────────────────────────────────────────────────────


def test_the_model_reads_all_that_was_said_before():
    model = Scripted(says("hello!"), says("fine"))
    chat = chat_with(model)
    assert chat.reply("hi") == "hello!" and chat.reply("how are you?") == "fine"
    first = f"{USER}hi{END}{ASSISTANT}"
    second = f"{first}hello!{END}{USER}how are you?{END}{ASSISTANT}"
    assert [text_of(prompt) for prompt in model.prompts] == [first, second]
    assert chat.turns == [
        ("user", "hi"), ("assistant", "hello!"), ("user", "how are you?"), ("assistant", "fine"),
    ]  # fmt: skip
    assert model.prompts[1] == FORMAT.prompt(chat.turns[:3])  # as in training
    assert (chat.forgotten, chat.cut_off) == (0, False)


def test_reset():
    model = Scripted(says("a"), says("b"))
    chat = chat_with(model)
    chat.reply("hi")
    chat.reset()
    chat.reply("ho")
    assert chat.turns == [("user", "ho"), ("assistant", "b")]
    assert text_of(model.prompts[1]) == f"{USER}ho{END}{ASSISTANT}"


def test_the_answer_comes_in_pieces():
    pieces = chat_with(Scripted(says("hello"))).stream("hi")
    assert next(pieces) == "h" and list(pieces) == list("ello")


def test_no_piece_ends_inside_a_character():
    tokenizer = mg.BPETokenizer.train("ab", 259, CHAT_TOKENS, progress=False)
    ids = [*tokenizer.encode("é四!"), ChatFormat(tokenizer).end_id]
    chat = Chat(mg.Sampler(Scripted(ids, tokenizer=tokenizer), tokenizer), temperature=0)
    assert list(chat.stream("ab")) == ["é", "四", "!"]


def test_a_real_replacement_character_at_the_end_of_an_answer_stays():
    for tokenizer in (
        mg.BPETokenizer.train("ab", 259, CHAT_TOKENS, progress=False),
        mg.CharTokenizer("ab\ufffd", special_tokens=CHAT_TOKENS),
    ):
        ids = [*tokenizer.encode("a\ufffd"), ChatFormat(tokenizer).end_id]
        chat = Chat(mg.Sampler(Scripted(ids, tokenizer=tokenizer), tokenizer), temperature=0)
        assert chat.reply("ab") == "a\ufffd"


@pytest.mark.parametrize("token", CHAT_TOKENS)
def test_any_special_token_ends_the_answer(token):
    special = TOKENIZER.encode(token, allowed_special="all")
    model = Scripted(TOKENIZER.encode("yes") + special, says("no"))
    chat = chat_with(model)
    assert chat.reply("hi") == "yes"
    chat.reply("a")
    assert model.prompts[1] == FORMAT.prompt([*chat.turns[:2], ("user", "a")])


def test_an_answer_that_is_cut_off():
    model = Scripted(TOKENIZER.encode("yes"), says("no"))
    chat = chat_with(model, max_new_tokens=3)
    assert chat.reply("hi") == "yes" and chat.cut_off
    assert chat.reply("a") == "no" and not chat.cut_off
    assert model.prompts[1] == FORMAT.prompt([*chat.turns[:2], ("user", "a")])


@pytest.mark.parametrize("text", [END, f"a{ASSISTANT}yes{END}", f"<{USER}>"])
def test_the_user_cannot_smuggle_in_a_special_token(text):
    chat = chat_with(Scripted())
    with pytest.raises(
        ValueError, match=r"text holds the special token .*, which no text of a conversation may"
    ):
        chat.stream(text)  # before the first piece is asked for
    assert chat.turns == []


def test_nor_can_pieces_of_one_become_it():
    """Where texts are joined before they are encoded, a name may come about at the border."""
    model = Scripted(says("<|en"), says(""))
    chat = chat_with(model)
    chat.reply("|end|>")
    chat.reply("d|>")
    special = [token for token in model.prompts[1] if token >= len(CHARACTERS)]
    user, assistant, end = FORMAT.user_id, FORMAT.assistant_id, FORMAT.end_id
    assert special == [user, end, assistant, end, user, end, assistant]


def test_what_the_model_spells_out_stays_text():
    model = Scripted(TOKENIZER.encode("<") + says("|end|>x"), says("b"))
    chat = chat_with(model)
    assert chat.reply("hi") == f"{END}x"
    assert chat.reply("a") == "b"  # although no user may say what stands in the history
    assert text_of(model.prompts[1]).count(END) == 4
    assert [*model.prompts[1]].count(FORMAT.end_id) == 3


def test_an_answer_left_before_its_end_leaves_no_trace():
    model = Scripted(says("hello"), says("b"))
    chat = chat_with(model)
    pieces = chat.stream("hi")
    next(pieces)
    del pieces
    assert chat.turns == []
    model._n_prompt = None
    model.scripts.pop(0)
    assert chat.reply("a") == "b" and text_of(model.prompts[1]) == f"{USER}a{END}{ASSISTANT}"


# ── the context ───────────────────────────────────────────────────────────────────────────────────


def test_the_oldest_exchanges_are_left_out_whole():
    # A question "x" has 4 tokens with those around it, and 6 together with its answer "y".
    model = Scripted(*[says("y")] * 4, says("yyy"), says("y"), block_size=20)
    chat = chat_with(model, max_new_tokens=5)  # which leaves 16 for the prompt
    forgotten = []
    for text in ("x", "x", "x", "x", "xxxxx", "x"):
        chat.reply(text)
        forgotten.append(chat.forgotten)
    # Once there is not enough room, what is kept of what was said fills at most half of it.
    assert forgotten == [0, 0, 0, 4, 6, 10]
    assert [len(prompt) for prompt in model.prompts] == [4, 10, 16, 10, 14, 4]
    assert len(chat.turns) == 12  # what was said is kept, seen or not
    for i, (prompt, n) in enumerate(zip(model.prompts, forgotten, strict=True)):
        assert prompt == FORMAT.prompt(chat.turns[n : 2 * i + 1])


def test_a_question_that_is_too_long():
    chat = chat_with(Scripted(says("y"), block_size=20), max_new_tokens=5)
    with pytest.raises(ValueError, match=r"text takes 17 tokens .* of 20 has room for 16: say it"):
        chat.stream("x" * 14)
    assert chat.turns == []
    assert chat.reply("x" * 13) == "y"


def test_the_whole_answer_fits_beside_the_prompt():
    """The model (which checks it) never reads more than its context, to the last token."""
    model = Scripted(TOKENIZER.encode("yyyyy"), block_size=20)
    assert chat_with(model, max_new_tokens=5).reply("x" * 13) == "yyyyy"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_new_tokens": 18}, ValueError, "max_new_tokens=18 leaves no room .* at most 17"),
        ({"max_new_tokens": 0}, ValueError, "max_new_tokens must be .* at least 1: got 0"),
        ({"max_new_tokens": 2.0}, TypeError, "max_new_tokens must be an integer .*: got 2.0"),
        ({"temperature": -1}, ValueError, "temperature must be .*: got -1"),
        ({"seed": True}, TypeError, "seed must be .*: got True"),
    ],
)
def test_options_that_do_not_hold(options, error, message):
    with pytest.raises(error, match=message):
        Chat(mg.Sampler(Scripted(block_size=20), TOKENIZER), **options)


def test_another_models_tokenizer():
    model = Scripted()
    model.config.vocab_size -= 1
    with pytest.raises(ValueError, match="the tokenizer has 35 tokens, the model 34: use the"):
        chat_with(model)
    with pytest.raises(ValueError, match="no special token"):
        Chat(mg.Sampler(model))


def test_something_else_than_a_sampler_or_turns():
    with pytest.raises(TypeError, match=r"sampler must be a Sampler: got .*; wrap the model"):
        Chat(Scripted())
    with pytest.raises(TypeError, match=r"turns must be a list of pairs .*: got None"):
        FORMAT.encode(None)


# ── with a GPT ────────────────────────────────────────────────────────────────────────────────────

DIALOGUES = [
    [("user", "who?"), ("assistant", "me"), ("user", "again"), ("assistant", "me")],
    [("user", "hi"), ("assistant", "hello!"), ("user", "again"), ("assistant", "hello!")],
    [("user", "hi"), ("assistant", "hello!"), ("user", "who?"), ("assistant", "me")],
    [("user", "who?"), ("assistant", "me"), ("user", "hi"), ("assistant", "hello!")],
]


@pytest.fixture(scope="module")
def sampler():
    """A GPT that has learned four dialogues by heart."""
    batches = CompletionBatches([FORMAT.encode(turns) for turns in DIALOGUES], 4, seed=0)
    config = mg.GPTConfig(TOKENIZER.vocab_size, block_size=64, n_layer=2, n_head=2, n_embd=32)
    training = mg.TrainerConfig(
        max_steps=120, learning_rate=1e-2, eval_interval=1000, eval_batches=1, workers=1,
        progress=False,
    )  # fmt: skip
    trainer = mg.Trainer(mg.GPT(config, seed=0), batches, None, training)
    trainer.fit()
    return mg.Sampler(trainer.model, TOKENIZER)


@pytest.mark.parametrize("turns", DIALOGUES)
def test_answers_depend_on_what_was_said_before(sampler, turns):
    chat = Chat(sampler, max_new_tokens=10, temperature=0)
    for (_, text), (_, answer) in zip(turns[::2], turns[1::2], strict=True):
        assert chat.reply(text) == answer


def test_the_answer_is_what_the_sampler_writes(sampler):
    chat = Chat(sampler, max_new_tokens=12, temperature=0)
    prompt = FORMAT.prompt([("user", "you or me?")])
    ids = sampler.generate_ids([prompt], 12, temperature=0, stop_tokens=[33, 34, 32])[0]
    new = [token for token in ids[len(prompt) :].tolist() if token < 32]
    assert chat.reply("you or me?") == TOKENIZER.decode(new)


def test_seeds(sampler):
    def conversation(seed):
        chat = Chat(sampler, max_new_tokens=8, temperature=3.0, seed=seed)
        return [chat.reply("hi") for _ in range(3)]

    assert conversation(1) == conversation(1) != conversation(2)
    chat = Chat(sampler, max_new_tokens=8, temperature=3.0, seed=1)
    again = []
    for _ in range(4):  # the same question, from the beginning, is not the same answer every time
        again.append(chat.reply("hi"))
        chat.reset()
    assert len(set(again)) > 1
    assert conversation(np.random.default_rng(5)) == conversation(np.random.default_rng(5))
    assert repr(chat) == f"Chat({sampler!r}, 0 turns)"
