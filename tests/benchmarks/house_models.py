"""The models that house.py compares: minigpt's, PyTorch's with its weights, and a batch of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

TOLERANCE = 1e-4  # of losses that should be the same
RANK, CLASSES = 8, 4


class Size(NamedTuple):
    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    batch_size: int

    @property
    def of_model(self) -> tuple[int, ...]:
        """In the order in which configurations take them."""
        return (self.vocab_size, self.block_size, self.n_layer, self.n_head, self.n_embd)


SIZES = {
    "small": Size(65, 4, 4, 128, 64, 12),
    "baby": Size(65, 6, 6, 384, 256, 8),
    "wide": Size(50257, 2, 12, 768, 256, 4),  # GPT-2's 124M shape, with two of its layers
}
OF_LSTM = {"small": Size(65, 2, 1, 128, 64, 32), "baby": Size(65, 2, 1, 384, 128, 32)}


def tokens(size: Size) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    text = rng.integers(0, size.vocab_size, (size.batch_size, size.block_size + 1))
    return text[:, :-1].copy(), text[:, 1:].copy()


def lengths(size: Size) -> np.ndarray:
    """True where a token is, False where padding is: (B, T)."""
    n = np.linspace(size.block_size // 2, size.block_size, size.batch_size).astype(int)
    return np.arange(size.block_size) < n[::-1, None]


def gpt(size: Size, **changes: Any) -> Any:
    import minigpt as mg

    return mg.GPT(mg.GPTConfig(*size.of_model, **changes), seed=0)


def torch_gpt(size: Size, ours: Any, bias: bool = True) -> Any:
    from tests.parity.reference_gpt import ReferenceGPT

    theirs = ReferenceGPT(*size.of_model, bias=bias)
    if ours is not None:
        theirs.load({n: array for n, array in ours.state_dict().items() if "lora" not in n})
    return theirs


def adapted_gpt(size: Size) -> Any:
    from minigpt.nn import add_lora

    model = gpt(size)
    add_lora(model, rank=RANK)
    return model


def torch_adapted_gpt(size: Size, ours: Any) -> Any:
    from tests.parity.reference_adapters import adapt

    return adapt(torch_gpt(size, ours), RANK, ours and ours.state_dict())


def torch_gpt_in_parts(size: Size, ours: Any) -> Any:
    """Q, K and V are matrices of their own, each made orthogonal by itself, as minigpt does."""
    from tests.parity.reference_adapters import LinearInParts

    model = torch_gpt(size, ours, bias=False)
    for block in model.blocks:
        block.qkv = LinearInParts(block.qkv, 3)
    return model


def llama(size: Size) -> Any:
    import minigpt as mg

    return mg.GPT(mg.GPTConfig.llama(*size.of_model, n_kv_head=size.n_head // 2), seed=0)


def torch_llama(size: Size, ours: Any) -> Any:
    from tests.parity.reference_llama import ReferenceLlama

    return loaded(ReferenceLlama, llama, size, ours)


def lstm(size: Size) -> Any:
    from minigpt.models import LSTMConfig, LSTMLanguageModel

    config = LSTMConfig(size.vocab_size, size.n_embd, size.n_embd, size.n_layer)
    return LSTMLanguageModel(config, seed=0)


def torch_lstm(size: Size, ours: Any) -> Any:
    from tests.parity.reference_lstm import ReferenceLSTM

    sizes = size.vocab_size, size.n_embd, size.n_embd, size.n_layer
    return ReferenceLSTM(*sizes) if ours is None else ReferenceLSTM.like(ours)


def encoder(size: Size) -> Any:
    from minigpt.models import Encoder

    return Encoder(encoder_config(size), seed=0)


def encoder_config(size: Size) -> Any:
    from minigpt.models import EncoderConfig

    return EncoderConfig(*size.of_model, activation="gelu_erf")


def torch_encoder(size: Size, ours: Any) -> Any:
    from tests.parity.reference_encoder import ReferenceMaskedModel

    return loaded(ReferenceMaskedModel, encoder, size, ours)


def masked_tokens(size: Size) -> tuple[np.ndarray, ...]:
    from minigpt.datasets import masked

    ids, _ = tokens(size)
    mask, rng = lengths(size), np.random.default_rng(1)
    hidden = masked(ids, rng, mask_id=0, vocab_size=size.vocab_size, attention_mask=mask)
    return *hidden, mask


def classifier(size: Size) -> Any:
    from minigpt.models import ClassifierConfig, TextClassifier

    return TextClassifier(ClassifierConfig(encoder_config(size), CLASSES), seed=0)


def torch_classifier(size: Size, ours: Any) -> Any:
    from tests.parity.reference_encoder import ReferenceClassifier

    return loaded(ReferenceClassifier, classifier, size, ours)


def labelled_tokens(size: Size) -> tuple[np.ndarray, ...]:
    labels = np.random.default_rng(1).integers(0, CLASSES, size.batch_size)
    return tokens(size)[0], labels, lengths(size)


def seq2seq(size: Size) -> Any:
    """With half of the layers on each side."""
    from minigpt.models import EncoderDecoder, Seq2SeqConfig

    n_layer = size.n_layer // 2
    config = Seq2SeqConfig(
        size.vocab_size, size.vocab_size, size.block_size, size.block_size, n_layer, size.n_head,
        size.n_embd, n_layer, positions="sinusoidal", share_embeddings=True,
    )  # fmt: skip
    return EncoderDecoder(config, seed=0)


def torch_seq2seq(size: Size, ours: Any) -> Any:
    from tests.parity.reference_layers import Translator

    return loaded(Translator, seq2seq, size, ours)


def pairs(size: Size) -> tuple[np.ndarray, ...]:
    (target_in, target_out), source = tokens(size), tokens(size)[0][::-1].copy()
    return source, target_in, np.where(lengths(size)[::-1], target_out, -1), lengths(size)


def loaded(kind: Any, make: Callable[[Size], Any], size: Size, ours: Any) -> Any:
    """PyTorch's model for the configuration of minigpt's, with its weights where it is given."""
    from tests.parity.reference_layers import load

    theirs = kind((ours or make(size)).config)
    if ours is not None:
        load(theirs.named(), ours.state_dict())
    return theirs


@dataclass(frozen=True)
class Kind:
    """What is measured: a model of each side, a batch, and who moves the weights."""

    ours: Callable[[Size], Any]
    theirs: Callable[[Size, Any], Any]
    batch: Callable[[Size], tuple[np.ndarray, ...]] = tokens
    optimizer: str = "adamw"
    beside: str | None = None  # another kind whose step is the measure of this one
    tolerance: float = TOLERANCE  # of the losses after the first, which has TOLERANCE


KINDS = {
    "gpt": Kind(gpt, torch_gpt),
    "modern": Kind(llama, torch_llama),
    "encoder": Kind(encoder, torch_encoder, masked_tokens),
    "classifier": Kind(classifier, torch_classifier, labelled_tokens),
    "seq2seq": Kind(seq2seq, torch_seq2seq, pairs),
    "lstm": Kind(lstm, torch_lstm, optimizer="adam"),
    "lora": Kind(adapted_gpt, torch_adapted_gpt, beside="gpt"),
    # PyTorch's Muon multiplies in bfloat16.
    "muon": Kind(
        lambda size: gpt(size, bias=False), torch_gpt_in_parts, optimizer="muon", beside="gpt",
        tolerance=1e-3,
    ),
}  # fmt: skip


def size_of(name: str, size: str) -> Size:
    return (OF_LSTM if name == "lstm" else SIZES)[size]
