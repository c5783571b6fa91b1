import math

import numpy as np
import pytest

import minigpt as mg
from minigpt.sampling import perplexity
from minigpt.training import evaluate
from tests.training.tiny import Bigram, trainer

TOKENS = np.random.default_rng(0).integers(0, 7, 101)


def model(dropout: float = 0.0) -> mg.GPT:
    return mg.GPT(mg.GPTConfig(7, block_size=8, n_layer=1, n_head=1, n_embd=8, dropout=dropout))


def test_the_loss_is_the_mean_over_every_token_but_the_first() -> None:
    gpt, total = model(), 0.0
    for start in range(0, 100, 8):  # 12 whole blocks, and one of 4
        ids, targets = TOKENS[start : start + 8], TOKENS[start + 1 : start + 9]
        ids = ids[: len(targets)]
        total += gpt.loss(ids[None], targets[None]).item() * len(targets)
    for batch_size, workers in ((1, 1), (5, 2), (64, None)):
        metrics = evaluate(gpt, TOKENS, batch_size=batch_size, workers=workers)
        assert metrics["loss"] == pytest.approx(total / 100, rel=1e-5)
        assert metrics["perplexity"] == pytest.approx(math.exp(total / 100), rel=1e-5)
        assert 0 <= metrics["accuracy"] <= 1


def test_dropout_is_off_and_the_mode_comes_back() -> None:
    gpt = model(dropout=0.5)
    assert evaluate(gpt, TOKENS) == evaluate(gpt, TOKENS)
    assert gpt.training
    gpt.eval()
    evaluate(gpt, TOKENS)
    assert not gpt.training


def test_a_shorter_block_may_be_asked_for() -> None:
    assert evaluate(model(), TOKENS, block_size=4)["loss"] > 0


@pytest.mark.parametrize("workers", [1, 2])
def test_targets_that_are_all_left_out_are_an_error(workers: int) -> None:
    class Nothing(Bigram):
        def loss_weight(self, ids, targets):
            return 0.0

    with pytest.raises(ValueError, match="the loss of the text is a mean over nothing"):
        evaluate(Nothing(), TOKENS, workers=workers)
    with pytest.raises(ValueError, match="the loss of the train text is a mean over nothing"):
        trainer(Nothing()).evaluate()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (None, "model must be an object that can be trained.*: got None; it lacks parameters"),
        (mg.GPT, "got the class GPT; make an object of it"),
    ],
)
def test_what_is_not_a_model_is_refused(what: object, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        evaluate(what, TOKENS)


@pytest.mark.parametrize(
    ("tokens", "error", "says"),
    [
        ("text", TypeError, "encode the text"),
        (TOKENS[:8], ValueError, "has length 8"),
        (TOKENS * 0.5, TypeError, "1-D array of integers"),
    ],
)
def test_what_is_no_stream_of_tokens_is_refused(tokens: object, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        evaluate(model(), tokens)


@pytest.mark.filterwarnings("error")
def test_a_perplexity_that_no_float_holds_is_infinite_everywhere(tmp_path) -> None:
    """In what is measured, in the history on the disk, in a checkpoint, and of a text."""
    gpt = model()
    for parameter in gpt.parameters():
        parameter.data *= 500
    config = mg.TrainerConfig(
        4, batch_size=2, learning_rate=1e-6, eval_interval=2, checkpoint_interval=2, workers=1,
        checkpoint_dir=tmp_path, progress=False,
    )  # fmt: skip
    history = mg.Trainer(gpt, TOKENS[:80], TOKENS[60:], config).fit()
    first = history.evaluations[0]
    assert 710 < first["val_loss"] < math.inf == first["val_perplexity"]
    assert mg.History.read(tmp_path).evaluations[0] == first
    assert mg.Trainer.resume(tmp_path, TOKENS[:80], TOKENS[60:]).history.evaluations[0] == first
    assert evaluate(gpt, TOKENS)["perplexity"] == math.inf == perplexity(gpt, TOKENS)
    assert mg.Sampler(gpt, mg.CharTokenizer("abcdefg")).score("abcg").perplexity == math.inf
