"""The uses of a language model.

Reading order: ``answering`` (a decoder does a task by itself) and ``shared_beginning`` (what its
prompts have in common), ``translating`` (an encoder–decoder does it); ``turns`` and the forms of a
conversation: ``chat_format`` (that of our own models), ``chatml`` (that of many published ones),
``chat_template`` (whatever a model's file says, which is run in ``template_sandbox``, with a
``template_meter``); ``chat`` (who answers in it) and ``read_already`` (what it need not read
again); ``prompt_format`` and ``few_shot`` (a task shown in the prompt, for which nothing is
trained). How good the answers are is counted by ``minigpt.metrics``.
"""

from minigpt.tasks.answering import (
    SPECIAL_TOKENS,
    answer,
    complete,
    encode_answer,
    encode_prompt,
    special_id,
)
from minigpt.tasks.chat import Chat, chat_format_of
from minigpt.tasks.chat_format import CHAT_TOKENS, ChatFormat
from minigpt.tasks.chat_template import ChatTemplate
from minigpt.tasks.chatml import ChatML
from minigpt.tasks.few_shot import few_shot, few_shot_classify, few_shot_scores
from minigpt.tasks.prompt_format import PromptFormat
from minigpt.tasks.template_meter import ChatTemplateError
from minigpt.tasks.translating import TRANSLATION_TOKENS, pair_batches, translate

__all__ = [
    "CHAT_TOKENS",
    "SPECIAL_TOKENS",
    "TRANSLATION_TOKENS",
    "Chat",
    "ChatFormat",
    "ChatML",
    "ChatTemplate",
    "ChatTemplateError",
    "PromptFormat",
    "answer",
    "chat_format_of",
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
