"""The uses of a language model.

Reading order: ``answering`` (a decoder does a task by itself), ``translating`` (an encoder–decoder
does it), ``chat`` (a conversation of many turns), ``prompt_format`` and ``few_shot`` (a task shown
in the prompt, for which nothing is trained). How good the answers are is counted by
``minigpt.metrics``.
"""

from minigpt.tasks.answering import (
    SPECIAL_TOKENS,
    answer,
    complete,
    encode_answer,
    encode_prompt,
    special_id,
)
from minigpt.tasks.chat import CHAT_TOKENS, Chat, ChatFormat
from minigpt.tasks.few_shot import few_shot, few_shot_classify, few_shot_scores
from minigpt.tasks.prompt_format import PromptFormat
from minigpt.tasks.translating import TRANSLATION_TOKENS, pair_batches, translate

__all__ = [
    "CHAT_TOKENS",
    "SPECIAL_TOKENS",
    "TRANSLATION_TOKENS",
    "Chat",
    "ChatFormat",
    "PromptFormat",
    "answer",
    "complete",
    "encode_answer",
    "encode_prompt",
    "few_shot",
    "few_shot_classify",
    "few_shot_scores",
    "pair_batches",
    "special_id",
    "translate",
]
