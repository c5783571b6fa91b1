"""Real text, token files, and batches.

Reading order: ``text`` (bytes to characters), ``corpora`` (names and paths), ``token_files``,
``split``, ``blocks`` (a stream cut to size), ``batches`` and its three kinds.
"""

from minigpt.datasets.batches import Batches
from minigpt.datasets.corpora import Corpus, corpora, get_corpus, iter_text, load_text
from minigpt.datasets.download import cache_folder
from minigpt.datasets.epoch_batches import EpochBatches
from minigpt.datasets.errors import CorpusError, TextError, TokenFileError
from minigpt.datasets.random_batches import RandomBatches
from minigpt.datasets.sequential_batches import SequentialBatches
from minigpt.datasets.split import split_point, train_val_split
from minigpt.datasets.token_files import (
    TokenWriter,
    open_tokens,
    token_dtype,
    token_writer,
    write_tokens,
)

__all__ = [
    "Batches",
    "Corpus",
    "CorpusError",
    "EpochBatches",
    "RandomBatches",
    "SequentialBatches",
    "TextError",
    "TokenFileError",
    "TokenWriter",
    "cache_folder",
    "corpora",
    "get_corpus",
    "iter_text",
    "load_text",
    "open_tokens",
    "split_point",
    "token_dtype",
    "token_writer",
    "train_val_split",
    "write_tokens",
]
