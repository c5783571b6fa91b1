"""What takes more than it should, on purpose; each with its reason."""

from __future__ import annotations

RECORD = "a record that the library makes, for reading"
ABSTRACT = "to be overridden; what overrides it is called here"
INNER = "called at every step by what has checked its own arguments"
BASE = "a part of classes that are called here"

# Callables that check nothing.
UNCHECKED = {
    "nn.Adapter": RECORD,
    "checkpoints.Checkpoint": RECORD,
    "checkpoints.LoadedModel": RECORD,
    "metrics.BleuScore": RECORD,
    "metrics.RougeScore": RECORD,
    "sampling.Hypothesis": RECORD,
    "sampling.Score": RECORD,
    "datasets.Corpus": RECORD,
    "drawing.Theme": RECORD,
    "drawing.Theme.line": INNER,
    "drawing.Lettering": INNER,
    "drawing.Lettering.style": INNER,
    "drawing.axes_for": INNER,
    "drawing.breadth": INNER,
    "drawing.check_canvas": "it is a check itself: every picture's ax and theme go through it",
    "drawing.dress": INNER,
    "drawing.figure_of": INNER,
    "drawing.legend": INNER,
    "drawing.new_figure": INNER,
    "functional.RotaryScaling.scaled": INNER,
    "functional.rotation_at": INNER,
    "Tensor.like": "what operations put their results in",
    "nn.Block.around": INNER,
    "nn.KeyValueCache.advance": INNER,
    "nn.ConvolutionCache.with_last": INNER,
    "nn.KeyValueCache.extend": INNER,
    "models.GPT.embed": INNER,
    "models.GPT.tied_logits": INNER,
    "sampling.SamplingConfig.filter": INNER,
    "sampling.SamplingConfig.known_stop_tokens": INNER,
    "sampling.SamplingConfig.process": INNER,
    "sampling.SamplingConfig.row_generators": INNER,
    "datasets.Sequences": BASE,
    "datasets.Sequences.count": INNER,
    "datasets.Sequences.padded": INNER,
    "datasets.Batches": BASE,
    "datasets.ExampleBatches": BASE,
    "datasets.TokenWriter": "made by token_writer, which opens the file",
    "optim.Optimizer": BASE,
    **{f"optim.{kind}.is_divisible": INNER for kind in ("Optimizer", "SGD", "Adam", "Muon")},
    "optim.Optimizer.step": "its argument is how the trainer shares work among threads",
    "nn.Module.forward": ABSTRACT,
    "tokenizers.Tokenizer.decode": ABSTRACT,
    "tokenizers.Tokenizer.encode": ABSTRACT,
    "tokenizers.Tokenizer.encode_array": ABSTRACT,
    "tokenizers.Tokenizer.encode_arrays": ABSTRACT,
    "tokenizers.Tokenizer.encode_iterable": ABSTRACT,
    "tokenizers.Tokenizer.from_dict": ABSTRACT,
    "models.Predictor.dropout_generator": INNER,
    "models.Predictor.logits_and_targets": ABSTRACT,
    "models.Predictor.loss": ABSTRACT,
    "models.Predictor.loss_weight": "its arguments are those of loss, which is called here",
    "models.Predictor.metrics": "its arguments are those of loss, which is called here",
    "training.Callback.on_checkpoint": ABSTRACT,
    "training.Callback.on_evaluation": ABSTRACT,
    "training.Callback.on_gradients": ABSTRACT,
    "training.Callback.on_step": ABSTRACT,
    "training.History.from_arrays": "reads what to_arrays wrote; load_checkpoint refuses the rest",
    "training.Ranks": "made by Ranks.of_this_job, which takes nothing",
    **{
        f"training.Ranks.{method}": INNER
        for method in ("agree", "any", "by_itself", "gathered", "on_first", "sum", "total", "wait")
    },
    "training.Trainer.print": "takes whatever print takes",
    "tasks.ChatML.pieces": INNER,
    "tasks.ChatTemplate.pieces": INNER,
    "viz.Explorer": "made by explore",
    "viz.Recorder.on_gradients": "called by the trainer",
    "training.Mastery.on_step": "called by the trainer",
    "viz.Recorder.on_step": "called by the trainer",
}

