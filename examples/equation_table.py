"""Each equation and system of the documents: where it is, and what shows that it is right.

``examples/equations.md`` is this table as a page; ``equations.py --page`` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Five articles on GPT in Chinese, which the library follows and, where they err, corrects.
DOCUMENTS = {
    "D0": "on Karpathy's GPTs and a new way of computing",
    "D1": "on large language models since 2018: principles, and a listing in PyTorch",
    "D2": "on deep learning, from 2012 to GPT",
    "D3": "a GPT explained from its core to the code",
    "D4": "on Karpathy's talk about GPT-4",
}
# Chapters of the course by number, those that are there.
COURSE = Path(__file__).resolve().parent / "course"
NOTEBOOKS = {int(p.name[:2]): f"course/{p.name}" for p in sorted(COURSE.glob("[0-9]*.ipynb"))}


@dataclass(frozen=True)
class Equation:
    """An equation.

    Attributes:
        label: E1 to E15, as the library cites it.
        where: in the documents.
        text: the equation.
        source: the paper.
        functions: what computes it, by their names in the library or in examples/.
        test: file and name of the test that holds it to its plain form or to another library.
        chapter: of the course that explains it.
        errs: what a document has wrong, or leaves out.
    """

    label: str
    where: str
    text: str
    source: str
    functions: tuple[str, ...]
    test: str
    chapter: int
    errs: str = ""


@dataclass(frozen=True)
class System:
    """A system that the documents describe.

    Attributes:
        label: S1 to S9.
        where: in the documents.
        text: what it is.
        parts: of the library, by their names.
        scripts: in examples/, that run it.
        test: file and name of a test that runs it.
        errs: what a document has wrong, or leaves out.
    """

    label: str
    where: str
    text: str
    parts: tuple[str, ...]
    scripts: tuple[str, ...]
    test: str
    errs: str = ""


EQUATIONS = (
    Equation(
        "E1",
        "D0 §4.1, D1 §4.2, D2 §4, D4",
        "softmax(Q Kᵀ / √d_k) V",
        "Vaswani et al. 2017, §3.2.1",
        ("minigpt.functional.scaled_dot_product_attention", "minigpt.functional.plain.attention"),
        "tests/functional/test_attention.py::test_equals_plain",
        3,
    ),
    Equation(
        "E2",
        "D0 §4.3",
        "the same with numbers: Q = X W_Q, K = X W_K, V = X W_V of three tokens",
        "Vaswani et al. 2017, §3.2.1",
        ("attention_by_hand.three_tokens", "minigpt.functional.scaled_dot_product_attention"),
        "tests/examples/test_scripts.py::test_attention_by_hand",
        3,
        "The document takes Q from the first token, K from the second and V from the third, with "
        "one matrix for all, and adds up the rows. Right: Q, K and V are projections of all "
        "tokens, with a matrix each, and every token has an output row of its own.",
    ),
    Equation(
        "E3",
        "D1 §4.3",
        'the weights of "sat" over "The cat sat on the mat"',
        "Vaswani et al. 2017, §3.2.3",
        ("attention_by_hand.one_sentence", "minigpt.functional.attention_weights"),
        "tests/functional/test_attention.py::test_a_causal_query_sees_the_keys_up_to_its_own_place",
        3,
        "The document lets “sat” look at every word. In a GPT it sees “The”, “cat” and itself.",
    ),
    Equation(
        "E4",
        "D2 §4",
        "PE(pos, 2i) = sin(pos/10000^(2i/d)), PE(pos, 2i+1) = cos(pos/10000^(2i/d))",
        "Vaswani et al. 2017, §3.5",
        ("minigpt.functional.sinusoidal_positions",),
        "tests/functional/test_layers.py::test_sinusoidal_positions",
        4,
        "The document has the exponent (2i+1)/d in the cosine. Both of a pair share 2i/d. GPT-1 "
        "and GPT-2 learn their positions.",
    ),
    Equation(
        "E5",
        "D2 §4",
        "γ ∘ (x − μ)/√(σ² + ε) + β, over the features of each place",
        "Ba, Kiros & Hinton 2016",
        ("minigpt.functional.layer_norm", "minigpt.functional.plain.layer_norm"),
        "tests/functional/test_layers.py::test_layer_norm_equals_plain",
        4,
        "The document calls it position normalisation, and its formula is garbled. It does not "
        "bring the numbers into [−1, 1].",
    ),
    Equation(
        "E6",
        "D3 §4",
        "P(y|x) = ∏ₜ p(yₜ | y₍<ₜ₎, x); perplexity = exp(−mean log p)",
        "the chain rule of probability",
        ("minigpt.sampling.log_probability", "minigpt.sampling.perplexity"),
        "tests/sampling/test_scoring.py::test_the_chain_rule_adds_up",
        5,
        "The document calls it an assumption of independence. It is exact: each factor is given "
        "all the tokens before it.",
    ),
    Equation(
        "E7",
        "D4",
        "−mean log p(next token)",
        "Radford et al. 2018, §3.1",
        ("minigpt.functional.cross_entropy", "minigpt.functional.plain.cross_entropy"),
        "tests/functional/test_loss.py::test_equals_plain",
        5,
    ),
    Equation(
        "E8",
        "D4",
        "−mean log p(hidden token | all others)",
        "Devlin et al. 2018, §3.1",
        ("minigpt.functional.cross_entropy", "minigpt.datasets.masked"),
        "tests/datasets/batches/test_masking.py::test_80_10_10",
        8,
        "The document gives this objective to GPT. It is BERT's: an encoder that sees both sides "
        "guesses 15 % of the tokens, of which 80 % are masked, 10 % replaced and 10 % left.",
    ),
    Equation(
        "E9",
        "D0 §3.1, D3 §3.2",
        "Concat(head₁, …, head_h) W_O",
        "Vaswani et al. 2017, §3.2.2",
        (
            "minigpt.functional.multi_head_attention",
            "minigpt.functional.plain.multi_head_attention",
        ),
        "tests/functional/test_attention.py::test_multi_head_attention_equals_plain",
        3,
    ),
    Equation(
        "E10",
        "D0 §3.2, D1 §4.1",
        "f(x W₁ + b₁) W₂ + b₂, f = GELU",
        "Vaswani et al. 2017, §3.3; Hendrycks & Gimpel 2016",
        ("minigpt.nn.MLP", "minigpt.functional.gelu", "minigpt.functional.plain.feed_forward"),
        "tests/functional/test_layers.py::test_gelu_and_relu_equal_plain",
        4,
        "The document's listing uses ReLU, as Vaswani et al. do; GPT uses GELU, and GPT-2 the form "
        "of it with tanh. All three are there.",
    ),
    Equation(
        "E11",
        "D1 §4.1",
        "x + F(x)",
        "He et al. 2016, §3.2",
        ("minigpt.nn.Block", "minigpt.functional.plain.block"),
        "tests/nn/test_layers.py::test_block",
        4,
        "The document's listing has one residual around attention and feed-forward together, no "
        "layer norms, and no causal mask: deep stacks then train badly, and the model copies what "
        "it should predict (what_each_part_does.py).",
    ),
    Equation(
        "E12",
        "D0 §9.2",
        "next token ~ softmax(logits / temperature), of the likeliest tokens",
        "Fan et al. 2018, §5.1; Holtzman et al. 2020, §3.1",
        (
            "minigpt.sampling.filters.apply_temperature",
            "minigpt.sampling.filters.top_k_filter",
            "minigpt.sampling.filters.top_p_filter",
            "minigpt.sampling.plain.generate",
        ),
        "tests/sampling/test_filters.py::test_samples_follow_the_probabilities",
        6,
    ),
    Equation(
        "E13",
        "D0 §5.2",
        "θ ← θ − η·m̂/(√v̂ + ε) − η·λ·θ",
        "Kingma & Ba 2015; Loshchilov & Hutter 2019",
        ("minigpt.optim.AdamW", "minigpt.optim.plain.adamw"),
        "tests/optim/test_updates.py::test_adam_and_adamw_are_their_equations",
        5,
    ),
    Equation(
        "E14",
        "D0 §3.2, D3 §9",
        "x∘m/(1 − p), each mᵢ zero with probability p",
        "Srivastava et al. 2014",
        ("minigpt.functional.dropout", "minigpt.functional.plain.dropout"),
        "tests/functional/test_layers.py::test_dropout_drops_so_many_and_keeps_the_mean",
        5,
    ),
    Equation(
        "E15",
        "D3 §5, §9",
        "a mask over keys, together with the causal one; the last tokens of a text that is longer "
        "than the context",
        "Vaswani et al. 2017, §3.2.3",
        (
            "minigpt.functional.scaled_dot_product_attention",
            "minigpt.sampling.token_log_probabilities",
        ),
        "tests/models/test_gpt_masks.py::test_a_padded_batch_gives_what_each_sequence_gives_alone",
        6,
    ),
)

SYSTEMS = (
    System(
        "S1",
        "D0 §5",
        "an LSTM language model, trained by epochs and tested, beside a GPT of equal size",
        ("minigpt.models.LSTMLanguageModel",),
        ("lstm_and_gpt.py",),
        "tests/examples/test_lstm_and_gpt.py::test_it_trains_both_compares_them_and_draws",
        "The document calls it a GPT. It has no attention: it is a recurrent network.",
    ),
    System(
        "S2",
        "D0 §2–3",
        "the GPT: embedding, positions, masked attention, feed-forward, norms, dropout, logits",
        ("minigpt.models.GPT", "minigpt.functional.plain.gpt"),
        ("gpt_on_one_page.py", "train.py"),
        "tests/parity/test_gpt.py::test_logits_loss_and_first_gradients",
    ),
    System(
        "S3",
        "D1 §5.2",
        "a decoder of blocks with ReLU and post-norm, as Vaswani et al. have it",
        ("minigpt.nn.Block", "minigpt.nn.BlockConfig"),
        ("what_each_part_does.py",),
        "tests/parity/test_encoder.py::test_block",
        "The document's listing lacks positions, layer norms, the causal mask, and one of the two "
        "residuals of each block.",
    ),
    System(
        "S4",
        "D2 §4, D4",
        "published GPT-2 weights and their tokenizer: load, encode, write, decode",
        ("minigpt.models.GPT.from_pretrained", "minigpt.load_tokenizer"),
        ("gpt2.py",),
        "tests/parity/test_gpt2_pretrained.py::test_logits",
    ),
    System(
        "S5",
        "D1 §3.2, D3 §3.1, §5",
        "an encoder–decoder that translates, a token at a time",
        ("minigpt.models.EncoderDecoder", "minigpt.tasks.translate"),
        ("translate.py",),
        "tests/parity/test_seq2seq.py::test_the_whole_model",
        "The document's listing feeds ids without an embedding, and its decoder never reads what "
        "the encoder gave. And a GPT is a decoder only: it has no encoder.",
    ),
    System(
        "S6",
        "D0 §9.1, D1 §2.3, D3 §2.2, D4",
        "pre-training by both objectives, then fine-tuning on few labels",
        ("minigpt.models.TextClassifier", "minigpt.models.Encoder"),
        ("masked_names.py", "fine_tune.py"),
        "tests/examples/test_fine_tuning.py::test_fine_tune",
    ),
    System(
        "S7",
        "D0 §6, D1 §6, D2 §5, D3 §6, D4",
        "uses: stories and poems, code, dialogue, translation, questions, summaries, classes",
        ("minigpt.tasks.Chat", "minigpt.tasks.answer"),
        ("stories.py", "poems.py", "write_code.py", "chat.py", "answer_questions.py",
         "summarise.py", "translate.py", "fine_tune.py"),
        "tests/examples/test_tasks_text_to_text.py::test_answer_questions",
    ),
    System(
        "S8",
        "D4",
        "four programs: the model, training, evaluation, writing",
        ("minigpt.training.Trainer", "minigpt.training.evaluate", "minigpt.sampling.Sampler"),
        ("train.py", "evaluate.py", "generate.py"),
        "tests/examples/test_scripts.py::test_train_evaluate_generate",
    ),
    System(
        "S9",
        "D1 §8.2, D4",
        "a look inside: attention maps, and what each layer would predict",
        ("minigpt.models.GPT.attention_weights", "minigpt.models.GPT.hidden_states"),
        ("look_inside.py",),
        "tests/models/test_gpt.py::test_attention_weights",
    ),
)  # fmt: skip
