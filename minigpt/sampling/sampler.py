"""The Sampler: a model and a tokenizer that write, stream, and score text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.padding import padded
from minigpt.sampling.beam_search import Hypothesis, beam_search
from minigpt.sampling.context import Context
from minigpt.sampling.decoding import Decoder
from minigpt.sampling.filters import apply_temperature, softmax
from minigpt.sampling.keywords import SamplingOptions, chosen_options, takes_options
from minigpt.sampling.options import SamplingConfig
from minigpt.sampling.prompts import checked_ids, checked_mask, encode_prompt, leading_ids
from minigpt.sampling.protocols import LanguageModel, Tokenizer, check_model, check_tokenizer
from minigpt.sampling.scoring import Score, log_probability
from minigpt.sampling.text_stream import text_pieces, whole_text

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Sampler:
    """Writes text with a language model.

    The options of :meth:`generate`, :meth:`stream` and :meth:`generate_ids` are the fields of
    :class:`~minigpt.sampling.SamplingConfig`, where each is explained. A ready one can be given as
    ``config``; options given by name come before it.

    A prompt longer than the model's context keeps its last ``block_size`` tokens as context, and
    stays whole in what is returned; text goes on beyond the context with a sliding window. The
    model runs in :class:`~minigpt.grad_mode.evaluation`, a mode of this thread: its own mode is
    left as it is, so that it may train in another thread or between two pieces of a stream.

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
        check_model(model, tokenizer)
        if tokenizer is not None:
            check_tokenizer(tokenizer, "leave it out to write ids")
        self.model = model
        self.tokenizer = tokenizer
        self.allowed_special = allowed_special

    @property
    def n_tokens(self) -> int:
        """How many ids may be written: those that the tokenizer knows, of the model's vocabulary.

        A model may have a few more, as where the size of its vocabulary was rounded up for speed.
        """
        n: int = self.model.config.vocab_size
        return n if self.tokenizer is None else min(n, self.tokenizer.vocab_size)

    @takes_options("pad_id")
    def generate(
        self,
        prompt: str | Sequence[str],
        max_new_tokens: int | None = None,
        *,
        config: SamplingConfig | None = None,
        **options: Unpack[SamplingOptions],
    ) -> list[str]:
        """The ``prompt`` with its continuation; of a list of prompts one after the other.

        Every option is explained at :class:`~minigpt.sampling.SamplingConfig`.

        Returns:
            ``num_return_sequences`` texts for each prompt, prompt by prompt, with beam search the
            best one first. A text ends before a stop string or stop token; an unfinished character
            at its end is left out.

        Raises:
            TypeError: a value is of the wrong type, or an option is unknown.
            ValueError: a value is out of its range, there is no tokenizer, or a prompt is empty
                and the tokenizer has no ``<|endoftext|>``, after which texts begin.
        """
        chosen = chosen_options(max_new_tokens, config, options)
        prompts = _prompts(prompt)
        shown = prompts if chosen.include_prompt else [""] * len(prompts)
        texts = [[text] for text in shown for _ in range(chosen.num_return_sequences)]
        for row, piece in self._pieces(prompts, chosen):
            texts[row].append(piece)
        return ["".join(text) for text in texts]

    @takes_options("pad_id", "num_return_sequences", "length_penalty", "early_stopping", "progress")
    def stream(
        self,
        prompt: str,
        max_new_tokens: int | None = None,
        *,
        config: SamplingConfig | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Iterator[str]:
        """The same text as :meth:`generate` gives first, in pieces, as it is written.

        The first piece is the ``prompt``, unless ``include_prompt=False``. No piece ends inside a
        character, and none shows the beginning of a stop string. Every option is explained at
        :class:`~minigpt.sampling.SamplingConfig`.

        Raises:
            TypeError: a value is of the wrong type, or an option is unknown.
            ValueError: a value is out of its range, the prompt is empty, there is no tokenizer, or
                ``num_beams`` is above 1: beam search knows no token before it knows the last.
        """
        chosen = chosen_options(max_new_tokens, config, options)
        _check_one_text(chosen)
        pieces = (piece for _, piece in self._pieces([prompt], chosen))  # refuses here and now
        return (p for p in chain([prompt] if chosen.include_prompt else [], pieces) if p)

    @takes_options("stop", "include_prompt", "skip_special_tokens")
    def generate_ids(
        self,
        ids: Array | Sequence[Any],
        max_new_tokens: int | None = None,
        *,
        attention_mask: Array | Sequence[Any] | None = None,
        config: SamplingConfig | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Array:
        """The ids with their continuation: the same as :meth:`generate`, without a tokenizer.

        Args:
            ids: the prompts.
            max_new_tokens: how many follow at most.
            attention_mask: True for real tokens, False for padding, which stands at the left.
            config: options; those given by name come before it.
            **options: the fields of :class:`~minigpt.sampling.SamplingConfig`.

        Shapes:
            ids, attention_mask: (B, T), or (T,) for one row
            → (B · num_return_sequences, T + N) int64, prompt by prompt, with N = max_new_tokens,
            or less where every row met a stop token before

        Raises:
            TypeError: a value is of the wrong type, or an option is unknown.
            ValueError: a value is out of its range, or shapes do not fit.
            IndexError: an id is outside the model's vocabulary.
        """
        chosen = chosen_options(max_new_tokens, config, options)
        _check_ids_alone(chosen)
        rows = checked_ids(ids, self.model.config.vocab_size)
        mask = None if attention_mask is None else checked_mask(attention_mask, rows)
        prompts = rows.repeat(chosen.num_return_sequences, axis=0)  # (R, T)
        if chosen.num_beams > 1:
            found = beam_search(self.model, rows, mask, chosen, self.n_tokens)
            return np.concatenate([prompts, _filled(found, chosen.pad_id)], axis=1)
        columns = Decoder(self.model, rows, mask, chosen, self.n_tokens).columns()
        return np.concatenate([prompts, *(column[:, None] for column in columns)], axis=1)

    def next_token_probabilities(
        self, prompt: str, k: int = 10, *, temperature: float = 1.0
    ) -> list[tuple[str, float]]:
        """The ``k`` likeliest next tokens after a ``prompt``, with their probabilities (E12).

        The logits are divided by the ``temperature`` first.

        Raises:
            ValueError: ``k`` is below 1, the prompt is empty, or there is no tokenizer.
        """
        k = checks.integer("k", k, least=1)
        ids = np.array([self._encode(prompt)])  # (1, T)
        logits = Context(self.model, ids, None, n_new=1, use_cache=False).next_logits()
        p = softmax(apply_temperature(logits[:, : self.n_tokens], temperature))[0]
        likeliest = np.argsort(-p, kind="stable")[:k]
        decode = self._needed_tokenizer().decode
        return [(decode([int(token)]), float(p[token])) for token in likeliest]

    def score(self, text: str, *, context: str = "", stride: int | None = None) -> Score:
        """How likely ``text`` is after ``context``: log-probability, perplexity, bits/byte.

        Without a context the first token of the text is not scored, as nothing comes before it,
        unless the tokenizer has a token that every text begins with.

        Args:
            text: what is scored.
            context: what comes before it, and is not scored.
            stride: as in :func:`~minigpt.sampling.token_log_probabilities`.

        Raises:
            ValueError: the text is empty, or a single token without a context.
        """
        _check_texts(text, context)
        leading = leading_ids(self._needed_tokenizer())
        before = self._encode(context) if context else leading
        ids = before + self._encode(text, is_start=False)
        start = max(len(before), 1)
        scored = text if before else self._needed_tokenizer().decode(ids[start:])
        n_bytes = len(scored.encode("utf-8", errors="replace"))
        log_p = log_probability(self.model, np.array(ids), start, stride, n_tokens=self.n_tokens)
        return Score(log_p, len(ids) - start, n_bytes)

    def __call__(self, *args: Any, **options: Any) -> NoReturn:
        """Says which method writes what.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            "a Sampler is not called itself: use generate(prompt), stream(prompt), or "
            "generate_ids(ids)"
        )

    def __repr__(self) -> str:
        tokenizer = "no tokenizer" if self.tokenizer is None else type(self.tokenizer).__name__
        return f"Sampler({type(self.model).__name__}, {tokenizer})"

    def _pieces(self, prompts: list[Any], options: SamplingConfig) -> Iterator[tuple[int, str]]:
        """(returned row, piece of its text), as the pieces come; errors come at once."""
        tokenizer = self._needed_tokenizer()
        ids, mask = padded([self._encode(prompt) for prompt in prompts], at_left=True)  # (B, T)
        if options.num_beams > 1:
            found = beam_search(self.model, ids, mask, options, self.n_tokens, tokenizer)
            hypotheses = chain.from_iterable(found)
            return enumerate(whole_text(h.tokens, tokenizer, options) for h in hypotheses)
        decoder = Decoder(self.model, ids, mask, options, self.n_tokens)
        return text_pieces(decoder, tokenizer, options)

    def _needed_tokenizer(self) -> Tokenizer:
        if self.tokenizer is None:
            raise ValueError(
                "this sampler has no tokenizer, so it knows only ids: use generate_ids, or "
                "Sampler(model, tokenizer)"
            )
        return self.tokenizer

    def _encode(self, text: object, is_start: bool = True) -> list[int]:
        tokenizer, vocab_size = self._needed_tokenizer(), self.model.config.vocab_size
        return encode_prompt(tokenizer, text, vocab_size, self.allowed_special, is_start)


def _filled(found: list[list[Hypothesis]], pad_id: int | None) -> Array:
    """The texts of beam search as rows of one length: filled with a pad_id, or their last id."""
    ids, mask = padded([h.tokens for hypotheses in found for h in hypotheses])  # (R, N)
    if pad_id is not None or ids.size == 0:
        return np.where(mask, ids, pad_id or 0)
    last = np.take_along_axis(ids, mask.sum(axis=1, keepdims=True) - 1, axis=1)  # (R, 1)
    return np.where(mask, ids, last)


def _prompts(prompt: object) -> list[Any]:
    """One prompt or several, as a list of them."""
    prompts = list(prompt) if isinstance(prompt, (list, tuple)) else [prompt]
    if not prompts:
        raise ValueError("prompt is an empty list: pass a string, or at least one")
    return prompts


def _check_one_text(options: SamplingConfig) -> None:
    if options.num_beams > 1:
        raise ValueError(
            f"num_beams={options.num_beams} cannot be streamed, since beam search may give up "
            "what was shown: use generate"
        )
    if options.num_return_sequences > 1:
        raise ValueError(
            f"num_return_sequences={options.num_return_sequences} cannot be streamed, as a stream "
            "is one text: use generate"
        )


def _check_ids_alone(options: SamplingConfig) -> None:
    if options.stop:
        raise ValueError(
            f"stop={options.stop!r} is text, and generate_ids knows only ids: pass stop_tokens, or "
            "use generate"
        )


def _check_texts(text: object, context: object) -> None:
    checks.text("context", context)
    if checks.text("text", text) == "":
        raise ValueError("the text is empty: there is nothing to score")
