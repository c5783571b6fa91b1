"""Good calls of models, sampling, training, tasks and pictures."""

# mypy: disable-error-code="misc"

from __future__ import annotations

import dataclasses
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np

import minigpt as mg
from minigpt import models, sampling, tasks, training, viz
from minigpt.functional import RotaryScaling
from tests.reliability.good_call import GoodCalls
from tests.reliability.good_files import IDS, TEXT, TOKENIZER, folder, gpt, trainer
from tests.reliability.good_mathematics import draws, ones

V = TOKENIZER.vocab_size
ROW = IDS[:4][None]
SEEN = np.ones((1, 4), bool)
READ = dict(ids=ROW, attention_mask=SEEN)
TRANSFORMER = dict(vocab_size=V, block_size=8, n_layer=1, n_head=2, n_embd=8)
DROPPING = dict(TRANSFORMER, dropout=0.1)
SOURCE = dict(source_ids=ROW, source_mask=SEEN)
LEARNT = dict(target_in=ROW, target_out=ROW, target_mask=SEEN)
LOGITS = np.linspace(-1, 1, V, dtype=np.float32)[None]
SAMPLE = dict(
    max_new_tokens=2, temperature=1.0, top_k=5, top_p=0.9, min_p=0.01, repetition_penalty=1.1,
    no_repeat_ngram_size=2, min_new_tokens=1, logits_processor=lambda ids, logits: logits,
    num_beams=1, stop=["q"], stop_tokens=[3], include_prompt=True, skip_special_tokens=False,
    seed=0, use_cache=True, window_shift=1,
)  # fmt: skip
BEAMS = dict(length_penalty=1.0, early_stopping=False, num_return_sequences=1, progress=False)
CHOSEN = dict(temperature=1.0, top_k=5, top_p=0.9, seed=0)


