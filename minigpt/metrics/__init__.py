"""How good what a model writes or predicts is: one number for many cases.

Every share is a fraction from 0 to 1, not a percentage.

Reading order: ``likelihood`` (from the loss to perplexity and bits per byte), ``right_answers``
(exact match, F1, accuracy), ``match_table``, ``bleu``, ``rouge``. ``tokenization`` holds the ways
to cut a text into the units that are counted, ``pairs`` puts predictions and references together.
"""

from typing import TYPE_CHECKING

from minigpt.first_use import on_first_use
from minigpt.metrics.likelihood import bits_per_byte, perplexity_of

if TYPE_CHECKING:
    from minigpt.metrics.bleu import BleuScore, corpus_bleu
    from minigpt.metrics.match_table import MatchTable
    from minigpt.metrics.right_answers import accuracy, exact_match, token_f1
    from minigpt.metrics.rouge import RougeScore, rouge_l
    from minigpt.metrics.tokenization import (
        characters,
        lowercase_words,
        normalize_answer,
        tokenize_13a,
        words,
    )
else:
    __getattr__, __dir__ = on_first_use(
        __name__,
        {
            "bleu": ["BleuScore", "corpus_bleu"],
            "match_table": ["MatchTable"],
            "right_answers": ["accuracy", "exact_match", "token_f1"],
            "rouge": ["RougeScore", "rouge_l"],
            "tokenization": [
                "characters", "lowercase_words", "normalize_answer", "tokenize_13a", "words",
            ],
        },
    )  # fmt: skip

__all__ = [
    "BleuScore",
    "MatchTable",
    "RougeScore",
    "accuracy",
    "bits_per_byte",
    "characters",
    "corpus_bleu",
    "exact_match",
    "lowercase_words",
    "normalize_answer",
    "perplexity_of",
    "rouge_l",
    "token_f1",
    "tokenize_13a",
    "words",
]
