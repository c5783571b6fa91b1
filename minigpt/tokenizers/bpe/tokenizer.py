"""Byte-level byte-pair encoding, the tokenizer of GPT-2 and of its successors.

A text becomes UTF-8, whose bytes are the first 256 tokens; frequent pairs of tokens become one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, groupby
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.tokenizers.added_tokens import END_OF_TEXT, AddedToken, AddedTokens, check_names
from minigpt.tokenizers.base import Tokenizer, check_ids, check_pieces, check_text, check_texts
from minigpt.tokenizers.bpe.patterns import SplitPattern
from minigpt.tokenizers.bpe.plain import Pair
from minigpt.tokenizers.bpe.text_ids import TextIds
from minigpt.tokenizers.bpe.training import learn
from minigpt.tokenizers.bpe.vocabulary import (
    check_add_bos_token,
    check_added,
    check_chat_template,
    check_merges,
    check_named,
    check_normalization,
    check_vocab,
)
from minigpt.tokenizers.bpe.words import WordIds
from minigpt.tokenizers.files.description import Parts, describe, read_description
from minigpt.tokenizers.files.gpt2 import gpt2_files, read_gpt2, write_gpt2
from minigpt.tokenizers.files.reading import TokenizerFileError
from minigpt.tokenizers.files.to_tokenizer_json import write_tokenizer_json

BLOCKS_AT_ONCE = 4  # of a text that is in memory: fewer turns for the words that are new


class BPETokenizer(Tokenizer):
    """Tokens that are strings of bytes, merged from single ones (Sennrich et al., 2016, §3.2).

    A text is split into words by ``pattern``; each word begins as its bytes in UTF-8, and as long
    as there is a pair of neighbours among ``merges``, the one that stands first there is merged.
    ``plain`` has this as an equation.

    Args:
        vocab: the bytes of each id, 0 … n − 1, with the single bytes among them. A published
            vocabulary may lack a few; a text that needs one of those is refused.
        merges: pairs of tokens, the first learned first.
        special_tokens: names, or names with their ids. A name that is not in ``vocab`` comes after
            it. Special tokens are never merged or split; see :class:`Tokenizer`.
        pattern: ``"gpt2"``, ``"gpt4"``, either with ``"-single-digits"``, a regular expression
            (package ``regex``) whose matches are the words, or None to split nothing. What it
            leaves out is a word too.
        added_tokens: tokens that are not special, or have options; see :class:`AddedToken`.
        ignore_merges: a word that is a token is that one, whatever the merges make of it.
        normalization: "NFC" to bring texts to Unicode's normal form C before they are split.
        bos_token, eos_token: special tokens that the model's texts begin and end with, by name.
        add_bos_token: the model is to read ``bos_token`` before every text; see ``leading_ids``.
        chat_template: how a conversation is written for the model, in Jinja's language.

    Attributes:
        vocab: id to bytes, with the added tokens.
        merges: the pairs of bytes.
        special_tokens: name to id.
        added_tokens: all of them with their ids, the special ones too.
        pattern, ignore_merges, …: as given.

    Raises:
        ValueError: ids have gaps, tokens are there twice, bytes of ASCII are missing, a merge names
            an unknown token, a special token is an ordinary one, or the pattern is wrong; or
            ``bos_token`` or ``eos_token`` is not a special token.

    Example:
        >>> tokenizer = BPETokenizer.train("low lower lowest " * 9, 260, progress=False)
        >>> tokenizer.merges
        [(b'o', b'w'), (b'l', b'ow'), (b' ', b'low'), (b' low', b'e')]
        >>> tokenizer.encode("lowest"), tokenizer.decode([257, 101, 115, 116])
        ([257, 101, 115, 116], 'lowest')
    """

    type_name = "bpe"

    def __init__(
        self,
        vocab: Mapping[int, bytes],
        merges: Iterable[Pair],
        special_tokens: Iterable[str] | Mapping[str, int] = (),
        pattern: str | None = "gpt2",
        added_tokens: Iterable[AddedToken] = (),
        ignore_merges: bool = False,
        normalization: str | None = None,
        bos_token: str | None = None,
        eos_token: str | None = None,
        add_bos_token: bool = False,
        chat_template: str | None = None,
    ) -> None:
        self.vocab = check_vocab(vocab)
        id_of = {token: token_id for token_id, token in self.vocab.items()}
        self.merges = check_merges(merges, id_of)
        self.added_tokens = check_added(special_tokens, added_tokens, self.vocab, self.merges)
        self.normalization = check_normalization(normalization)
        self._added = AddedTokens(self.added_tokens, form_c=self.normalization == "NFC")
        self.special_tokens = self._added.special
        self._split_pattern = SplitPattern(pattern)
        self.ignore_merges = checks.flag("ignore_merges", ignore_merges)
        self.bos_token = check_named("bos_token", bos_token, self.special_tokens)
        self.eos_token = check_named("eos_token", eos_token, self.special_tokens)
        self.add_bos_token = check_add_bos_token(add_bos_token, self.bos_token)
        self.chat_template = check_chat_template(chat_template)
        ordinary = {i: token for i, token in self.vocab.items() if i not in self._added.name_of}
        self.vocab |= {i: name.encode("utf-8") for i, name in sorted(self._added.name_of.items())}
        self._is_special = np.zeros(len(self.vocab), dtype=bool)
        self._is_special[list(self.special_tokens.values())] = True
        whole = ordinary if self.ignore_merges else None
        self._word_ids = WordIds(self.vocab, self.merges, whole)
        self._ids_of_text = TextIds(self._word_ids, self._split_pattern)

    @classmethod
    def train(
        cls,
        text_or_iterable: str | Iterable[str],
        vocab_size: int,
        special_tokens: Iterable[str] = (),
        pattern: str | None = "gpt2",
        progress: bool = True,
    ) -> BPETokenizer:
        """The tokenizer whose merges are learned from a text, or the texts of an iterable.

        The texts of an iterable, such as an open file, are taken as one, cut into pieces. Special
        tokens in it are left out, and no pair is counted across them. Ids: the bytes are
        0 … 255, then come the merges as they are learned, and the special tokens last. Of equally
        frequent pairs the lexicographically greater one is merged first.

        A path is not a text: read the file first, ``train(load_text("a-file.txt"), …)``. The name
        of a file that is here is refused; in a list it is only text.

        Args:
            text_or_iterable: what to learn from; the memory used grows with its different words.
            vocab_size: how many tokens; fewer, with a warning, where the text has no more pairs.
            special_tokens: names of tokens such as ``<|endoftext|>``.
            pattern: as for the class.
            progress: show a bar.

        Raises:
            ValueError: the text is empty, holds a lone surrogate or is the path of a file,
                ``vocab_size`` has no room for the bytes and the special tokens, or the pattern is
                wrong.
        """
        vocab, merges, names = learn(
            text_or_iterable, vocab_size, special_tokens, SplitPattern(pattern), progress
        )
        tokenizer = cls(vocab, merges, names, pattern)
        if tokenizer.vocab_size < vocab_size:
            warnings.warn(
                f"the vocabulary has {tokenizer.vocab_size:,} tokens, not vocab_size="
                f"{vocab_size:,}: each word of the text is one token already; train on more text",
                stacklevel=2,
            )
        return tokenizer

    @classmethod
    def from_gpt2(
        cls,
        vocab_json: str | os.PathLike[str],
        merges_txt: str | os.PathLike[str],
        special_tokens: Iterable[str] = (),
    ) -> BPETokenizer:
        """The tokenizer of GPT-2's two files, with the ids that it has there.

        A token that no merge makes is special where ``special_tokens`` has it, or its name tells,
        as ``<|endoftext|>``. Names that the files do not have get the ids after the last.

        Args:
            vocab_json: the file with the ids.
            merges_txt: the file with the merges.
            special_tokens: names of special tokens.

        Raises:
            FileNotFoundError: one of the files is not there.
            TokenizerFileError: a file is damaged, or the two do not fit together.
        """
        names = check_names(special_tokens)
        parts = read_gpt2(
            checks.path("vocab_json", vocab_json),
            checks.path("merges_txt", merges_txt),
            [AddedToken(name) for name in names],
        )
        try:
            return cls(*parts)
        except ValueError as error:
            raise TokenizerFileError(
                f"{vocab_json} and {merges_txt} do not hold a tokenizer: {error}"
            ) from None

    def to_gpt2(self, folder: str | os.PathLike[str]) -> None:
        """Write ``vocab.json`` and ``merges.txt``, and what Transformers needs beside them.

        That is ``tokenizer_config.json``, which names the class and the added tokens:
        ``AutoTokenizer.from_pretrained(folder)`` then gives the same ids. An older
        ``tokenizer.json``, ``added_tokens.json`` or ``special_tokens_map.json`` in the folder,
        which readers prefer to these, is removed. After an error the folder is what it was.

        Raises:
            ValueError: the pattern is not GPT-2's, which readers of those files assume, or a
                special token's name would be read as the bytes of a token.
            OSError: a file cannot be written.
        """
        write_gpt2(checks.path("folder", folder), self.gpt2_files())

    def gpt2_files(self) -> dict[str, bytes]:
        """What :meth:`to_gpt2` writes, by the names of the files.

        Raises:
            ValueError: as :meth:`to_gpt2`.
        """
        return gpt2_files(self._parts())

    def to_transformers(self, folder: str | os.PathLike[str]) -> None:
        """Write what ``AutoTokenizer.from_pretrained(folder)`` reads; it then gives the same ids.

        A chat template goes with it. As :meth:`to_gpt2`, where GPT-2's files can tell it all, or
        else ``tokenizer.json`` and ``tokenizer_config.json``. After an error the folder is what it
        was.

        Raises:
            ValueError: an added token's name would be read as the bytes of a token.
            OSError: a file cannot be written.
        """
        try:
            self.gpt2_files()
        except ValueError:
            write_tokenizer_json(checks.path("folder", folder), self._parts())
        else:
            self.to_gpt2(folder)

    @property
    def pattern(self) -> str | None:
        """How a text is split into words."""
        return self._split_pattern.pattern

    @property
    def vocab_size(self) -> int:
        """Bytes, merges and special tokens."""
        return len(self.vocab)

    @property
    def end_of_text_id(self) -> int | None:
        """The id of ``eos_token``, or else of ``<|endoftext|>``, GPT-2's token between texts.

        None where neither is a special token.

        Example:
            >>> BPETokenizer.train("a", 257, ["<|endoftext|>"], progress=False).end_of_text_id
            256
        """
        return self.special_tokens.get(self.eos_token or END_OF_TEXT)

    @property
    def leading_ids(self) -> tuple[int, ...]:
        """What the model is to read before a text: ``bos_token`` where it learned so, or nothing.

        ``encode`` never gives it, so that texts can be put together; a
        :class:`~minigpt.sampling.Sampler` puts it before a prompt.

        Example:
            >>> tokenizer = BPETokenizer.train("a", 257, ["<s>"], progress=False)
            >>> tokenizer.leading_ids
            ()
            >>> parts = tokenizer.vocab, tokenizer.merges, ["<s>"]
            >>> BPETokenizer(*parts, bos_token="<s>", add_bos_token=True).leading_ids
            (256,)
        """
        if not self.add_bos_token or self.bos_token is None:
            return ()
        return (self.special_tokens[self.bos_token],)

    def encode(
        self,
        text: str,
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> list[int]:
        """The ids of ``text``.

        Raises:
            ValueError: ``text`` holds a special token that is not allowed, or a lone surrogate.
        """
        ids: list[int] = self.encode_array(text, allowed_special, disallowed_special).tolist()
        return ids

    def encode_array(
        self,
        text: str,
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> Array:
        """The ids of ``text`` as a (tokens,) array of the smallest unsigned type."""
        parts = self._added.split([check_text(text)], allowed_special, disallowed_special)
        arrays = self._arrays(parts, BLOCKS_AT_ONCE)
        return np.concatenate([np.empty(0, self._word_ids.dtype), *arrays])

    def encode_iterable(
        self,
        iterable: Iterable[str],
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> Iterator[int]:
        """The ids of the pieces' concatenation, wherever it is cut into pieces.

        Memory holds a block of some 100,000 characters at a time, and more where a word is longer:
        about 100 bytes for each of its characters. With ``"gpt2"`` and ``"gpt4"`` that is a longer
        run of letters, digits, other signs or white space; with another pattern, or None, all text
        between two special tokens is one block.
        """
        for ids in self.encode_arrays(iterable, allowed_special, disallowed_special):
            yield from ids.tolist()

    def encode_arrays(
        self,
        iterable: Iterable[str],
        allowed_special: str | Collection[str] = (),
        disallowed_special: str | Collection[str] = "all",
    ) -> Iterator[Array]:
        """The same ids as :meth:`encode_iterable`, one array for each block."""
        return self._arrays(
            self._added.split(check_texts(iterable), allowed_special, disallowed_special)
        )

    def encode_mixed(self, pieces: Iterable[tuple[str, bool]]) -> list[int]:
        """The ids of the pieces' concatenation, special tokens only where a piece may have them."""
        checked = check_pieces(pieces)
        parts = (self._added.split([text], "all" if may else (), ()) for text, may in checked)
        return [i for ids in self._arrays(chain.from_iterable(parts)) for i in ids.tolist()]

    def _arrays(self, parts: Iterable[Any], blocks: int = 1) -> Iterator[Array]:
        """The ids of a text that was split at its added tokens."""
        for is_text, run in groupby(parts, key=lambda part: isinstance(part[0], str)):
            if not is_text:
                yield np.array([part for part, _ in run], dtype=self._word_ids.dtype)
                continue
            for block in self._split_pattern.blocks(run, blocks):
                yield self._ids_of_text(block)

    def decode(self, ids: Iterable[int] | Array, skip_special_tokens: bool = False) -> str:
        """The text of ``ids``; bytes that are not a whole character become U+FFFD.

        Raises:
            ValueError: an id is not below vocab_size, or the array is not 1-D.
        """
        return self.decode_bytes(ids, skip_special_tokens).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int] | Array, skip_special_tokens: bool = False) -> bytes:
        r"""The bytes of ``ids``, which may end inside a character.

        Raises:
            TypeError, ValueError: as :meth:`decode`.

        Example:
            >>> BPETokenizer.train("abab", 257, progress=False).decode_bytes([0xE4, 0xBD])
            b'\xe4\xbd'
        """
        array = check_ids(ids, self.vocab_size)
        if checks.flag("skip_special_tokens", skip_special_tokens):
            array = array[~self._is_special[array]]
        return b"".join(map(self.vocab.__getitem__, array.tolist()))

    def to_dict(self) -> dict[str, Any]:
        """Everything that makes this tokenizer, JSON-able; bytes as GPT-2's files write them."""
        return {"type": self.type_name, **describe(self._parts())}

    def _parts(self) -> Parts:
        """What another one like this is made from."""
        return Parts(
            self.vocab,
            self.merges,
            {},
            self.pattern,
            self.added_tokens,
            self.ignore_merges,
            self.normalization,
            self.bos_token,
            self.eos_token,
            self.add_bos_token,
            self.chat_template,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BPETokenizer:
        """The tokenizer that :meth:`to_dict` described as ``data``.

        Raises:
            ValueError: something in it is not sound.
        """
        try:
            return cls(*read_description(data, cls.type_name))
        except TypeError as error:
            raise ValueError(str(error)) from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BPETokenizer):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.vocab_size, tuple(self.merges), self.pattern))

    def __repr__(self) -> str:
        special = f", special_tokens={list(self.special_tokens)}" if self.special_tokens else ""
        return (
            f"BPETokenizer(vocab_size={self.vocab_size}, merges={len(self.merges)}{special}, "
            f"pattern={self.pattern!r:.80})"
        )
