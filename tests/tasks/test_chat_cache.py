"""A conversation on one growing cache: what is read, when, and what the model sees of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigpt as mg
from minigpt.nn import KeyValueCache
from minigpt.tasks import Chat, ChatFormat, ChatML
from minigpt.tasks.chat_format import CHAT_TOKENS
from minigpt.tasks.chatml import CHATML_TOKENS
from minigpt.tasks.read_already import read_already

TEXT = "hello you and me, how are you? I am well. 漢字 é \n assistant user system"
NAMES = [*CHATML_TOKENS, *CHAT_TOKENS]
TOKENIZER = mg.BPETokenizer.train(TEXT * 3, 300, NAMES, progress=False)
START, END = (TOKENIZER.special_tokens[name] for name in CHATML_TOKENS)


class Read:
    """A model that counts what it reads, and writes given answers; None to write as it likes."""

    def __init__(
        self,
        *answers: list[int] | None,
        block_size: int = 400,
        keeps: bool = True,
        family: Any = mg.GPTConfig.gpt2,
    ) -> None:
        config = family(TOKENIZER.vocab_size, block_size, n_layer=2, n_head=2, n_embd=8)
        self.model = mg.GPT(config, seed=3)
        self.config, self.answers = config, list(answers)
        self.read: list[list[int]] = []  # of every call
        self.contexts: list[list[int]] = []  # with what is on the cache
        self.step = 0
        self.logits: list[Any] = []
        self.stop_at: int | None = None
        if keeps:
            self.new_cache = self.model.new_cache

    def __call__(self, ids: Any, **options: Any) -> Any:
        self.read.append(ids[0].tolist())
        n_kept = options["cache"].length if "cache" in options else 0
        self.contexts.append([*(self.contexts or [[]])[-1][:n_kept], *self.read[-1]])
        logits = self.model(ids, **options)
        if len(self.read) == self.stop_at:
            raise KeyboardInterrupt
        self.logits.append(logits.data[0, -1])
        answer = self.answers[0] if self.answers else None
        if answer is None:
            return logits
        wanted = np.zeros_like(logits.data)
        wanted[0, -1, answer[self.step]] = 99.0
        self.step += 1
        if self.step == len(answer):
            self.step, _ = 0, self.answers.pop(0)
        return mg.Tensor(wanted)

    @property
    def all_read(self) -> list[int]:
        return [token for call in self.read for token in call]


def says(text: str) -> list[int]:
    return [*TOKENIZER.encode(text), END]


def chat_with(model: Any, **options: Any) -> Chat:
    form = ChatML(TOKENIZER)
    return Chat(mg.Sampler(model, TOKENIZER), format=form, temperature=0, **options)


TURNS = ["hello", "how are you? é漢", "and me?", "", " \n "]
ANSWERS = ["hello you", "I am well.\n漢字", "", "well, well", " you "]


def test_no_turn_reads_what_was_read_before() -> None:
    """What is read, call after call, is the whole conversation once, as if it were read at once."""
    model = Read(*map(says, ANSWERS))
    chat = chat_with(model, system="you are me")
    for i, text in enumerate(TURNS):
        assert chat.reply(text) == ANSWERS[i]
        n_before = sum(map(len, model.read))
        whole = chat.format.prompt([("system", "you are me"), *chat.turns, ("user", "x")])
        assert model.all_read == whole[:n_before]
        end = chat.format.prompt([("system", "you are me"), *chat.turns[:-1]])
        assert n_before == len(end) + len(says(ANSWERS[i])) - 1
    assert len(chat.turns) == 10 and chat.forgotten == 0
    assert isinstance(chat.format, ChatML)


@pytest.mark.parametrize("family", [mg.GPTConfig.gpt2, mg.GPTConfig.llama])
def test_the_logits_are_those_of_reading_it_all_at_once(family: Any) -> None:
    """The model writes as it likes, and each of its tokens is what a fresh reading would give."""
    model = Read(family=family)
    chat = chat_with(model, max_new_tokens=5)
    for text in TURNS[:3]:
        chat.reply(text)
    assert len(model.contexts) == len(model.logits) > 10
    with mg.no_grad():
        for context, logits in zip(model.contexts, model.logits, strict=True):
            at_once = model.model.eval()(np.array([context])).data[0, -1]
            np.testing.assert_allclose(logits, at_once, atol=1e-5)
    last = chat.format.prompt(chat.turns[:5])
    assert TOKENIZER.decode(model.contexts[-1]).startswith(TOKENIZER.decode(last))


@pytest.mark.parametrize("keeps", [True, False])
def test_with_and_without_a_cache_it_is_the_same_conversation(keeps: bool) -> None:
    model = Read(keeps=keeps)
    chat = chat_with(model, max_new_tokens=6)
    answers = [chat.reply(text) for text in TURNS]
    other = chat_with(Read(), max_new_tokens=6)
    assert answers == [other.reply(text) for text in TURNS]


def test_a_cache_that_cannot_forget_its_end_is_read_into_anew() -> None:
    config = mg.models.LSTMConfig(TOKENIZER.vocab_size, n_embd=8, n_hidden=8, n_layer=1)
    lstm = mg.models.LSTMLanguageModel(config, seed=0)
    chat = chat_with(lstm, max_new_tokens=6)
    answers = [chat.reply(text) for text in TURNS[:3]]
    for i, answer in enumerate(answers):
        other = chat_with(lstm, max_new_tokens=6)
        other.turns = chat.turns[: 2 * i]
        assert other.reply(TURNS[i]) == answer


def test_an_answer_that_was_cut_into_other_tokens_stays_as_it_was_drawn() -> None:
    letters = [*b"hello you", END]  # letter by letter, where the tokenizer would take longer tokens
    assert len(says("hello you")) < len(letters)
    model = Read(letters, says("well"), says("me"))
    chat = chat_with(model)
    assert chat.reply("how are you?") == "hello you"
    chat.reply("and me?")
    chat.reply("hello")
    first = chat.format.prompt([("user", "how are you?")])
    assert model.all_read[len(first) : len(first) + len(letters)] == letters
    assert TOKENIZER.decode(model.all_read) + "<|im_end|>" == TOKENIZER.decode(
        chat.format.prompt([*chat.turns, ("user", "")])
    ).removesuffix("\n<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n")


def test_an_answer_that_was_cut_off_is_gone_on_from() -> None:
    model = Read(TOKENIZER.encode("hello you and me, how are")[:4], says("me"))
    chat = chat_with(model, max_new_tokens=4)
    chat.reply("hello")
    assert chat.cut_off
    n_before = len(model.all_read)
    chat.reply("you?")
    assert model.all_read == chat.format.prompt(chat.turns[:3]) + says("me")[:-1]
    assert n_before == len(chat.format.prompt(chat.turns[:1])) + 3  # the last one was not read yet


def test_an_answer_that_was_cut_off_inside_a_character() -> None:
    half = "漢".encode()[:2]
    model = Read([*b"me", *half], says("me"))
    chat = chat_with(model, max_new_tokens=4)
    assert chat.reply("hello") == "me"
    n_before = len(model.all_read)
    chat.reply("you?")
    whole = chat.format.prompt(chat.turns[:3])
    kept = n_before - 3 + len(TOKENIZER.encode("me"))  # and half of the character is not
    assert model.all_read[n_before:] == whole[kept:] + says("me")[:-1]


def test_what_a_model_spells_is_not_what_it_means() -> None:
    """It writes the letters of <|im_end|>, and they stay letters, read once."""
    spelt = TOKENIZER.encode("<|im_end|>", disallowed_special=())
    model = Read([*spelt, END], says("me"))
    chat = chat_with(model)
    assert chat.reply("<|im_start|>") == "<|im_end|>"
    chat.reply("you?")
    assert model.all_read.count(END) == 3 and model.all_read.count(START) == 4
    assert TOKENIZER.decode(model.all_read).count("<|im_end|>") == 4


# ── left before the end ───────────────────────────────────────────────────────────────────────────


def fresh_answer(model: Read, chat: Chat, text: str) -> str:
    other = chat_with(Read(), max_new_tokens=6)
    other.sampler.model.model = model.model  # type: ignore[attr-defined]
    other.turns = list(chat.turns)
    return other.reply(text)


@pytest.mark.parametrize("stop_at", range(1, 9))
def test_ctrl_c_in_the_middle_of_an_answer(stop_at: int) -> None:
    """Wherever it comes, even inside the model: it is as if nothing had been asked."""
    model = Read()
    chat = chat_with(model, max_new_tokens=6)
    model.stop_at = stop_at
    said = []
    for text in ("hello", "how are you?"):
        try:
            said.append((text, chat.reply(text)))
        except KeyboardInterrupt:
            break
    else:
        pytest.skip("the answers were shorter")
    assert [text for _, text in chat.turns] == [t for pair in said for t in pair]
    assert chat.reply("and me?") == fresh_answer(
        model, SimpleNamespace(turns=chat.turns[:-2]), "and me?"
    )


def test_an_answer_that_is_left_and_another_that_goes_on() -> None:
    model = Read(says("hello you and me"), says("I am well"))
    chat = chat_with(model)
    left = chat.stream("hello")
    next(left)
    model.step, model.answers = 0, model.answers[1:]
    assert chat.reply("how are you?") == "I am well"
    assert chat.turns == [("user", "how are you?"), ("assistant", "I am well")]
    with pytest.raises(RuntimeError, match="another answer has begun since"):
        next(left)
    assert len(chat.turns) == 2


def test_reset_keeps_the_system_prompt_read() -> None:
    model = Read(says("me"), says("you"))
    chat = chat_with(model, system="you are well and well")
    chat.reply("hello")
    n_before = len(model.all_read)
    assert chat.messages == [
        {"role": "system", "content": "you are well and well"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "me"},
    ]
    before = model.all_read[:n_before]
    chat.reset()
    assert (chat.turns, len(chat.messages)) == ([], 1)
    chat.reply("you?")
    whole = chat.format.prompt([*chat._system, *chat.turns[:1]])
    n_same = next(i for i, (a, b) in enumerate(zip(before, whole, strict=False)) if a != b)
    assert model.all_read[n_before:] == whole[n_same:] + says("you")[:-1]
    assert TOKENIZER.decode(whole[:n_same]).endswith("<|im_start|>user\n")


# ── the context ───────────────────────────────────────────────────────────────────────────────────


def test_the_system_prompt_stays_when_the_oldest_exchanges_go() -> None:
    answers = [says("I am well, I am well")] * 12
    model = Read(*answers, block_size=150)
    chat = chat_with(model, system="you are me", max_new_tokens=12)
    seen, forgotten, n_read = [], [], []
    for i in range(12):
        n_before = len(model.read)
        chat.reply(f"how are you? {i}")
        forgotten.append(chat.forgotten)
        n_read.append(len(model.read[n_before]))
        seen.append(chat._decoder.ids[0].tolist())  # type: ignore[union-attr]
    assert all(TOKENIZER.decode(ids).startswith("<|im_start|>system\nyou are me<") for ids in seen)
    assert forgotten == sorted(forgotten) and len(set(forgotten)) > 2
    assert all(n % 2 == 0 for n in forgotten) and len(chat.turns) == 24
    again = [i for i in range(1, 12) if forgotten[i] > forgotten[i - 1]]
    assert len(again) <= 4  # it is seldom that all is read anew
    for i in range(1, 12):
        whole = chat.format.prompt([*chat._system, *chat.turns[forgotten[i] : 2 * i + 1]])
        assert len(whole) <= 150 - 11
        if i not in again:
            assert n_read[i] < 40


def test_an_answer_in_many_short_tokens_is_read_anew_where_it_would_not_fit() -> None:
    text = "hello you and me"
    letters = [*text.encode(), END]
    n = len(ChatML(TOKENIZER).prompt([("user", "hello"), ("assistant", text), ("user", "you")]))
    room = n + 3  # for the text in the tokenizer's tokens, and not letter by letter
    assert len(letters) > len(says(text)) + 3
    model = Read(letters, says("me"), block_size=room + len(letters) - 1)
    chat = chat_with(model, max_new_tokens=len(letters))
    assert (chat.reply("hello"), chat.reply("you")) == (text, "me")
    assert chat.forgotten == 0 and max(map(len, model.contexts)) <= model.config.block_size
    asked = chat.format.prompt(chat.turns[:3])
    assert model.contexts[-1] == [*asked, says("me")[0]][: len(model.contexts[-1])]


def test_a_system_prompt_that_leaves_no_room() -> None:
    with pytest.raises(ValueError, match="and the system prompt leave no room for a question"):
        chat_with(Read(block_size=40), system="you are well and well " * 9, max_new_tokens=4)
    with pytest.raises(ValueError, match=r"system='x' has no place in a ChatFormat: leave it out"):
        Chat(mg.Sampler(Read(), TOKENIZER), format=ChatFormat(TOKENIZER), system="x")
    with pytest.raises(TypeError, match="system must be a str: got 5"):
        chat_with(Read(), system=5)


def test_a_cache_takes_what_the_conversation_needs() -> None:
    chat = chat_with(Read(*map(says, ANSWERS), block_size=5000), max_new_tokens=20)
    capacities = []
    for text in TURNS:
        chat.reply(text)
        capacities.append(chat._cache.capacity)
    assert capacities[0] < 60 and capacities == sorted(capacities) and capacities[-1] < 300


def test_a_repeated_token_costs_what_the_penalty_says() -> None:
    options = {
        "temperature": 0.7,
        "top_p": 0.9,
        "min_p": 0.01,
        "repetition_penalty": 1.5,
        "seed": 4,
    }
    chat = Chat(
        mg.Sampler(Read(), TOKENIZER), format=ChatML(TOKENIZER), max_new_tokens=8, **options
    )  # fmt: skip
    prompt = ChatML(TOKENIZER).prompt([("user", "hello")])
    seed = np.random.default_rng(4)
    stops = [*TOKENIZER.special_tokens.values()]
    ids = mg.Sampler(Read(), TOKENIZER).generate_ids(
        [prompt], 8, **options | {"seed": seed}, stop_tokens=stops
    )  # fmt: skip
    written = [token for token in ids[0][len(prompt) :].tolist() if token not in stops]
    assert chat.reply("hello") == TOKENIZER.decode(written).removesuffix("\ufffd")


# ── the pieces ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("known", "ids", "same"),
    [
        ([], [], (0, 0)),
        ([1, 2], [1, 2, 3], (2, 2)),
        ([1, 2, 3], [1, 2], (2, 2)),
        ([*b"hello"], TOKENIZER.encode("hello you"), (5, len(TOKENIZER.encode("hello")))),
        ([*b"hello "], TOKENIZER.encode("hello you"), (5, len(TOKENIZER.encode("hello")))),
        ([*b"hel"], TOKENIZER.encode("hello you"), (0, 0)),
        (TOKENIZER.encode("hello"), [*b"hello", 33], (len(TOKENIZER.encode("hello")), 5)),
        ([*b"ab", END], [*b"ab", START], (2, 2)),
        ([*b"ab", END], [*b"ab<|im_end|>"], (2, 2)),
        ([*b"ab<|im_end|>"], [*b"ab", END], (2, 2)),
        ([97, END, *"é".encode()], [97, END, *TOKENIZER.encode("é"), 98], (4, 3)),
    ],
)
def test_how_far_two_sequences_spell_the_same(known: Any, ids: Any, same: Any) -> None:
    assert len(TOKENIZER.encode("hello")) == 1
    assert read_already(known, ids, TOKENIZER) == same
    assert read_already(ids, known, TOKENIZER) == same[::-1]


def test_a_tokenizer_that_only_decodes_to_text_has_the_same_ids_or_not() -> None:
    tokenizer = SimpleNamespace(special_tokens=())
    assert read_already([1, 2, 3], [1, 2, 4], tokenizer) == (2, 2)


def test_a_cache_forgets_its_end_and_grows() -> None:
    cache = KeyValueCache(2, 1, 2, 4, 3)
    k = np.arange(18.0, dtype=np.float32).reshape(1, 2, 3, 3)
    for layer in range(2):
        cache.extend(layer, k, -k)
    cache.advance(3)
    cache.truncate(2)
    cache.reserve(4)
    assert (cache.length, cache.capacity) == (2, 4)
    cache.reserve(5)
    assert cache.capacity == 8
    for layer in range(2):
        keys, values = cache.extend(layer, k[:, :, 2:], k[:, :, 2:])
        np.testing.assert_array_equal(keys, k)
        np.testing.assert_array_equal(values[:, :, :2], -k[:, :, :2])
    cache.reserve(99)
    assert cache.capacity == 99
    with pytest.raises(ValueError, match="length must be an integer from 0 to 2: got 3"):
        cache.truncate(3)
