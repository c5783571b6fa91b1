"""Task: Tang poems of a wanted form and first line, in Chinese, a character at a time.

    python data/tang_poems.py chinese-poetry-2.0.1.tgz
    python examples/poems.py --data prepared/tang_poems.txt
    python examples/poems.py --load runs/poems --form qijue --first 千行文字照窗明

A regular poem has four or eight lines of five or seven characters. Each is one sequence for the
model, without anything else in its context:

    <qijue> 千行文字照窗明，……。……，……。⏎ title <|end|>

The token of the form comes first, so that it can be asked for. The lines come next and the title
last: then each character of a form always has the same place, and a model that learns places knows
where a line ends. It gives its own poem a title, too. Rare characters are □, and never learned.

A hundred poems are begun with first lines of unseen poems. Given these five or seven characters and
the form, a text keeps the form where all is right: the number of its lines, the characters of each,
and each sign of punctuation. The lines that are copied from the training text are counted, and the
line ends that rhyme: two characters rhyme that end even lines of one poem of the training text.
Beside the model stand an untrained one, what the pairs of characters tell, and the unseen poems.

--judge validation judges with first lines of another part: settings are chosen by that one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
from bigrams import Bigrams
from command_line import Parser, at_least, count, one_line_errors
from inputs import load
from minigpt.atomic import replacing
from minigpt.datasets import Completion, CompletionBatches, load_text
from minigpt.grad_mode import evaluation
from minigpt.tasks.answering import special_id
from poem_measures import Beginning, Measures, lines_of
from poem_picture import Written, svg
from runs import train_as_asked
from task_data import tang_poems

FORMS = tang_poems.FORMS  # name: characters of a line, lines
END, LOST = "<|end|>", "□"
RARE = 5  # a character that the training text has fewer times is not learned
HELD_OUT = 1000  # poems to choose settings by, and as many to test with; at most a tenth each
AT_ONCE = 50  # poems that are written together
BEGINNINGS = (  # of the picture, and made for it
    Beginning("qijue", "千行文字照窗明"),
    Beginning("wujue", "數字如秋水"),
    Beginning("wulü", "一機初識字"),
    Beginning("qilü", "機中文字夜無眠"),
    Beginning("qijue", "春雨無聲入小城"),
)
Poems = Sequence[tang_poems.Poem]


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--data", help="the corpus that data/tang_poems.py makes")
    parser.add_argument("--load", type=Path, metavar="FOLDER", help="a saved run, not trained on")
    parser.add_argument("--form", choices=FORMS, default="qijue", help="of the poem to write")
    parser.add_argument("--first", metavar="LINE", help="first line of the poem to write")
    parser.add_argument("--samples", type=at_least(1), default=1, help="poems from that line")
    parser.add_argument("--poems", type=at_least(1), default=100, help="how many to judge")
    parser.add_argument(
        "--judge", choices=("test", "validation"), default="test", help="whose first lines"
    )
    parser.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest")
    parser.add_gpt(n_layer=3, n_head=4, n_embd=128, block_size=80)
    parser.add_training(steps=4000, batch_size=16, learning_rate=2e-3)
    parser.add_seed()
    parser.add_output("runs/poems")
    args = parser.parse_args()
    if (args.data is None) == (args.load is None):
        parser.error("give --data, a corpus to learn from, or --load, a run to write with")
    wanted = [Beginning(args.form, args.first)] * args.samples if args.first else BEGINNINGS
    if args.load is not None:
        model, tokenizer = load(args.load)
        check_first_lines(wanted, tokenizer)
        show(wanted, model, tokenizer, args, args.load)
        return

    started = time.perf_counter()
    parts = split(read(args.data), args.seed)
    train, unseen = parts["train"], parts[args.judge]
    tokenizer = characters(train)
    check_first_lines(wanted, tokenizer)
    sequences = {
        name: [sequence(poem, tokenizer, args.block_size) for poem in part]
        for name, part in parts.items()
    }
    batches, validation = (
        CompletionBatches(sequences[name], args.batch_size, args.seed, block_size=args.block_size)
        for name in ("train", "validation")
    )
    model = new_model(args, tokenizer.vocab_size)
    print(
        f"{count(len(train), 'poem')} ({tang_poems.counts(train)}), {tokenizer.vocab_size:,} "
        f"characters; a GPT of {count(model.num_parameters(), 'parameter')}"
    )
    bigrams = Bigrams(np.concatenate([s.ids for s in sequences["train"]]), tokenizer.vocab_size)
    measures = Measures(train)
    chosen = to_judge(unseen, measures.lines, tokenizer, args.poems)
    begun = [Beginning(poem.form, poem.lines[0]) for poem in chosen]

    def by_model() -> tuple[list[str], float]:
        return write(begun, model, tokenizer, args), loss_of(model, sequences[args.judge])

    rows: dict[str, tuple[list[str], float | None]] = {"untrained": by_model()}
    rows["pairs of characters"] = (
        [written_by_pairs(beginning, bigrams, tokenizer, args) for beginning in begun],
        loss_of_pairs(bigrams, sequences[args.judge]),
    )
    rows["the unseen poems"] = [poem.text for poem in chosen], None

    quarter = max(1, args.steps // 4)
    trainer = train_as_asked(model, batches, validation, tokenizer, args, quarter)

    show(wanted, model, tokenizer, args, args.output)
    rows = {"the GPT": by_model(), **rows}
    print(f"\n{'':20} keeps the form    lines copied   line ends rhyme   loss a character")
    for name, (texts, loss) in rows.items():
        kept, copied, rhyming = measures.of(begun, [text.split("\n")[0] for text in texts])
        shown = "–" if loss is None else f"{loss:.3f}"
        print(f"{name:20} {kept:>14}  {copied:>14}  {rhyming:>16}  {shown:>16}")
    print(
        f"first lines of the {args.judge} part, temperature {args.temperature:g}; "
        f"{count(trainer.step, 'step')}, {time.perf_counter() - started:.0f} s altogether"
    )


# ── poems as tokens ───────────────────────────────────────────────────────────────────────────


def read(data: str) -> list[tang_poems.Poem]:
    """The poems of a corpus that have one of the forms."""
    poems, _ = tang_poems.read_corpus(load_text(data))
    found = [poem for poem in poems if poem.form in FORMS]
    if len(found) < 30:
        raise ValueError(
            f"{data} holds {count(len(found), 'poem')} of the forms {', '.join(FORMS)}, and 30 are "
            "the least: make it with data/tang_poems.py"
        )
    return found


def split(poems: Poems, seed: int) -> dict[str, list[tang_poems.Poem]]:
    """Three parts, drawn by lot."""
    order = [poems[i] for i in np.random.default_rng(seed).permutation(len(poems))]
    n = min(HELD_OUT, len(poems) // 10)
    return {"train": order[2 * n :], "validation": order[:n], "test": order[n : 2 * n]}


def characters(poems: Poems) -> mg.CharTokenizer:
    """A token for each character that is not rare, for each form, and for the end."""
    found = Counter("".join(poem.text + poem.title for poem in poems))
    common = {c for c, n in found.items() if n >= RARE and c != LOST} | set("，。\n")
    return mg.CharTokenizer("".join(sorted(common)), LOST, [*map(token_of, FORMS), END])


def token_of(form: str) -> str:
    return f"<{form}>"


def sequence(poem: tang_poems.Poem, tokenizer: mg.CharTokenizer, block_size: int) -> Completion:
    """<form> lines ⏎ title <|end|>: all is learned but what is rare, and titles that are too long.

    A Completion's first token is never learned: the form is given.
    """
    text = f"{token_of(poem.form)}{poem.text}\n"
    ids = tokenizer.encode(text, allowed_special="all")
    title = tokenizer.encode(poem.title + END, allowed_special="all")
    if len(ids) + len(title) <= block_size + 1:
        ids += title
    return Completion(tuple(ids), tuple(i != tokenizer.unknown_id for i in ids))


def new_model(args: Any, vocab_size: int) -> mg.GPT:
    """So narrow a model learns faster from larger numbers at the start than GPT-2's 0.02."""
    config = mg.GPTConfig(
        vocab_size, args.block_size, args.n_layer, args.n_head, args.n_embd, init_std=0.05
    )
    return mg.GPT(config, seed=args.seed)


