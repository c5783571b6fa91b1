"""Task: a small assistant, trained on dialogues, measured on phrasings it has never read.

    python examples/chat.py
    python examples/chat.py --talk
    echo "What is the capital of Peru?" | python examples/chat.py --talk

The dialogues are made by data/dialogues.py: one to four exchanges about capitals, opposites, trains
and spellings, of which some lean on what was said before. Of each request's phrasings a fifth is
kept for the test, and another fifth to choose settings by (--report validation). The loss runs over
the assistant's answers only. What is measured: the model reads a conversation as it was up to a
user's turn, and its answer is right if it is one of the right ones to that request, letter for
letter.

Only some ten phrasings of a request are read in training. So that the answer does not hang on one
word of them, one in seven is left out there, at random ("word dropout", Iyyer et al. 2015).

An answer is made of what was read: the word to spell, the answer to repeat, the topic of "And of
France?". With a short convolution, norms of the root mean square and Muon a GPT learns to look that
up in fewer steps (sudden_step.py).

--talk loads what was trained and saved in --output. An empty line begins a new conversation; Ctrl-C
leaves an answer; Ctrl-D, or Ctrl-C instead of a question, ends it.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

import minigpt as mg
from command_line import Parser, at_least, count, keep_figures, one_line_errors, reported
from inputs import load
from minigpt.datasets import CompletionBatches
from minigpt.tasks import CHAT_TOKENS, Chat, ChatFormat
from minigpt.tasks.answering import complete
from runs import LOOKS_UP_SOON, new_gpt, train_as_asked
from talking import talk
from task_data import dialogue_requests, dialogues

MAX_ANSWER = 32  # tokens
LEFT_OUT = 0.15  # of the words of a request, in training
Requests = list[tuple[list[int], Any, str]]  # what the model reads, the request, its kind


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--train", type=at_least(1), default=10_000, help="dialogues to learn from")
    parser.add_argument("--test", type=at_least(1), default=500, help="dialogues to measure on")
    parser.add_argument("--vocab-size", type=at_least(259), default=1000, help="tokens")
    parser.add_gpt(n_layer=3, n_head=4, n_embd=128, block_size=192)
    parser.add_argument("--dropout", type=float, default=0.15, help="against over-fitting")
    parser.add_training(steps=2500, batch_size=16, learning_rate=4e-3)
    parser.add_report()
    parser.add_seed("dialogues and training")
    parser.add_argument("--talk", action="store_true", help="talk with the one in --output")
    parser.add_output("runs/chat")
    args = parser.parse_args()
    if args.talk:
        talk(Chat(mg.Sampler(*load(args.output)), max_new_tokens=MAX_ANSWER, temperature=0))
        return

    started = time.perf_counter()
    train, *others = dialogues.make_cases(args.train, args.test, args.test, args.seed)
    unseen = reported(args, *others)
    tokenizer = mg.BPETokenizer.train(
        (text for case in train for _, text in case.turns),
        args.vocab_size,
        CHAT_TOKENS,
        progress=not args.quiet,
    )
    chat_format = ChatFormat(tokenizer)
    model = new_gpt(args, tokenizer.vocab_size, args.dropout, **LOOKS_UP_SOON)
    rng = np.random.default_rng(args.seed)
    batches = CompletionBatches(
        [chat_format.encode(with_words_left_out(case, rng)) for case in train],
        args.batch_size,
        args.seed,
        block_size=args.block_size,
    )
    requests = requests_of(unseen, chat_format)
    print(f"a GPT of {count(model.num_parameters(), 'parameter')}, {count(len(train), 'dialogue')}")
    untrained = sum(answered_rightly(model, requests, chat_format, args.quiet))

    trainer = train_as_asked(model, batches, None, tokenizer, args, optimizer="muon")

    right = answered_rightly(model, requests, chat_format, args.quiet)
    kinds = Counter(kind for _, _, kind in requests)
    for kind, total in sorted(kinds.items()):
        hits = sum(r for r, (_, _, k) in zip(right, requests, strict=True) if k == kind)
        print(f"  {kind:10} {hits:4} of {total:4} right")
    answer, frequent = dialogues.baseline(train, unseen)
    print(
        f"{sum(right) / len(right):.1%} of {count(len(right), 'request')} in unseen phrasings "
        f"({args.report}) answered rightly (untrained: {untrained / len(right):.1%}; always "
        f"{answer!r}: {frequent:.1%}), after {count(trainer.step, 'step')}, in "
        f"{time.perf_counter() - started:.0f} s altogether"
    )
    keep_figures(args, {"answered rightly": sum(right) / len(right)})
    print(f"python examples/chat.py --talk --output {args.output}")


def with_words_left_out(case: Any, rng: np.random.Generator) -> list[tuple[str, str]]:
    """A conversation whose user leaves words out, but none of those that a request is about."""
    turns = list(case.turns)
    for i, request in enumerate(case.requests):
        words = turns[2 * i][1].split()
        about = words_of(request.subject)
        kept = [word for word in words if words_of(word) & about or rng.random() >= LEFT_OUT]
        turns[2 * i] = ("user", " ".join(kept or words))
    return turns


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def requests_of(cases: Sequence[Any], chat_format: ChatFormat) -> Requests:
    """Every user's turn of every dialogue, with all that was said before it."""
    return [
        (chat_format.prompt(case.turns[: 2 * i + 1]), request, case.intents[i])
        for case in cases
        for i, request in enumerate(case.requests)
    ]


def answered_rightly(
    model: mg.GPT, requests: Requests, chat_format: ChatFormat, quiet: bool
) -> list[bool]:
    answers = complete(
        model,
        [prompt for prompt, _, _ in requests],
        chat_format.end_id,
        max_new_tokens=MAX_ANSWER,
        progress=not quiet,
    )
    decode = chat_format.tokenizer.decode
    return [
        dialogue_requests.kind_of_answer(decode(ids), request)
        for ids, (_, request, _) in zip(answers, requests, strict=True)
    ]


if __name__ == "__main__":
    main()