# Arguments that take more than their annotations say, or whose errors are not the library's.
WHATEVER = "y = x, whatever x is"
CACHE = "made by the model's new_cache, and read for every token"
ONE_TEXT = "one text is as good as a list of it"
BY_LOSS = "handed on to loss, which checks them"
UNREAD = "an LSTM has no use for it, and takes it as a GPT does"
SHARED = "how the trainer shares work among threads"
LENIENT: dict[str, dict[str, str]] = {
    "functional.multi_head_attention": {"overwrite_qkv": "for the attention layer, which owns qkv"},
    "metrics.bits_per_byte": {"total_nll_nats": "a loss may be infinite, and then the result is"},
    "metrics.perplexity_of": {"loss": "a loss may be infinite, and then the result is"},
    "models.EncoderDecoder.logits_and_targets": {"target_out": BY_LOSS},
    "models.GPT.forward": {"cache": CACHE},
    "models.GPT.logits_and_targets": {"targets": BY_LOSS},
    "models.LSTMLanguageModel.forward": {"cache": CACHE, "positions": UNREAD},
    "models.LSTMLanguageModel.logits_and_targets": {"targets": BY_LOSS},
    "models.LSTMLanguageModel.new_cache": {"capacity": UNREAD},
    "nn.Block.forward": {"cache": CACHE},
    "nn.CausalSelfAttention.forward": {"cache": CACHE},
    "nn.CrossAttention.forward": {"cache": CACHE},
    "nn.DecoderBlock.forward": {"cache": CACHE},
    "nn.Identity.forward": {"x": WHATEVER},
    "nn.NoPositions.forward": {"x": WHATEVER, "positions": WHATEVER},
    "nn.Module.named_modules": {"prefix": "of its own recursion"},
    "operations.getitem": {"index": "NumPy's IndexErrors say best what an index may be"},
    "operations.masked_fill": {"value": "−inf is what it is mostly for"},
    "optim.clip_grad_norm": {
        "apply": SHARED,
        "max_norm": "inf measures the norm and clips nothing",
    },
    **{
        f"sampling.Sampler.{method}": {"max_new_tokens": "None: as config has it"}
        for method in ("generate", "generate_ids", "stream")
    },
    **{
        f"tokenizers.{kind}.{method}": {"iterable": ONE_TEXT}
        for kind in ("BPETokenizer", "CharTokenizer")
        for method in ("encode_arrays", "encode_iterable")
    },
}

# What else an error may call an argument: by the name of the argument, the callable or its room.
ALSO = {
    "operations": ("operand", "tensors do not mix"),
    "operations.masked_fill": ("where of shapes",),
    "memory_mask": ("mask",),
    "iterable": ("text",),
    "prompt": ("text",),
    "answer": ("text", "output"),
    "tokens": ("text",),
    "answer_token": ("special token",),
    "start_token": ("special token",),
    "end_token": ("special token",),
    "tasks.special_id": ("special token",),
    "end_id": ("pad_id",),
    "viz.rotary_angles": ("d",),
    "context": ("text",),
    "query": ("text",),
    "examples": ("text",),
    "prompt_format": ("text",),
    "labels": ("output",),
    "steps": ("records",),
    "evaluations": ("records",),
    "p": ("top_p",),
    "k": ("top_k",),
    "penalty": ("repetition_penalty",),
    "mask": ("attention_mask",),
    "target_in": ("target_ids",),
    "target_out": ("targets", "every target"),
    "targets": ("every target",),
    "config": ("the configuration",),
    "n_classes": ("n_out",),
    "text_or_iterable": ("text",),
    "special_tokens": ("special token", "special tokens"),
    "data": ("description", "the tokenizer's keys"),
}
# Warnings that are right: NumPy's own, of a division by zero that was asked for.
WARNINGS = {"operations.divide": "divide by zero"}