# ── writing ───────────────────────────────────────────────────────────────────────────────────


def to_judge(poems: Poems, known: set[str], tokenizer: mg.CharTokenizer, n: int) -> list[Any]:
    """So many poems, of each form in turn, with first lines that are new and hold nothing rare."""
    fit = [p for p in poems if p.lines[0] not in known and not rare(p.lines[0], tokenizer)]
    by_form = [[poem for poem in fit if poem.form == form] for form in FORMS]
    in_turn = [part[i] for i in range(len(poems)) for part in by_form if i < len(part)]
    if len(in_turn) < n:
        raise ValueError(f"there are {len(in_turn):,} unseen first lines to judge by: --poems {n}")
    return in_turn[:n]


def rare(line: str, tokenizer: Any) -> str:
    """The characters of a line that the tokenizer does not know."""
    known: str = tokenizer.characters
    return "".join(c for c in line if c not in known)


def write(
    beginnings: Sequence[Beginning], model: mg.GPT, tokenizer: mg.Tokenizer, args: Any
) -> list[str]:
    """A text for each beginning, with it: the lines, and the title in the row after them."""
    sampler = mg.Sampler(model, tokenizer, allowed_special="all")
    end = special_id(tokenizer, END)
    texts: list[str] = []
    for i in range(0, len(beginnings), AT_ONCE):
        some = beginnings[i : i + AT_ONCE]
        said = sampler.generate(
            [token_of(b.form) + b.first for b in some],
            model.config.block_size - min(len(b.first) for b in some),
            temperature=args.temperature,
            stop_tokens=end,
            include_prompt=False,
            seed=args.seed + i,
        )
        texts += [b.first + text for b, text in zip(some, said, strict=True)]
    return texts