def without(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def encoder():
    return models.Encoder(models.EncoderConfig(**DROPPING), seed=0)


def classifier():
    return models.TextClassifier.from_model(encoder(), 2)


def translator():
    return models.EncoderDecoder(models.Seq2SeqConfig(V, V, 8, 8, 1, 2, 8, dropout=0.1), seed=0)


def lstm():
    return models.LSTMLanguageModel(models.LSTMConfig(V, 8, 8, dropout=0.1), seed=0)


def sampler(block_size: int = 64):
    return mg.Sampler(gpt(block_size=block_size), TOKENIZER)


@lru_cache
def history():
    return mg.History([{"step": 1, "loss": 2.0}], [{"step": 1, "val_loss": 2.1}])


@lru_cache
def recorder():
    seen = viz.Recorder(every=1)
    training.Trainer(
        gpt(), IDS, None, mg.TrainerConfig(max_steps=2, batch_size=2, progress=False, workers=1),
        callbacks=[seen],
    ).fit()  # fmt: skip
    return seen


def chat_tokenizer():
    return mg.CharTokenizer.train(TEXT, "?", special_tokens=tasks.CHAT_TOKENS)


def template_tokenizer(names=("<|im_start|>", "<|im_end|>")):
    return mg.BPETokenizer.train("ab", 258, names, progress=False)


MODELS: GoodCalls = {
    "models.GPTConfig": lambda: (
        models.GPTConfig,
        dict(TRANSFORMER, dropout=0.1, bias=True, activation="gelu_tanh", norm="pre",
             positions="rotary", tie_head=True, n_inner=8, layer_norm_eps=1e-5, init_std=0.02,
             recompute=False, causal=True, residual=True, alibi_scale=1.0, scale_attention=True,
             scale_attention_by_layer=False, normalization="layer", mlp="plain", n_kv_head=1,
             head_width=4, qk_norm=True, qkv_bias=True, rotary_base=100.0,
             rotary_scaling=RotaryScaling("linear", 2.0), short_convolution=3),
    ),
    "models.GPTConfig.gpt2": lambda: (models.GPTConfig.gpt2, dict(TRANSFORMER)),
    "models.GPTConfig.llama": lambda: (models.GPTConfig.llama, dict(TRANSFORMER)),
    "models.GPTConfig.preset": lambda: (models.GPTConfig.preset, dict(name="gpt2")),
    "models.EncoderConfig": lambda: (
        models.EncoderConfig,
        dict(TRANSFORMER, dropout=0.1, bias=True, activation="gelu_tanh", norm="pre",
             positions="learned", embedding_norm=True, n_inner=8, layer_norm_eps=1e-5,
             init_std=0.02),
    ),
    "models.Seq2SeqConfig": lambda: (
        models.Seq2SeqConfig, dataclasses.asdict(translator().config),
    ),
    "models.LSTMConfig": lambda: (
        models.LSTMConfig,
        dict(vocab_size=V, n_embd=8, n_hidden=8, n_layer=1, dropout=0.1, tie_head=True),
    ),
    "models.ClassifierConfig": lambda: (
        models.ClassifierConfig,
        dict(backbone=encoder().config, n_classes=2, pooling="mean", dropout=0.1,
             backbone_model="Encoder"),
    ),
    **{
        f"models.{kind.__name__}": lambda kind=kind, make=make: (
            kind, dict(config=make().config, seed=0),
        )
        for kind, make in {
            mg.GPT: gpt, models.Encoder: encoder, models.EncoderDecoder: translator,
            models.LSTMLanguageModel: lstm, models.TextClassifier: classifier,
        }.items()
    },
    "models.GPT.forward": lambda: (
        gpt(), dict(READ, positions=np.arange(4)[None], cache=None, rng=draws(), last_only=False),
    ),
    "models.GPT.loss": lambda: (gpt().loss, dict(READ, targets=ROW, rng=draws())),
    "models.GPT.logits_and_targets": lambda: (
        gpt().logits_and_targets, dict(READ, targets=ROW, rng=draws()),
    ),
    "models.GPT.hidden_states": lambda: (gpt().hidden_states, dict(READ)),
    "models.GPT.attention_weights": lambda: (gpt().attention_weights, dict(READ)),
    "models.GPT.new_cache": lambda: (gpt().new_cache, dict(batch_size=1, capacity=4)),
    "models.GPT.unembed": lambda: (gpt().unembed, dict(x=ones(1, 3, 8))),
    "models.GPT.save_pretrained": lambda: (
        gpt().save_pretrained, dict(folder="out", tokenizer=None),
    ),
    "models.GPT.from_pretrained": lambda: (
        mg.GPT.from_pretrained,
        dict(folder_or_name=folder() / "model", dropout=0.1, block_size=None, recompute=False,
             memory_map=False, progress=False),
    ),
    "models.Encoder.forward": lambda: (
        encoder(), dict(READ, positions=np.arange(4)[None], rng=draws()),
    ),
    "models.Encoder.encode": lambda: (
        encoder().encode, dict(READ, positions=np.arange(4)[None], rng=draws()),
    ),
    "models.Encoder.loss": lambda: (encoder().loss, dict(READ, targets=ROW, rng=draws())),
    "models.Encoder.logits_and_targets": lambda: (
        encoder().logits_and_targets, dict(READ, targets=ROW, rng=draws()),
    ),
    "models.Encoder.attention_weights": lambda: (encoder().attention_weights, dict(READ)),
    "models.Encoder.fill_mask": lambda: (encoder().fill_mask, dict(READ, mask_id=0, k=2)),
    "models.EncoderDecoder.forward": lambda: (
        translator(), dict(SOURCE, target_ids=ROW, target_mask=SEEN, rng=draws()),
    ),
    "models.EncoderDecoder.loss": lambda: (
        translator().loss, dict(SOURCE, **LEARNT, rng=draws()),
    ),
    "models.EncoderDecoder.logits_and_targets": lambda: (
        translator().logits_and_targets, dict(SOURCE, **LEARNT, rng=draws()),
    ),
    "models.EncoderDecoder.given": lambda: (translator().given, dict(SOURCE)),
    "models.EncoderDecoder.cross_attention_weights": lambda: (
        translator().cross_attention_weights, dict(SOURCE, target_ids=ROW),
    ),
    "models.LSTMLanguageModel.forward": lambda: (
        lstm(),
        dict(READ, positions=None, cache=None, rng=draws(), last_only=False,
             state=lstm().new_state(1)),
    ),
    "models.LSTMLanguageModel.loss": lambda: (
        lstm().loss, dict(READ, targets=ROW, state=lstm().new_state(1), rng=draws()),
    ),
    "models.LSTMLanguageModel.logits_and_targets": lambda: (
        lstm().logits_and_targets,
        dict(READ, targets=ROW, state=lstm().new_state(1), rng=draws()),
    ),
    "models.LSTMLanguageModel.new_cache": lambda: (
        lstm().new_cache, dict(batch_size=1, capacity=4),
    ),
    "models.LSTMLanguageModel.new_state": lambda: (lstm().new_state, dict(batch_size=1)),
    "models.LSTMLanguageModel.unembed": lambda: (lstm().unembed, dict(x=ones(1, 3, 8))),
    "models.TextClassifier.forward": lambda: (classifier(), dict(READ, rng=draws())),
    "models.TextClassifier.loss": lambda: (
        classifier().loss, dict(READ, labels=[1], rng=draws()),
    ),
    "models.TextClassifier.logits_and_targets": lambda: (
        classifier().logits_and_targets, dict(READ, labels=[1], rng=draws()),
    ),
    "models.TextClassifier.predict": lambda: (classifier().predict, dict(READ)),
    "models.TextClassifier.probabilities": lambda: (classifier().probabilities, dict(READ)),
    "models.TextClassifier.start_from": lambda: (classifier().start_from, dict(model=encoder())),
    "models.TextClassifier.from_model": lambda: (
        models.TextClassifier.from_model,
        dict(model=encoder(), n_classes=2, pooling="mean", dropout=0.1, seed=0),
    ),
    "models.build_model": lambda: (
        models.build_model, dict(name="GPT", config=dict(TRANSFORMER), seed=0),
    ),
    "models.grow_vocabulary": lambda: (
        models.grow_vocabulary, dict(model=gpt(), vocab_size=V + 1, seed=0),
    ),
}  # fmt: skip

SAMPLING: GoodCalls = {
    "sampling.Sampler": lambda: (
        mg.Sampler, dict(model=gpt(), tokenizer=TOKENIZER, allowed_special=["<|end|>"]),
    ),
    "sampling.Sampler.generate": lambda: (
        sampler().generate, dict(SAMPLE, **BEAMS, prompt="to be", config=None),
    ),
    "sampling.Sampler.generate_ids": lambda: (
        sampler().generate_ids,
        dict(without(SAMPLE, "stop", "include_prompt", "skip_special_tokens"), **BEAMS, ids=ROW,
             attention_mask=SEEN, config=None, pad_id=0),
    ),
    "sampling.Sampler.stream": lambda: (
        sampler().stream, dict(SAMPLE, prompt="to be", config=None),
    ),
    "sampling.Sampler.score": lambda: (
        sampler().score, dict(text=" or not", context="to be", stride=4),
    ),
    "sampling.Sampler.next_token_probabilities": lambda: (
        sampler().next_token_probabilities, dict(prompt="to be", k=3, temperature=1.0),
    ),
    "sampling.SamplingConfig": lambda: (
        sampling.SamplingConfig, dict(SAMPLE, **BEAMS, pad_id=0),
    ),
    "sampling.SamplingConfig.from_generation_config": lambda: (
        sampling.SamplingConfig.from_generation_config,
        dict(path=folder() / "generation_config.json"),
    ),
    "sampling.apply_temperature": lambda: (
        sampling.apply_temperature, dict(logits=LOGITS, temperature=0.5),
    ),
    "sampling.top_k_filter": lambda: (sampling.top_k_filter, dict(logits=LOGITS, k=3)),
    "sampling.top_p_filter": lambda: (sampling.top_p_filter, dict(logits=LOGITS, p=0.5)),
    "sampling.min_p_filter": lambda: (sampling.min_p_filter, dict(logits=LOGITS, min_p=0.1)),
    "sampling.repetition_penalty": lambda: (
        sampling.repetition_penalty, dict(logits=LOGITS, ids=ROW, penalty=1.5, mask=SEEN),
    ),
    "sampling.no_repeat_ngram_filter": lambda: (
        sampling.no_repeat_ngram_filter, dict(logits=LOGITS, ids=ROW, n=2, mask=SEEN),
    ),
    "sampling.softmax": lambda: (sampling.softmax, dict(logits=LOGITS)),
    "sampling.log_softmax": lambda: (sampling.log_softmax, dict(logits=LOGITS)),
    "sampling.sample_from": lambda: (sampling.sample_from, dict(logits=LOGITS, rng=draws())),
    "sampling.beam_search": lambda: (
        sampling.beam_search,
        dict(model=gpt(), ids=ROW, mask=SEEN,
             options=sampling.SamplingConfig(max_new_tokens=2, num_beams=2), n_tokens=V,
             tokenizer=TOKENIZER),
    ),
    "sampling.log_probability": lambda: (
        sampling.log_probability, dict(model=gpt(), ids=IDS[:12], start=1, stride=4, n_tokens=V),
    ),
    **{
        f"sampling.{name}": lambda name=name: (
            getattr(sampling, name),
            dict(model=gpt(), ids=IDS[:12], stride=4, n_tokens=V, progress=False),
        )
        for name in ("perplexity", "token_log_probabilities")
    },
}  # fmt: skip

TRAINING: GoodCalls = {
    "training.TrainerConfig": lambda: (
        mg.TrainerConfig,
        {f.name: getattr(mg.TrainerConfig(max_steps=2), f.name)
         for f in dataclasses.fields(mg.TrainerConfig)},
    ),
    "training.Trainer": lambda: (
        mg.Trainer,
        dict(model=gpt(), train_tokens=IDS, val_tokens=IDS,
             config=mg.TrainerConfig(max_steps=2, progress=False, workers=1),
             tokenizer=TOKENIZER, callbacks=[training.Callback()]),
    ),
    "training.Trainer.save": lambda: (trainer().save, dict(path="run.npz")),
    "training.Trainer.resume": lambda: (
        mg.Trainer.resume,
        dict(path=folder() / "run.npz", train_tokens=IDS, val_tokens=None, model=None,
             callbacks=[]),
    ),
    "training.evaluate": lambda: (
        training.evaluate,
        dict(model=gpt(), tokens=IDS, batch_size=2, block_size=4, workers=1, progress=False,
             carry_state=False),
    ),
    "training.Mastery": lambda: (
        training.Mastery, dict(measure=float, level=0.9, interval=10),
    ),
    "training.History": lambda: (
        mg.History, dict(steps=[{"step": 1, "loss": 2.0}], evaluations=[]),
    ),
    "training.History.column": lambda: (history().column, dict(name="loss", records="steps")),
    "training.History.read": lambda: (mg.History.read, dict(path=folder() / "history.jsonl")),
    "training.History.write": lambda: (history().write, dict(path="history.jsonl")),
}  # fmt: skip

TASKS: GoodCalls = {
    "tasks.PromptFormat": lambda: (
        tasks.PromptFormat,
        dict(template="{input} {output}", separator=" ", instruction="to be"),
    ),
    "tasks.PromptFormat.completion": lambda: (tasks.PromptFormat().completion, dict(output="be")),
    "tasks.PromptFormat.prompt": lambda: (
        tasks.PromptFormat().prompt, dict(examples=[("to", "be")], query="or"),
    ),
    "tasks.few_shot": lambda: (
        tasks.few_shot,
        dict(sampler=sampler(), examples=[("to", "be")], query="or", max_new_tokens=2,
             prompt_format=tasks.PromptFormat("{input} {output}", " "), **CHOSEN),
    ),
    **{
        f"tasks.{name}": lambda name=name: (
            getattr(tasks, name),
            dict(sampler=sampler(), examples=[("to", "be")], query="or", labels=["be", "not"],
                 prompt_format=tasks.PromptFormat("{input} {output}", " "), normalize="tokens"),
        )
        for name in ("few_shot_classify", "few_shot_scores")
    },
    "tasks.Chat": lambda: (
        tasks.Chat,
        dict(sampler=mg.Sampler(gpt(vocab_size=chat_tokenizer().vocab_size), chat_tokenizer()),
             system=None, format=tasks.ChatFormat(chat_tokenizer()), max_new_tokens=2, min_p=0.1,
             repetition_penalty=1.1, **CHOSEN),
    ),
    **{
        f"tasks.Chat.{method}": lambda method=method: (
            getattr(
                tasks.Chat(
                    mg.Sampler(gpt(vocab_size=chat_tokenizer().vocab_size, block_size=64),
                               chat_tokenizer()),
                    max_new_tokens=2, seed=0,
                ),
                method,
            ),
            dict(text="tobe"),
        )
        for method in ("reply", "stream")
    },
    "tasks.ChatFormat": lambda: (tasks.ChatFormat, dict(tokenizer=chat_tokenizer())),
    "tasks.ChatFormat.check_text": lambda: (
        tasks.ChatFormat(chat_tokenizer()).check_text, dict(text="be", name="text"),
    ),
    "tasks.ChatFormat.encode": lambda: (
        tasks.ChatFormat(chat_tokenizer()).encode, dict(turns=[("user", "to"), ("assistant", "b")]),
    ),
    "tasks.ChatFormat.prompt": lambda: (
        tasks.ChatFormat(chat_tokenizer()).prompt, dict(turns=[("user", "to")]),
    ),
    "tasks.ChatML": lambda: (
        tasks.ChatML, dict(tokenizer=template_tokenizer(), default_system="a"),
    ),
    "tasks.ChatML.of_template": lambda: (
        tasks.ChatML.of_template, dict(tokenizer=template_tokenizer(), template="{{ 1 }}"),
    ),
    "tasks.ChatML.check_text": lambda: (
        tasks.ChatML(template_tokenizer()).check_text, dict(text="be", name="text"),
    ),
    "tasks.ChatML.encode": lambda: (
        tasks.ChatML(template_tokenizer()).encode, dict(turns=[("user", "a"), ("assistant", "b")]),
    ),
    "tasks.ChatML.prompt": lambda: (
        tasks.ChatML(template_tokenizer()).prompt, dict(turns=[("user", "a")]),
    ),
    "tasks.answer": lambda: (
        tasks.answer,
        dict(model=gpt(block_size=16), tokenizer=TOKENIZER, prompts=["to be"], max_new_tokens=2,
             num_beams=1, batch_size=2, answer_token="<|assistant|>", end_token="<|end|>",
             progress=False),
    ),
    "tasks.complete": lambda: (
        tasks.complete,
        dict(model=gpt(), prompts=[[1, 2]], end_id=3, max_new_tokens=2, num_beams=1, batch_size=2,
             tokenizer=TOKENIZER, progress=False),
    ),
    "tasks.chat_format_of": lambda: (tasks.chat_format_of, dict(tokenizer=chat_tokenizer())),
    "tasks.encode_answer": lambda: (
        tasks.encode_answer,
        dict(tokenizer=TOKENIZER, prompt="to", answer="be", answer_token="<|assistant|>",
             end_token="<|end|>", say_prompt=False),
    ),
    "tasks.encode_prompt": lambda: (
        tasks.encode_prompt, dict(tokenizer=TOKENIZER, prompt="to", answer_token="<|assistant|>"),
    ),
    "tasks.special_id": lambda: (tasks.special_id, dict(tokenizer=TOKENIZER, name="<|end|>")),
    "tasks.pair_batches": lambda: (
        tasks.pair_batches,
        dict(tokenizer=TOKENIZER, sources=["to"], targets=["be"], batch_size=1, seed=0,
             start_token="<|user|>", end_token="<|end|>"),
    ),
    "tasks.translate": lambda: (
        tasks.translate,
        dict(model=translator(), tokenizer=TOKENIZER, sources=["to"], max_new_tokens=2,
             num_beams=1, length_penalty=1.0, batch_size=2, start_token="<|user|>",
             end_token="<|end|>", progress=False),
    ),
}  # fmt: skip

TEMPLATES: GoodCalls = {  # need jinja2
    "tasks.ChatTemplate": lambda: (
        tasks.ChatTemplate,
        dict(tokenizer=template_tokenizer(), template="{{ messages[0].content }}",
             now=datetime(2026, 1, 1)),
    ),
}  # fmt: skip

DRAWN = dict(ax=None, theme="light")
PICTURES: GoodCalls = {  # need matplotlib
    "training.History.plot": lambda: (
        history().plot, dict(path="p.png", smoothing=0.9, **DRAWN),
    ),
    "training.plot_losses": lambda: (
        training.plot_losses, dict(histories=history(), path="p.png", smoothing=0.9, **DRAWN),
    ),
    "viz.Recorder": lambda: (viz.Recorder, dict(every=2)),
    "viz.Recorder.column": lambda: (
        recorder().column, dict(quantity="updates", layer="blocks.0"),
    ),
    "viz.attention": lambda: (
        viz.attention, dict(model=gpt(), tokenizer=TOKENIZER, text="to", layer=0, head=0, **DRAWN),
    ),
    "viz.attention_weights": lambda: (
        viz.attention_weights,
        dict(weights=np.eye(2), tokens=["a", "b"], keys=["a", "b"], title="t", **DRAWN),
    ),
    "viz.explore": lambda: (
        viz.explore,
        dict(model=gpt(), tokenizer=TOKENIZER, text="to", path="e.html",
             allowed_special=["<|end|>"], progress=False),
    ),
    "viz.Explorer.save": lambda: (viz.explore(gpt(), TOKENIZER, "to").save, dict(path="e.html")),
    "viz.graph": lambda: (
        viz.graph,
        (lambda x: dict(tensor=x.exp().sum(), names={"x": x}, gradients=False, direction="right",
                        **DRAWN))(ones(2)),
    ),
    "viz.layers": lambda: (viz.layers, dict(recorder=recorder(), quantity="weights", **DRAWN)),
    "viz.logit_lens": lambda: (
        viz.logit_lens, dict(model=gpt(), tokenizer=TOKENIZER, text="to", **DRAWN),
    ),
    "viz.neighbours": lambda: (
        viz.neighbours, dict(model=gpt(), tokenizer=TOKENIZER, tokens=["t", "o"], k=3, **DRAWN),
    ),
    "viz.next_token": lambda: (
        viz.next_token,
        dict(model=gpt(), tokenizer=TOKENIZER, prompt="to", k=3, temperature=1.0, top_k=5,
             top_p=0.9, min_p=0.01, repetition_penalty=1.1, **DRAWN),
    ),
    "viz.positions": lambda: (
        viz.positions, dict(source=np.eye(3), similarity=False, length=3, **DRAWN),
    ),
    "viz.rotary_angles": lambda: (
        viz.rotary_angles, dict(source=4, length=3, base=100.0, scaling=None, **DRAWN),
    ),
    "viz.schedules": lambda: (
        viz.schedules, dict(rates=lambda step: 0.1, steps=3, **DRAWN),
    ),
    "viz.token_labels": lambda: (
        viz.token_labels, dict(tokenizer=TOKENIZER, ids=[0, 1], longest=5),
    ),
}  # fmt: skip
