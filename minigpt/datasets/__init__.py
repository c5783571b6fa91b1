"""Real text, token files, and batches.

Reading order: ``corpora`` (text out of Python itself, files and folders), ``token_stream`` (the
ids of a text, its training and validation parts), ``token_files`` (streams on disk), ``batches``
(what a model trains on).
"""

from minigpt.datasets.batches.blocks import Batches
from minigpt.datasets.batches.completions import Completion, CompletionBatches
from minigpt.datasets.batches.curriculum import Curriculum
from minigpt.datasets.batches.epoch import EpochBatches
from minigpt.datasets.batches.examples import ExampleBatches
from minigpt.datasets.batches.labelled import LabelledBatches
from minigpt.datasets.batches.masking import MaskedBatches, masked
from minigpt.datasets.batches.pairs import PairBatches
from minigpt.datasets.batches.random import RandomBatches
from minigpt.datasets.batches.resumable import ResumableBatches
from minigpt.datasets.batches.sequences import Sequences
from minigpt.datasets.batches.sequential import SequentialBatches
from minigpt.datasets.batches.stream import StreamBatches
from minigpt.datasets.corpora.corpora import Corpus, corpora, get_corpus, iter_text, load_text
from minigpt.datasets.corpora.download import cache_folder
from minigpt.datasets.errors import CorpusError, TextError, TokenFileError
from minigpt.datasets.token_files import (
    TokenWriter,
    open_tokens,
    token_dtype,
    token_writer,
    write_tokens,
)
from minigpt.datasets.token_stream import split_point, train_val_split

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