def written_by_pairs(
    beginning: Beginning, bigrams: Bigrams, tokenizer: mg.CharTokenizer, args: Any
) -> str:
    """A text that the pairs of characters write, in the same way."""
    rng = np.random.default_rng([args.seed, *map(ord, beginning.first)])
    ids = tokenizer.encode(beginning.first)
    end = special_id(tokenizer, END)
    while ids[-1] != end and len(ids) < args.block_size:
        p = bigrams.after(ids[-1])
        p = p ** (1 / args.temperature) if args.temperature else 1.0 * (p == p.max())
        ids.append(int(rng.choice(len(p), p=p / p.sum())))
    return tokenizer.decode(ids).removesuffix(END)


@evaluation()
def loss_of(model: mg.GPT, sequences: Sequence[Completion]) -> float:
    """The mean loss of all characters that are to be learned."""
    batches = CompletionBatches(sequences, batch_size=32, seed=0)
    total = n = 0.0
    for _ in range(batches.batches_per_epoch):
        ids, targets = batches.next_batch()
        n_learned = model.loss_weight(ids, targets)
        total, n = total + model.loss(ids, targets).item() * n_learned, n + n_learned
    return total / n


def loss_of_pairs(bigrams: Bigrams, sequences: Sequence[Completion]) -> float:
    """The same, by the pairs."""
    losses = [bigrams.losses(np.array(c.ids[:-1]), np.array(c.ids[1:])) for c in sequences]
    learned = [np.array(c.said[1:]) for c in sequences]
    return float(np.concatenate(losses)[np.concatenate(learned)].mean())


def check_first_lines(beginnings: Sequence[Beginning], tokenizer: mg.Tokenizer) -> None:
    """Refuse first lines that the form or the model does not have, before anything is trained."""
    for form, first in beginnings:
        special_id(tokenizer, token_of(form))  # which other runs than this script's do not have
        n, _ = FORMS[form]
        if len(first) != n:
            raise ValueError(
                f"the first line {first} has {len(first)} characters: lines of {form} have {n}"
            )
        if unknown := rare(first, tokenizer):
            raise ValueError(
                f"the first line {first} has {unknown}, which is rare in the poems: give another, "
                "with --first"
            )


def show(
    beginnings: Sequence[Beginning], model: Any, tokenizer: mg.Tokenizer, args: Any, folder: Path
) -> None:
    """Write poems, print them, and draw them."""
    drawn = []
    for (form, _), text in zip(beginnings, write(beginnings, model, tokenizer, args), strict=True):
        poem, _, title = text.partition("\n")
        n_characters, n_lines = FORMS[form]
        caption = f"{form}: {n_lines} lines of {n_characters}"
        print(f"── {caption} " + "─" * 40, title, poem.replace("。", "。\n"), sep="\n")
        drawn.append(Written(title, lines_of(poem), caption))
    path = folder / "poems.svg"
    with replacing(path) as file:
        file.write(svg(drawn).encode("utf-8"))
    print(f"the same as a picture, which a browser shows: {path}")


if __name__ == "__main__":
    main()
