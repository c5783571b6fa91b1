"""The Sampler: a model and a tokenizer that write, stream, and score text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from minigpt.autograd import Array
from minigpt.sampling.beam_search import beam_search
from minigpt.sampling.checks import check_integer
from minigpt.sampling.context import Context
from minigpt.sampling.decoding import Decoder
from minigpt.sampling.filters import apply_temperature, softmax
from minigpt.sampling.ids import check_ids, check_left_padding, encode_prompt, pad_left, pad_right
from minigpt.sampling.options import SamplingConfig
from minigpt.sampling.protocols import LanguageModel, Tokenizer
from minigpt.sampling.scoring import Score, log_probability
from minigpt.sampling.text_stream import text_pieces, whole_text


class Sampler:
    """Writes text with a language model.

    The options of :meth:`generate`, :meth:`stream` and :meth:`generate_ids` are the fields of
    :class:`~minigpt.sampling.SamplingConfig`, where each is explained.

    A prompt longer than the model's context keeps its last ``block_size`` tokens as context, and
    stays whole in what is returned; text goes on beyond the context with a sliding window. While
    the model runs it is in evaluation mode and records no gradients; its mode is restored after
    every token, so that a stream can be left at any point.

    With ``num_beams`` above 1 nothing is drawn: :func:`~minigpt.sampling.beam_search` looks for the
    likeliest text.

    With a seed a sample is repeatable. It depends on the seed, its own prompt and its number among
    the samples of that prompt, not on what else is in the batch. (Batches of another size round
    float32 logits differently, by about 1e-6: a draw that close to a border may still differ.)

    Args:
        model: predicts the next token; a GPT, or whatever fits
            :class:`~minigpt.sampling.protocols.LanguageModel`.
        tokenizer: turns text into ids and back; :meth:`generate_ids` does without.
        allowed_special: special tokens that prompts may hold, or ``"all"``.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("to be or not to be")
        >>> config = mg.GPTConfig(tokenizer.vocab_size, block_size=8, n_layer=1, n_head=1, n_embd=8)
        >>> sampler = mg.Sampler(mg.GPT(config, seed=0), tokenizer)
        >>> texts = sampler.generate("to", max_new_tokens=5, num_return_sequences=2, seed=1)
        >>> [len(text) for text in texts]
        [7, 7]
        >>> "".join(sampler.stream("to", max_new_tokens=5, seed=1)) == texts[0]
        True
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer | None = None,
        *,
        allowed_special: str | Collection[str] = (),
    ) -> None:
        if not (callable(model) and hasattr(model, "config")):
            raise TypeError(f"model is a {type(model).__name__}: pass a model, such as a GPT")
        if not (tokenizer is None or hasattr(tokenizer, "decode")):
            raise TypeError(f"tokenizer is a {type(tokenizer).__name__}: pass a tokenizer or None")
        self.model = model
        self.tokenizer = tokenizer
        self.allowed_special = allowed_special

    def generate(
        self,
        prompt: str | Sequence[str],
        max_new_tokens: int = 100,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        num_beams: int = 1,
        length_penalty: float = 1.0,
        early_stopping: bool | str = False,
        num_return_sequences: int = 1,
        stop: str | Iterable[str] = (),
        stop_tokens: int | Iterable[int] = (),
        include_prompt: bool = True,
        skip_special_tokens: bool = False,
        seed: int | np.random.Generator | None = None,
        use_cache: bool = True,
        window_shift: int = 1,
        progress: bool = False,
    ) -> list[str]:
        """The prompt with its continuation; of a list of prompts one after the other.

        Every option is explained at :class:`~minigpt.sampling.SamplingConfig`.

        Returns:
            ``num_return_sequences`` texts for each prompt, prompt by prompt, with beam search the
            best one first. A text ends before a stop string or stop token; an unfinished character
            at its end is left out.

        Raises:
            TypeError: a value is of the wrong type.
            ValueError: a value is out of its range, a prompt is empty, or there is no tokenizer.
        """
        options = SamplingConfig.from_arguments(locals())
        prompts: list[Any] = list(prompt) if isinstance(prompt, (list, tuple)) else [prompt]
        if not prompts:
            raise ValueError("prompt is an empty list: pass a string, or at least one")
        shown = prompts if include_prompt else [""] * len(prompts)
        texts = [[text] for text in shown for _ in range(num_return_sequences)]
        for row, piece in self._pieces(prompts, options):
            texts[row].append(piece)
        return ["".join(text) for text in texts]

    def stream(
        self,
        prompt: str,
        max_new_tokens: int = 100,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        num_beams: int = 1,
        stop: str | Iterable[str] = (),
        stop_tokens: int | Iterable[int] = (),
        include_prompt: bool = True,
        skip_special_tokens: bool = False,
        seed: int | np.random.Generator | None = None,
        use_cache: bool = True,
        window_shift: int = 1,
    ) -> Iterator[str]:
        """The same text as :meth:`generate` gives first, in pieces, as it is written.

        The first piece is the prompt, unless ``include_prompt=False``. No piece ends inside a
        character, and none shows the beginning of a stop string.

        Raises:
            TypeError: a value is of the wrong type.
            ValueError: a value is out of its range, the prompt is empty, there is no tokenizer, or
                ``num_beams`` is above 1: beam search knows no token before it knows the last.
        """
        options = SamplingConfig.from_arguments(locals())
        if options.num_beams > 1:
            raise ValueError(
                f"num_beams={num_beams} cannot be streamed, since beam search may give up what "
                "was shown: use generate"
            )
        pieces = (piece for _, piece in self._pieces([prompt], options))  # refuses here and now
        return (p for p in chain([prompt] if include_prompt else [], pieces) if p)

    def generate_ids(
        self,
        ids: Array | Sequence[Any],
        max_new_tokens: int = 100,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        num_beams: int = 1,
        length_penalty: float = 1.0,
        early_stopping: bool | str = False,
        num_return_sequences: int = 1,
        stop_tokens: int | Iterable[int] = (),
        attention_mask: Array | Sequence[Any] | None = None,
        pad_id: int | None = None,
        seed: int | np.random.Generator | None = None,
        use_cache: bool = True,
        window_shift: int = 1,
        progress: bool = False,
    ) -> Array:
        """The ids with their continuation: the same as :meth:`generate`, without a tokenizer.

        Args:
            attention_mask: True for real tokens, False for padding, which stands at the left.
            pad_id: what fills a row after its stop token, until the last row has ended; None
                repeats the stop token.

        Shapes:
            ids, attention_mask: (B, T), or (T,) for one row
            → (B · num_return_sequences, T + N) int64, prompt by prompt, with N = max_new_tokens,
            or less where every row met a stop token before

        Raises:
            TypeError: a value is of the wrong type.
            ValueError: a value is out of its range, or shapes do not fit.
        """
        options = SamplingConfig.from_arguments(locals())
        rows = check_ids(ids, self.model.config.vocab_size).astype(np.int64)
        mask = None if attention_mask is None else check_left_padding(attention_mask, rows)
        if options.num_beams > 1:
            found = beam_search(self.model, rows, mask, options)
            new = pad_right([h.tokens for hypotheses in found for h in hypotheses], pad_id)
            return np.concatenate([rows.repeat(num_return_sequences, axis=0), new], axis=1)
        decoder = Decoder(self.model, rows, mask, options)
        columns = [column[:, None] for column in decoder.columns()]
        return np.concatenate([rows.repeat(num_return_sequences, axis=0), *columns], axis=1)

    def next_token_probabilities(
        self, prompt: str, k: int = 10, *, temperature: float = 1.0
    ) -> list[tuple[str, float]]:
        """The k likeliest next tokens after a prompt, as text, with their probabilities (E12).

        Raises:
            ValueError: ``k`` is below 1, the prompt is empty, or there is no tokenizer.
        """
        k = check_integer("k", k, 1)
        ids = np.array([self._encode(prompt)])
        logits = Context(self.model, ids, None, n_new=1, use_cache=False).next_logits()
        p = softmax(apply_temperature(logits, temperature))[0]
        likeliest = np.argsort(-p, kind="stable")[:k]
        decode = self._needed_tokenizer().decode
        return [(decode([int(token)]), float(p[token])) for token in likeliest]

    def score(self, text: str, *, context: str = "", stride: int | None = None) -> Score:
        """How likely ``text`` is after ``context``: log-probability, perplexity, bits/byte (E6).

        Without a context the first token of the text is not scored: nothing comes before it.

        Args:
            text: what is scored.
            context: what comes before it, and is not scored.
            stride: as of :func:`~minigpt.sampling.token_log_probabilities`.

        Raises:
            ValueError: the text is empty, or a single token without a context.
        """
        if text == "":
            raise ValueError("the text is empty: there is nothing to score")
        before = self._encode(context) if context else []
        ids = before + self._encode(text)
        start = max(len(before), 1)
        scored = text if before else self._needed_tokenizer().decode(ids[start:])
        n_bytes = len(scored.encode("utf-8", errors="replace"))
        log_p = log_probability(self.model, np.array(ids), start, stride)
        return Score(log_p, len(ids) - start, n_bytes)

    def __repr__(self) -> str:
        tokenizer = "no tokenizer" if self.tokenizer is None else type(self.tokenizer).__name__
        return f"Sampler({type(self.model).__name__}, {tokenizer})"

    def _pieces(self, prompts: list[Any], options: SamplingConfig) -> Iterator[tuple[int, str]]:
        """(returned row, piece of its text), as the pieces come; errors come at once."""
        tokenizer = self._needed_tokenizer()
        ids, mask = pad_left([self._encode(prompt) for prompt in prompts])
        n_tokens = min(self.model.config.vocab_size, tokenizer.vocab_size)
        if options.num_beams > 1:
            found = beam_search(self.model, ids, mask, options, n_tokens)
            hypotheses = chain.from_iterable(found)
            return enumerate(whole_text(h.tokens, tokenizer, options) for h in hypotheses)
        decoder = Decoder(self.model, ids, mask, options, n_tokens)
        return text_pieces(decoder, tokenizer, options)

    def _needed_tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise ValueError(
                "this sampler has no tokenizer, so it knows ids alone: use generate_ids, or "
                "Sampler(model, tokenizer)"
            )
        return self.tokenizer

    def _encode(self, text: object) -> list[int]:
        tokenizer, vocab_size = self._needed_tokenizer(), self.model.config.vocab_size
        return encode_prompt(tokenizer, text, vocab_size, self.allowed_special)
