"""The uses of a language model, and the measures of how well it does.

Reading order: ``answering`` (a decoder alone does a task), ``translating`` (an encoder–decoder does
it), ``chat`` (a conversation of many turns), ``prompt_format`` and ``few_shot`` (a task told by a
prompt alone), ``metrics`` (shares of right answers), ``match_table``, ``bleu``, ``rouge``;
``tokenization`` holds the ways to cut a text into the units that they count.
"""

from minigpt.tasks.answering import (
    SPECIAL_TOKENS,
    answer,
    complete,
    encode_answer,
    encode_prompt,
    special_id,
)
from minigpt.tasks.bleu import BleuScore, corpus_bleu
from minigpt.tasks.chat import CHAT_TOKENS, Chat, ChatFormat
from minigpt.tasks.few_shot import few_shot, few_shot_classify, few_shot_scores
from minigpt.tasks.match_table import MatchTable
from minigpt.tasks.metrics import accuracy, exact_match, token_f1
from minigpt.tasks.prompt_format import PromptFormat
from minigpt.tasks.rouge import RougeScore, rouge_l
from minigpt.tasks.tokenization import (
    characters,
    lowercase_words,
    normalize_answer,
    tokenize_13a,
    words,
)
from minigpt.tasks.translating import TRANSLATION_TOKENS, pair_batches, translate

__all__ = [
    "CHAT_TOKENS",
    "SPECIAL_TOKENS",
    "TRANSLATION_TOKENS",
    "BleuScore",
    "Chat",
    "ChatFormat",
    "MatchTable",
    "PromptFormat",
    "RougeScore",
    "accuracy",
    "answer",
    "characters",
    "complete",
    "corpus_bleu",
    "encode_answer",
    "encode_prompt",
    "exact_match",
    "few_shot",
    "few_shot_classify",
    "few_shot_scores",
    "lowercase_words",
    "normalize_answer",
    "pair_batches",
    "rouge_l",
    "special_id",
    "token_f1",
    "tokenize_13a",
    "translate",
    "words",
]
