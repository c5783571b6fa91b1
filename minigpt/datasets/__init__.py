"""Real text, token files, and batches.

Reading order: ``text`` (bytes to characters), ``corpora`` (names and paths), ``token_files``,
``split``, ``blocks`` (a stream cut to size), ``resumable``, ``batches`` and its three kinds; for
examples of different lengths, ``sequences``, ``example_batches``, ``pairs``, ``completions``,
``labelled``, ``masking``; and ``curriculum``, one after the other.
"""

from minigpt.datasets.batches import Batches
from minigpt.datasets.completions import Completion, CompletionBatches
from minigpt.datasets.corpora import Corpus, corpora, get_corpus, iter_text, load_text
from minigpt.datasets.curriculum import Curriculum
from minigpt.datasets.download import cache_folder
from minigpt.datasets.epoch_batches import EpochBatches
from minigpt.datasets.errors import CorpusError, TextError, TokenFileError
from minigpt.datasets.example_batches import ExampleBatches
from minigpt.datasets.labelled import LabelledBatches
from minigpt.datasets.masking import MaskedBatches, masked
from minigpt.datasets.pairs import PairBatches
from minigpt.datasets.random_batches import RandomBatches
from minigpt.datasets.resumable import ResumableBatches
from minigpt.datasets.sequences import Sequences
from minigpt.datasets.sequential_batches import SequentialBatches
from minigpt.datasets.split import split_point, train_val_split
from minigpt.datasets.stream_batches import StreamBatches
from minigpt.datasets.token_files import (
    TokenWriter,
    open_tokens,
    token_dtype,
    token_writer,
    write_tokens,
)

__all__ = [
    "Batches",
    "Completion",
    "CompletionBatches",
    "Corpus",
    "CorpusError",
    "Curriculum",
    "EpochBatches",
    "ExampleBatches",
    "LabelledBatches",
    "MaskedBatches",
    "PairBatches",
    "RandomBatches",
    "ResumableBatches",
    "Sequences",
    "SequentialBatches",
    "StreamBatches",
    "TextError",
    "TokenFileError",
    "TokenWriter",
    "cache_folder",
    "corpora",
    "get_corpus",
    "iter_text",
    "load_text",
    "masked",
    "open_tokens",
    "split_point",
    "token_dtype",
    "token_writer",
    "train_val_split",
    "write_tokens",
]
