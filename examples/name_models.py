"""The names of Unicode's characters and models of them, for masked_names and fine_tune.

Names are read character by character, with an end mark before and after: [END]DIGIT ONE[END].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import minigpt as mg
from command_line import reported
from minigpt.datasets import Completion, CompletionBatches, MaskedBatches
from minigpt.models import Encoder, EncoderConfig
from runs import train_to_the_end
from task_data import character_names

MASK, END = "[MASK]", "[END]"
SIZES: dict[str, Any] = {"block_size": 96, "n_layer": 3, "n_head": 4, "n_embd": 96}
BATCH_SIZE, LEARNING_RATE = 64, 3e-3
MASKED = 0.3  # of the characters: twice BERT's share, so that each name teaches twice as much
MASKED_IN_TEST = 0.15  # BERT's


@dataclass
class Names:
    """What is pre-trained on, and labelled names: some to fine-tune with, others to measure on.

    The names of the validation part and of the test, and those that differ from one of them only in
    a number, are left out of what is pre-trained on. The training part's names are in it, without
    their labels. ``unseen`` is the part that --report names.
    """

    unlabelled: list[str]
    train: list[Any]
    unseen: list[Any]
    tokenizer: mg.CharTokenizer

    @classmethod
    def read(cls, n_train: int, args: Any) -> Names:
        """As ``--test``, ``--report`` and ``--seed`` say."""
        parts = character_names.make_cases(n_train, args.test, args.test, args.seed)
        train, validation, test = parts
        unlabelled = character_names.names_without(validation + test)
        tokenizer = mg.CharTokenizer.train(unlabelled, special_tokens=[MASK, END])
        return cls(unlabelled, train, reported(args, validation, test), tokenizer)

    def encode(self, names: list[str]) -> list[list[int]]:
        """Each name as ids, with the end mark before and after."""
        return [self.tokenizer.encode(f"{END}{name}{END}", allowed_special=[END]) for name in names]

    @property
    def mask_id(self) -> int:
        return self.tokenizer.encode(MASK, allowed_special=[MASK])[0]

    @property
    def end_id(self) -> int:
        return self.tokenizer.encode(END, allowed_special=[END])[0]

    def masked(self, names: list[str], seed: int, probability: float = MASKED) -> MaskedBatches:
        """Batches of names with some of their characters hidden, for an Encoder."""
        return MaskedBatches(
            self.encode(names), BATCH_SIZE, seed, probability=probability,
            mask_id=self.mask_id, vocab_size=self.tokenizer.vocab_size,
            special_ids=[self.end_id], pad_id=self.end_id,
        )  # fmt: skip

    def continued(self, names: list[str], seed: int) -> CompletionBatches:
        """Batches of names whose next character is asked for at every place, for a GPT."""
        completions = [Completion.say(ids) for ids in self.encode(names)]
        return CompletionBatches(completions, BATCH_SIZE, seed, pad_id=self.end_id)


def pretrained(
    model: Any, train: Any, held_out: Any, steps: int, names: Names, args: Any
) -> mg.Trainer:
    """The trainer of a model that was trained for so many steps, and evaluated at the end."""
    config = mg.TrainerConfig(
        max_steps=steps,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        min_learning_rate=LEARNING_RATE / 100,
        weight_decay=0.01,
        eval_interval=steps,
        eval_batches=held_out.batches_per_epoch,
        seed=args.seed,
        progress=not args.quiet,
    )
    trainer = mg.Trainer(model, train, held_out, config=config, tokenizer=names.tokenizer)
    train_to_the_end(trainer)
    return trainer


def new_encoder(names: Names, seed: int) -> Encoder:
    return Encoder(EncoderConfig(names.tokenizer.vocab_size, **SIZES), seed=seed)


def new_gpt(names: Names, seed: int) -> mg.GPT:
    return mg.GPT(mg.GPTConfig(names.tokenizer.vocab_size, **SIZES), seed=seed)
