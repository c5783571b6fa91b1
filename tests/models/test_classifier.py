"""The classifier: which states speak for a text, where it starts from, training, files."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import minigpt as mg
import minigpt.functional as F
from minigpt import GPT, GPTConfig, Tensor, gradcheck
from minigpt.datasets import LabelledBatches
from minigpt.models import ClassifierConfig, Encoder, EncoderConfig, TextClassifier, build_model
from minigpt.nn import Linear, RotaryScaling, add_lora, freeze

SIZES = {
    "vocab_size": 13, "block_size": 12, "n_layer": 2, "n_head": 2, "n_embd": 16, "init_std": 0.3
}  # fmt: skip
ENCODER, DECODER = EncoderConfig(**SIZES), GPTConfig(**SIZES)
KINDS = {
    "encoder, mean": (ENCODER, "mean"),
    "encoder, first": (ENCODER, "first"),
    "encoder, last": (ENCODER, "last"),
    "BERT, first": (EncoderConfig(**SIZES, norm="post", embedding_norm=True), "first"),
    "gpt, last": (DECODER, "last"),
    "gpt, mean": (DECODER, "mean"),
    "gpt-1, last": (GPTConfig(**SIZES, norm="post", tie_head=False), "last"),
    "llama, last": (
        GPTConfig.llama(
            13, 12, 2, 2, 16, n_kv_head=1, init_std=0.3, rotary_scaling=RotaryScaling("linear", 2.0)
        ),
        "last",
    ),
    "gpt without a causal mask, first": (GPTConfig(**SIZES, causal=False), "first"),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def model(request) -> TextClassifier:
    backbone, pooling = request.param
    return TextClassifier(ClassifierConfig(backbone, 5, pooling), seed=3)


def trained(config, seed=7):
    return (Encoder if isinstance(config, EncoderConfig) else GPT)(config, seed=seed)


@pytest.fixture
def labels(rng):
    return rng.integers(0, 5, 3)


# ── what it computes ──────────────────────────────────────────────────────────────────────────


def test_the_states_that_speak_for_the_text(ids):
    encoder = trained(ENCODER)
    hidden = encoder.encode(ids).data
    expected = {"first": hidden[:, 0], "last": hidden[:, -1], "mean": hidden.mean(axis=1)}
    for pooling, state in expected.items():
        model = TextClassifier.from_model(encoder, 5, pooling)
        logits = state @ model.head.weight.data + model.head.bias.data
        np.testing.assert_allclose(model(ids).data, logits, atol=1e-5)


def test_a_gpt_s_states_are_those_behind_its_last_norm(ids):
    gpt = trained(DECODER)
    model = TextClassifier.from_model(gpt, 5)
    state = gpt.final_norm(Tensor(gpt.hidden_states(ids)[-1])).data[:, -1]
    logits = state @ model.head.weight.data + model.head.bias.data
    np.testing.assert_allclose(model(ids).data, logits, atol=1e-5)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_changes_nothing(model, ids, side):
    lengths = np.array([4, 10, 7])
    mask = np.arange(10) < lengths[:, None]
    mask = mask if side == "right" else mask[:, ::-1]
    together = model(ids, mask).data
    for row in range(3):
        alone = model(ids[row][mask[row]][None]).data[0]
        np.testing.assert_allclose(together[row], alone, atol=1e-5)
    other = np.where(mask, ids, 3)
    np.testing.assert_allclose(model(other, mask.astype(int)).data, together, atol=1e-5)


def test_every_token_matters(model, ids):
    """Also to a GPT's last state, and to a BERT's first."""
    before = model(ids).data
    for place in (0, 4, 9):
        changed = ids.copy()
        changed[:, place] = (changed[:, place] + 1) % 13
        assert (np.abs(model(changed).data - before).max(axis=-1) > 1e-5).all()


def test_the_derivatives(ids, labels):
    model = TextClassifier(ClassifierConfig(ENCODER, 5, "mean"), seed=3).astype(np.float64)
    mask = np.arange(10) < np.array([[4], [10], [7]])
    parameters = [p for p in model.parameters() if p.size <= 32][::3]

    def loss(*_):
        return model.loss(ids, labels, mask)

    assert gradcheck(loss, parameters)


def test_loss_and_metrics(model, ids, labels):
    logits = model(ids)
    assert logits.shape == (3, 5)
    assert model.loss(ids, labels).item() == F.cross_entropy(logits, labels).item()
    some = np.array([-1, labels[1], -1])
    metrics = model.metrics(ids, some)
    assert metrics["loss"] == pytest.approx(model.loss(ids, some).item())
    assert metrics["accuracy"] == (logits.data[1].argmax() == labels[1])
    assert (model.loss_weight(ids, some), model.loss_weight(ids, labels)) == (1.0, 3.0)


def test_probabilities_and_predictions(ids):
    model = TextClassifier(
        ClassifierConfig(dataclasses.replace(ENCODER, dropout=0.5), 5, dropout=0.5)
    )
    p = model.train().probabilities(ids)
    np.testing.assert_allclose(p, F.softmax(model.eval()(ids)).data)  # dropout was off
    np.testing.assert_array_equal(model.predict(ids), p.argmax(axis=-1))
    assert p.shape == (3, 5) and (model.train().probabilities(ids) == p).all() and model.training


def test_dropout_in_training(ids, labels):
    model = TextClassifier(ClassifierConfig(ENCODER, 5, dropout=0.5))
    seeds = [model.loss(ids, labels, rng=np.random.default_rng(s)).item() for s in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert model.loss(ids, labels).item() != model.loss(ids, labels).item()  # its own generator


# ── starting from a trained model ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("backbone", [config for config, _ in KINDS.values()])
def test_starting_from_a_trained_model(backbone, ids):
    source = trained(backbone)
    before = source.state_dict()
    model = TextClassifier.from_model(source, 5, seed=1)
    own = model.backbone.state_dict()
    names = {n.removeprefix("stack."): a for n, a in before.items() if not n.startswith("head.")}
    assert own.keys() == names.keys()
    for name, array in names.items():
        np.testing.assert_array_equal(own[name], array)
    for parameter in model.parameters():  # copies
        parameter.data += 1
    for name, array in source.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_head_is_its_own():
    source = trained(ENCODER)
    first, again, other = (TextClassifier.from_model(source, 5, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.head.weight.data, again.head.weight.data)
    assert (first.head.weight.data != other.head.weight.data).any()
    first.start_from(trained(ENCODER, seed=8))
    np.testing.assert_array_equal(first.head.weight.data, again.head.weight.data)


def test_from_another_classifier_and_in_float64(ids):
    source = TextClassifier(ClassifierConfig(DECODER, 5), seed=1).astype(np.float64)
    model = TextClassifier.from_model(source, 3, seed=2)
    assert model.config.backbone == DECODER and model(ids).shape == (3, 3)
    for name, array in source.backbone.state_dict().items():
        np.testing.assert_array_equal(model.backbone.state_dict()[name], array, strict=True)


def test_dropout_may_differ():
    config = dataclasses.replace(ENCODER, dropout=0.3, init_std=0.1)
    TextClassifier(ClassifierConfig(config, 5)).start_from(trained(ENCODER))


class LargerEmbedding(Encoder):
    def __init__(self, config):
        super().__init__(config)
        self.stack.extra = Linear(2, 2, seed=0)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (
            trained(DECODER),
            TypeError,
            "model must be of the backbone's kind, Encoder: got GPT; make the classifier",
        ),
        (Linear(2, 2, seed=0), TypeError, "must be an Encoder, a GPT or a TextClassifier"),
        (
            trained(EncoderConfig(**SIZES | {"n_head": 4})),
            ValueError,
            "model must have n_head=2, like the classifier's backbone: got 4; make the class",
        ),
        (LargerEmbedding(ENCODER), ValueError, r"unexpected: extra\.weight"),
        (trained(ENCODER).astype(np.float64), ValueError, "misshapen.*float64"),
    ],
)
def test_what_does_not_fit_is_refused(source, error, message):
    model = TextClassifier(ClassifierConfig(ENCODER, 5))
    before = model.state_dict()
    with pytest.raises(error, match=message):
        model.start_from(source)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# ── what is wrong with it ─────────────────────────────────────────────────────────────────────


def test_wrong_inputs(ids):
    model = TextClassifier(ClassifierConfig(ENCODER, 5))
    mask = np.ones((3, 10), bool)
    mask[1] = False
    with pytest.raises(ValueError, match="row 1 of attention_mask is all padding"):
        model(ids, mask)
    for wrong in ("ab", [[1, 1], [1]], np.ones((3, 9))):
        with pytest.raises(
            ValueError, match=r"attention_mask must (have shape \(3, 10\)|be an arr)"
        ):
            model(ids, wrong)
    for wrong in ("text", [[1, 2], [1]]):
        with pytest.raises((TypeError, ValueError), match="ids must be"):
            model(wrong, wrong)
    with pytest.raises(TypeError, match="labels must be integers"):
        model.loss_weight(ids, "ab")
    with pytest.raises(
        ValueError, match=r"labels must have shape \(3,\): got \(2,\): one for each text"
    ):
        model.loss(ids, np.array([0, 1]))
    with pytest.raises(TypeError, match="labels must be integers"):
        model.loss(ids, np.zeros(3))
    for wrong in (5, -2):
        with pytest.raises(
            IndexError, match="labels must be from 0 to 4, as n_classes=5, or -1 to leave"
        ):
            model.loss(ids, np.array([0, 1, wrong]))
    with pytest.raises(ValueError, match="every target is ignore_index"):
        model.loss(ids, np.full(3, -1))
    with pytest.raises(ValueError, match="13 tokens do not fit the context"):
        model(np.zeros((1, 13), int))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"n_classes": 1},
            ValueError,
            "n_classes must be an integer of at least 2: got 1; one class tells nothing",
        ),
        ({"n_classes": 2.0}, TypeError, "n_classes must be an integer"),
        ({"pooling": "max"}, ValueError, 'pooling must be "first", "last" or "mean": got'),
        ({"backbone": DECODER, "pooling": "first"}, ValueError, "in a causal GPT sees no other"),
        ({"dropout": 1.0}, ValueError, "dropout"),
        ({"backbone": 3}, TypeError, "must be an EncoderConfig or a GPTConfig: got 3"),
        (
            {"backbone": SIZES},
            TypeError,
            'backbone_model, as backbone is a dict, must be "Encoder" or "GPT": got None',
        ),
        ({"backbone_model": "GPT"}, ValueError, "but backbone configures the Encoder"),
        (
            {"backbone": {"size": 3}, "backbone_model": "GPT"},
            ValueError,
            "backbone does not fit GPT",
        ),
    ],
)
def test_wrong_configurations(changes, error, message):
    with pytest.raises(error, match=message):
        ClassifierConfig(**{"backbone": ENCODER, "n_classes": 5} | changes)


def test_wrong_config_and_seed():
    with pytest.raises(TypeError, match="config must be a ClassifierConfig: got"):
        TextClassifier(ENCODER)
    with pytest.raises(ValueError, match="seed must be an integer of at least 0: got -1"):
        TextClassifier(ClassifierConfig(ENCODER, 5), seed=-1)


# ── training and files ────────────────────────────────────────────────────────────────────────


def test_build_model(model):
    fields = json.loads(json.dumps(dataclasses.asdict(model.config)))
    again = build_model("TextClassifier", fields)
    again.load_state_dict(model.state_dict())
    assert type(again) is TextClassifier and again.config == model.config


def texts(rng, count=96):
    """Texts of three tokens in any order; the label is which of them is the most frequent."""
    sequences = [rng.integers(1, 4, rng.integers(5, 11)).tolist() for _ in range(count)]
    return sequences, [int(np.bincount(row, minlength=4)[1:].argmax()) for row in sequences]


def batches(rng) -> LabelledBatches:
    sequences, labels = texts(rng)
    return LabelledBatches(sequences, labels, 16, seed=0)


def run(model, folder, rng, **changes) -> mg.Trainer:
    settings = {
        "max_steps": 60, "batch_size": 16, "learning_rate": 0.01, "workers": 2, "progress": False,
        "checkpoint_dir": folder, "checkpoint_interval": 30, "eval_interval": 60,
    } | changes  # fmt: skip
    both = batches(rng)
    return mg.Trainer(model, both, both, mg.TrainerConfig(**settings))


def resumed(folder, rng, **changes) -> mg.Trainer:
    path = folder / "step-00000030.npz"
    trainer = mg.Trainer.resume(path, batches(rng), None, checkpoint_dir=None, **changes)
    trainer.fit()
    return trainer


def assert_same_parameters(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(theirs[name], array, err_msg=name)


def slow_backbone(model):
    return {"learning_rate_scales": {"backbone.": 0.5, "backbone.blocks.0.": 0.25}}


def frozen_backbone(model):
    freeze(model.backbone)
    return {"learning_rate": 0.1}


def adapters(model):
    add_lora(model.backbone, rank=2, targets=["qkv_proj", "up_proj"])
    return {"learning_rate": 0.02}


@pytest.mark.parametrize("backbone", [ENCODER, DECODER], ids=["encoder", "gpt"])
@pytest.mark.parametrize("prepare", [lambda model: {}, slow_backbone, frozen_backbone, adapters])
def test_it_trains_resumes_and_loads(backbone, prepare, tmp_path):
    model = TextClassifier.from_model(trained(backbone), 3, dropout=0.1)
    changes = prepare(model)
    before = model.state_dict()
    trainer = run(model, tmp_path, np.random.default_rng(0), **changes)
    history = trainer.fit()
    least = {frozen_backbone: 0.5, adapters: 0.65}.get(prepare, 0.8)  # chance is a third
    assert history.evaluations[-1]["val_accuracy"] > least
    still = {name for name, p in model.named_parameters() if not p.requires_grad}
    for name, array in model.state_dict().items():
        assert (array == before[name]).all() == (name in still), name

    again = resumed(tmp_path, np.random.default_rng(0))
    assert_same_parameters(again.model, model)
    assert again.config.learning_rate_scales == trainer.config.learning_rate_scales
    loaded, _ = mg.load_model(tmp_path)
    assert type(loaded) is TextClassifier and loaded.config == model.config
    assert_same_parameters(loaded, model)
    assert {name for name, p in loaded.named_parameters() if not p.requires_grad} == still
    ids = np.array([[1, 1, 1, 2, 3, 1]])
    np.testing.assert_array_equal(loaded.probabilities(ids), model.probabilities(ids))
