"""Writing text with a model, and judging how likely a text is.

Reading order: ``plain`` (the whole idea on a page), ``filters`` (from logits to a token),
``options`` (``logits_processor`` is one of them), ``context`` (what the model sees: window and
cache), ``decoding`` (the loop), ``beam_search`` (the loop that looks for the likeliest text),
``text_stream`` (from tokens to text), ``prompts`` (what is given to go on from), ``sampler`` (the
public face; ``keywords`` are its options), ``scoring`` (log-probability, perplexity).
"""

from minigpt.metrics import bits_per_byte
from minigpt.sampling.beam_search import Hypothesis, beam_search
from minigpt.sampling.filters import (
    apply_temperature,
    log_softmax,
    min_p_filter,
    no_repeat_ngram_filter,
    repetition_penalty,
    sample_from,
    softmax,
    top_k_filter,
    top_p_filter,
)
from minigpt.sampling.options import SamplingConfig
from minigpt.sampling.sampler import Sampler
from minigpt.sampling.scoring import (
    Score,
    log_probability,
    perplexity,
    token_log_probabilities,
)

__all__ = [
    "Hypothesis",
    "Sampler",
    "SamplingConfig",
    "Score",
    "apply_temperature",
    "beam_search",
    "bits_per_byte",
    "log_probability",
    "log_softmax",
    "min_p_filter",
    "no_repeat_ngram_filter",
    "perplexity",
    "repetition_penalty",
    "sample_from",
    "softmax",
    "token_log_probabilities",
    "top_k_filter",
    "top_p_filter",
]
