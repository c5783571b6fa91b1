"""The assignment of examples/build_your_own: right solutions pass, and wrong ones are put in words."""

from __future__ import annotations

import doctest
import importlib
import re
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "examples" / "build_your_own"
PLAIN, BY_HAND = HERE / "plain_solution.py", HERE / "numpy_solution.py"
SOURCE = BY_HAND.read_text(encoding="utf-8")
ROW = "axis=-1, keepdims=True"

# step: (what is replaced in the right solution, by what, and what the reader is told)
MISTAKES: dict[str, list[tuple[str, str, str]]] = {
    "softmax": [
        (f"e.sum({ROW})", "e.sum(axis=0, keepdims=True)", "sums over axis 0 are 1, and rows sum to"),
        (f"e.sum({ROW})", "e.sum(axis=1, keepdims=True)", "sums over axis 1 are 1, and rows sum to"),
        (f"e.sum({ROW})", "e.sum()", "all 24 numbers together sum to 1, and each row should"),
        (f"e / e.sum({ROW})", "e", r"rows sum to [\d.]+: did you divide by the sum over the last"),
        (f" / e.sum({ROW})", " / 2", r"rows sum to [\d.]+: did you divide by the sum over the last"),
        (f"x - x.max({ROW})", "x", "a score of 1000 gives NaN.*Subtract the largest"),
        (f"x - x.max({ROW})", "x - 1000", "ordinary scores give NaN.*not a constant"),
        (f"x - x.max({ROW})", "x - x.max()", "gives NaN.*largest score of each row"),
        ("np.exp(x - x", "np.exp(-x + x", "the exponent has the wrong sign"),
        (f"e = np.exp(x - x.max({ROW}))", "e = x", "divided by their own sum: exp comes first"),
        ("e = np.exp(x -", "x -= 0.1; e = np.exp(x -", "it writes into its argument x"),
        (f"return e / e.sum({ROW})", "pass", "returns nothing: is the `return` missing"),
        (f"    return e / e.sum({ROW})", "    return np.log(e / e.sum(axis=-1, keepdims=True))",
         "this is the logarithm of the probabilities"),
        (f"e.sum({ROW})", "e.sum(axis=-1)", "ValueError: operands could not be broadcast"),
    ],
    "cross_entropy": [
        ("-log_p[is_target].mean()", "log_p[is_target].mean()", "the sign: .* the loss is −log p"),
        ("log_p[is_target].mean()", "log_p[is_target].sum()", "it is the sum over all targets"),
        ("log_p[is_target].mean()", "log_p[is_target].reshape(targets.shape)", "one loss for each"),
        ("log_p[is_target].mean()", "np.exp(log_p[is_target]).mean()", "the logarithm is missing"),
        ("log_p[is_target].mean()", "np.log(np.exp(log_p[is_target]).mean())", "−log of the mean"),
        ("log_p[is_target].mean()", "log_p.mean()", "the mean runs over all V probabilities"),
        ("loss = -log_p[is_target].mean()", "loss = -logits[is_target].mean()", "logits .* averaged"),
        ("loss = -log_p[is_target]", "loss = -np.log2(softmax(logits))[is_target]", "base 2"),
        ("loss = -log_p[is_target]", "loss = -np.log(softmax(logits))[is_target]",
         r"cost inf.*Compute log p as x − max"),
        (" / targets.size", "", "the mean over the 6 targets divides the derivative too"),
        (" / targets.size", " / logits.size", "divided by all B·T·V numbers"),
        (" / targets.size", " / len(targets)", "B·T, not over the B"),
        (" - is_target)", ")", "1 is taken off: p − 1"),
        ("softmax(logits) - is_target", "is_target - softmax(logits)", "the sign: p − 1 at the target"),
        ("(softmax(logits) - is_target)", "is_target * (softmax(logits) - 1)", "it is not 0 elsewhere"),
        ("dloss * (", "0.7 * (", "dlogits stays the same when dy doubles"),
        ("return loss, backward", "return loss", "it returns its value only: end with `return loss"),
        ("return loss, backward", "return loss, backward(1.0)", "should be the function backward"),
    ],
    "linear": [
        ("x.reshape(-1, x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])", "x.swapaxes(-1, -2) @ dy",
         r"one dW for each row of the batch"),
        ("x.reshape(-1, x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])",
         "(x.swapaxes(-1, -2) @ dy).reshape(-1, *W.shape).mean(0)", "of the batch are averaged"),
        ("dy.reshape(-1, dy.shape[-1])\n", "dy.reshape(-1, dy.shape[-1]) / len(dy.reshape(-1, 6))\n",
         "times what it should be, everywhere"),
        ("dy @ W.T", "dy @ W", "ValueError: matmul"),
        ("return dx, dW", "return dx, dW.T", r"transposed"),
        ("return dx, dW", "return dW, dx", "dx is what dW should be: return dx, dW"),
        ("return dx, dW", "return dW", r"backward returns one result, and should return dx, dW"),
        ("dx = dy @ W.T", "dx = -dy @ W.T", "dx has the wrong sign everywhere"),
        ("dx = dy @ W.T", "dx = np.ones_like(dy) @ W.T", "it has no dy in it"),
        ("y = x @ W", "y = x @ (2 * W)", "y is 2 times what it should be"),
    ],
    "embedding": [
        ("np.add.at(dW, ids, dy)", "dW[ids] += dy", "keeps one of its gradients only"),
        ("np.add.at(dW, ids, dy)", "dW[ids] = dy", "keeps one of its gradients only"),
        ("return dW", "return dy", "it is dy itself"),
        ("np.add.at(dW, ids, dy)", "np.add.at(dW, ids, 1.0)", "counts how often"),
        ("np.add.at(dW, ids, dy)",
         "np.add.at(dW, ids, dy); dW /= np.bincount(ids.ravel(), minlength=7)[:, None].clip(1)",
         "the mean of n gradients: it gets their sum"),
        ("dW = np.zeros_like(W)", "dW = W", "it begins as W"),
        ("y = W[ids]", "y = W[:, ids]", "IndexError"),
        ("y = W[ids]", "y = W.T[:, ids]", "y has shape .* exchanged"),
    ],
    "gelu": [
        ("1 + t)\n\n", "t)\n\n", "the 1 \\+ before tanh is missing"),
        ("y = 0.5 * x", "y = x", "the factor ½ is missing"),
        ("y = 0.5 * x * (1 + t)", "y = np.maximum(x, 0)", "this is ReLU"),
        ("y = 0.5 * x * (1 + t)", "y = 0.5 * (1 + t)", "the factor x before"),
        ("slope * (x + 0.044715 * x * x * x)", "slope * x + 0.044715 * x * x * x", "both terms of u"),
        ("slope * (x + 0.044715 * x * x * x)", "slope * (x + 0.044715 * x * x)", "u has x³"),
        ("math.sqrt(2 / math.pi)", "math.sqrt(2) / math.pi", "the square root of the quotient"),
        ("y = 0.5 * x * (1 + t)", "y = x / (1 + np.exp(-x))", "SiLU"),
        ("y = 0.5 * x * (1 + t)",
         "y = 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))", "this is the exact form"),
        (" + 0.5 * x * (1 - t * t) * du", "", "only the first factor is differentiated"),
        ("0.5 * (1 + t) + 0.5 * x * (1", "0.5 * x * (1", "first term of the product rule is missing"),
        ("(1 - t * t) * du", "(1 - t * t)", "u′, .*, is missing"),
        ("1 + 3 * 0.044715", "1 + 0.044715", "its 3 is missing"),
        ("(1 - t * t)", "(1 - t)", "here it is 1 − tanh"),
        ("return dy * (0.5", "return (0.5", "dy is missing"),
    ],
    "layer_norm": [
        (ROW, "axis=0, keepdims=True", "run over the batch, axis 0"),
        (ROW, "axis=1, keepdims=True", "run over the places, axis 1"),
        (f"x.var({ROW})", f"x.var({ROW}, ddof=1)", "divided by C − 1"),
        (f"np.sqrt(x.var({ROW}) + 1e-5)", f"x.var({ROW}) + 1e-5", "divided by the variance"),
        (f"np.sqrt(x.var({ROW}) + 1e-5)", f"np.sqrt(x.var({ROW}))", "ε = 1e-5 is missing"),
        (f"np.sqrt(x.var({ROW}) + 1e-5)", f"(np.sqrt(x.var({ROW})) + 1e-5)",
         "ε is added to the standard deviation"),
        ("(x - mean) / std", "x / std", "the mean is not subtracted"),
        ("y = gain * x_hat", "y = x_hat", "the gain is missing: y = γ ∘ x̂"),
        ("y = gain * x_hat", "y = gain + x_hat", "the gain is added"),
        (" - level - along", "", "μ and σ are treated as constants"),
        (" - along", "", "σ is treated as a constant"),
        (" - level", "", "μ is treated as a constant"),
        ("along) / std", "along)", "not divided by the standard deviation"),
        ("dx_hat = dy * gain", "dx_hat = dy", "the gain is missing: dx̂ = dy ∘ γ"),
        (".reshape(-1, x.shape[-1]).sum(axis=0)", "", "one gradient for each place"),
        (".sum(axis=0)", ".mean(axis=0)", "averaged over the places"),
        ("(dy * x_hat)", "(dy * x)", "should be x̂, as in y"),
        ("(dy * x_hat)", "dy", "it is the sum of dy"),
        ("return dx, dgain", "return dx", "backward returns one result, and should return dx, dgain"),
    ],
    "attention": [
        ("scores = np.where(past, scores, -np.inf)", "", "the mask is missing"),
        ("np.tri(T, dtype=bool)", "np.tri(T, dtype=bool).T", "the mask is upside down"),
        ("np.tri(T, dtype=bool)", "np.tri(T, k=-1, dtype=bool)", "a token must see itself too"),
        ("np.where(past, scores, -np.inf)", "np.where(past, scores, 0)", "hidden scores become 0"),
        ("A = softmax(scores)", "A = softmax(q @ k.swapaxes(-1, -2) * scale) * past",
         "hidden weights become 0 after softmax"),
        ("scale = 1 / math.sqrt(d)", "scale = 1", "the scores are not divided by √d"),
        ("scale = 1 / math.sqrt(d)", "scale = 1 / d", "divided by d, and should be by √d"),
        ("scale = 1 / math.sqrt(d)", "scale = 1 / math.sqrt(T)", "divided by √T"),
        ("A = softmax(scores)", "A = softmax(scores.swapaxes(-1, -2)).swapaxes(-1, -2)",
         "softmax runs over the queries"),
        ("A = softmax(scores)", "A = np.where(past, scores, 0)", "softmax is missing"),
        (f" - (dA * A).sum({ROW})", "", "and the sum is missing"),
        ("A * (dA - (dA * A).sum(axis=-1, keepdims=True))", "dA", "softmax's derivative is missing"),
        ("(dA * A).sum(axis=-1", "(dA * A).sum(axis=-2", "the sum .* runs over the queries"),
        ("keepdims=True)) * scale", "keepdims=True))", "dq is wrong: the factor 1/√d is missing"),
        ("dS.swapaxes(-1, -2) @ q", "dS @ q", "dS must be transposed"),
        ("dv = A.swapaxes(-1, -2) @ dy", "dv = A @ dy", "A must be transposed"),
        ("dv = A.swapaxes(-1, -2) @ dy", "dv = dy", "it is dy itself"),
        ("return dq, dk, dv", "return dq, dv, dk", "dk is what dv should be: return dq, dk, dv"),
        ("k.swapaxes(-1, -2)", "k.T", "line .* of attention.*ValueError: matmul"),
    ],
    "multi_head_attention": [
        ("x.reshape(B, T, n_head, C // n_head).swapaxes(1, 2)",
         "x.reshape(B, n_head, T, C // n_head)", "reshaped to \\(B, h, T, d\\) at once"),
        ("x.reshape(B, T, n_head, C // n_head).swapaxes(1, 2)",
         "x.reshape(B, T, n_head, C // n_head)", "heads attend to heads"),
        ("x.swapaxes(1, 2).reshape(B, T, C)", "x.reshape(B, T, C)", "swapped back"),
        ("x.swapaxes(1, 2).reshape(B, T, C)", "x", "the heads' outputs are still apart"),
        ("x.reshape(B, T, n_head, C // n_head).swapaxes(1, 2)", "x[:, None]",
         "one attention over all features"),
        ("return merge(dq), merge(dk), merge(dv)", "return dq, dk, dv", "still apart by heads"),
        ("back(split(dy))", "back(dy)", "ValueError"),
        ("return merge(dq), merge(dk), merge(dv)",
         "return dq.reshape(B, T, C), dk.reshape(B, T, C), dv.reshape(B, T, C)", "swapped back"),
        ("attention(split(q), split(k), split(v))", "attention(split(k), split(q), split(v))", "y\\["),
    ],
    "block": [
        ("x1 = x + a", "x1 = a", "the first residual connection is missing"),
        ("y = x1 + f", "y = f", "the second residual connection is missing"),
        ("y = x1 + f", "y = x + f", "what attention added is lost"),
        ("layer_norm(x1, W[\"norm 2\"])", "x1, norm1_back", "the second layer norm is missing"),
        ("layer_norm(x, W[\"norm 1\"])", "x, None", "the first layer norm is missing"),
        ("layer_norm(x1, W[\"norm 2\"])", "layer_norm(x, W[\"norm 2\"])", "the x from before attention"),
        ("y = x1 + f", "y = x1", "the MLP is missing"),
        ("dx1 = dx1 + dy", "", r"W\['out'\] is wrong: the gradient that goes past the MLP is missing"),
        ("dx1 = dx1 + dy", "dx1 = dy", "that comes back through the MLP is missing"),
        ("dx = dx + dx1", "", "dx is wrong: the gradient that goes past attention is missing"),
        ("dx = dx + dx1", "dx = dx1", "comes back through attention is missing"),
        ("dhq + dhk + dhv", "dhq", "here only that through query"),
        ("return dx, dW", "return dx", "and a dict of the gradients"),
        ("dhv, dW[\"value\"]", "dhv, dW[\"values\"]", "the dict of gradients lacks value"),
        ("up_back(gelu_back(dg))", "up_back(dg)", "must go back through gelu first"),
    ],
    "next_token": [
        ("logits.argmax()", "logits.argmin()", "argmin takes the least likely"),
        ("if temperature == 0:\n        return int(logits.argmax())", "", "line .* of next_token, .*ValueError: Probabilities contain NaN"),
        ("logits / temperature", "logits", "the temperature changes nothing"),
        ("logits / temperature", "logits * temperature", "the logits are multiplied"),
        ("rng.choice(len(p), p=p / p.sum())", "p.argmax()", "it draws token 1 40 times of 40: draw from p"),
        ("rng.choice(len(p), p=p / p.sum())", "rng.choice(len(p))", "all tokens come equally often"),
        ("rng.choice(len(p), p=p / p.sum())", "np.random.choice(len(p), p=p / p.sum())", "same rng"),
        ("np.sort(z)[-top_k]", "np.sort(z)[top_k - 1]", "token . is .*top_k=2, and should be about"),
        ("z >= least", "z <= np.sort(z)[top_k - 1]", "here the k least likely do"),
        ("z >= least", "np.arange(5) < top_k", "the first k tokens stay"),
        ("z >= least", "z > least", "only the likeliest is drawn"),
        ("least = np.sort(z)[-top_k]", "least = np.sort(z)[-top_k - 1]", "three tokens stay"),
        ("        z = np.where(z >= least, z, -np.inf)\n", "", "top_k is not used"),
        ("np.where(z >= least, z, -np.inf)", "np.where(z >= least, 0.0, -np.inf)", "equally often"),
        (" and top_k < len(z)", "", "IndexError"),
        ("return int(rng.choice(len(p), p=p / p.sum()))", "return p", "and should return an int"),
        ("p = softmax(z)", "p = np.sort(softmax(z))", "those are sorted"),
        ("p = softmax(z)", "p = softmax(-z)", "likelier tokens come more rarely"),
        ("int(rng.choice(len(p), p=p / p.sum()))", "int((p.cumsum() < rng.random()).sum()) + 1",
         "there are 0, …, 4"),
    ],
    "adamw": [
        ("m = 0.9 * m + 0.1 * g", "m = 0.1 * m + 0.9 * g", "β₁ and 1 − β₁ are exchanged"),
        ("m = 0.9 * m + 0.1 * g", "m = 0.9 * m + g", "the 1 − β₁ before g is missing"),
        ("0.01 * g * g", "0.01 * g", "here it averages g"),
        ("v = 0.99 * v + 0.01 * g * g", "v = 0.9 * v + 0.1 * g * g", "β₁ is in it, which is m's"),
        ("m_hat = m / (1 - 0.9**t)\n    v_hat = v / (1 - 0.99**t)", "m_hat, v_hat = m, v",
         "are not corrected for having begun at 0"),
        ("m_hat = m / (1 - 0.9**t)", "m_hat = m", "only v is corrected"),
        ("v_hat = v / (1 - 0.99**t)", "v_hat = v", "only m is corrected"),
        ("m_hat = m", "m = m_hat = m", "it is m̂: return m as it is"),
        ("**t)", "**(t + 1))", "t \\+ 1 stands where t should"),
        ("theta - lr * m_hat", "theta + lr * m_hat", "goes up the slope"),
        ("np.sqrt(v_hat)", "v_hat", "the square root is missing"),
        (" - lr * weight_decay * theta", "", "the decay is missing"),
        ("- lr * weight_decay", "- weight_decay", "not multiplied by the learning rate"),
        ("m = 0.9 * m + 0.1 * g", "g = g + weight_decay * theta; m = 0.9 * m + 0.1 * g",
         "the decay is in the gradient: in AdamW it is apart"),
        (" + 1e-8", "", "becomes NaN"),
        ("    return theta, m, v", "    return theta", "and should return theta, m, v"),
        ("    m = 0.9 * m + 0.1 * g", "    m *= 0.9; m += 0.1 * g", "writes into its argument m"),
        ("lr * m_hat", "lr * g", "the gradient itself is the direction"),
    ],
    "train_step": [
        ("g = g / max(1.0, norm)", "pass", "the gradient is not clipped"),
        ("max(1.0, norm)", "max(1.0, math.sqrt((g * g).sum()))", "a norm of its own"),
        ("max(1.0, norm)", "norm", "although that is below 1"),
        ("g = g / max(1.0, norm)", "g = g.clip(-1, 1)", "each number is clipped"),
        ("max(1.0, norm)", "max(1.0, norm**2)", "the square of its norm"),
        ("W[name], m, v = adamw(W[name], g", "W[name], m, v = adamw(W[name], -g", "up the slope"),
        ("0.1 if g.ndim == 2 else 0.0", "0.1", "gains \\(one axis\\) have none"),
        ("0.1 if g.ndim == 2 else 0.0", "0.0", "the decay of matrices is missing"),
        ("m, v, t, lr, decay)", "m, v, t + 1, lr, decay)", "t \\+ 1 is handed on"),
        ("m, v, t, lr, decay)", "m, v, 1, lr, decay)", "t = 1 is handed on"),
        ("moments[name] = m, v", "pass", "it is that from before the step: keep the new one"),
        ("W[name], m, v = adamw", "_, m, v = adamw", "it has not moved: put what adamw returned"),
        ("    return loss\n", "    return 2 * loss\n", "should return the loss of the batch, 1.25"),
        ("(W, ids, targets)\n    norm", "(W, targets, ids)\n    norm", "in this order"),
        ("    norm = ", "    loss, gradients = loss_and_gradients(W, ids, targets)\n    norm = ",
         "called 2 times in a step"),
    ],
}  # fmt: skip  # noqa: E501


@pytest.fixture(autouse=True)
def beside_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def module_of(source: str, name: str = "a_solution") -> Any:
    module = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def with_mistake(step: str, right: str, wrong: str) -> Any:
    """The solution with something replaced in one function."""
    start = SOURCE.index(f"def {step}(")
    end = SOURCE.find("\n\n\ndef ", start)
    function = SOURCE[start : end if end >= 0 else len(SOURCE)]
    assert right in function, f"{step}: {right!r} is not in the solution"
    return module_of(SOURCE.replace(function, function.replace(right, wrong)))


def complaint(step: str, solution: Any) -> str | None:
    check, steps = importlib.import_module("check"), importlib.import_module("steps")
    (of_name,) = [s for s in steps.STEPS if s.name == step]
    return check.complaint(of_name, solution)


@pytest.mark.parametrize("file", [PLAIN, BY_HAND], ids=lambda file: file.stem)
@pytest.mark.parametrize("step", MISTAKES)
def test_right_solutions_pass(step, file):
    assert complaint(step, module_of(file.read_text(encoding="utf-8"))) is None


@pytest.mark.parametrize("step", MISTAKES)
def test_mistakes_are_put_in_words(step):
    assert len(MISTAKES[step]) >= 3
    unlike = []
    for right, wrong, words in MISTAKES[step]:
        said = complaint(step, with_mistake(step, right, wrong))
        if said is None or not re.search(words, said):
            unlike.append(f"{right!r} -> {wrong!r}\n  is told {said!r}\n  expected {words!r}")
    assert not unlike, "\n".join(unlike)


def test_empty_functions_are_pointed_to_their_pages(run_check, folder):
    code, out, err = run_check("all")
    assert code == 1 and err == ""
    assert out.count("it is empty: read its page") == 12 and "0 of 12 steps pass" in out
    steps = importlib.import_module("steps").STEPS
    assert [step.name for step in steps] == list(MISTAKES)
    for step in steps:
        page = (FOLDER / "pages" / step.page).read_text(encoding="utf-8")
        assert page.startswith(f"# {step.number}. {step.name}\n") and f"pages/{step.page}" in out
        assert f"check.py {step.number}" in page and "minigpt/" in page


def test_the_examples_of_the_pages():
    solution = module_of(BY_HAND.read_text(encoding="utf-8"))
    for page in sorted((FOLDER / "pages").glob("*.md")):
        found = doctest.testfile(
            str(page),
            module_relative=False,
            globs=dict(vars(solution)),
            optionflags=doctest.NORMALIZE_WHITESPACE,
            encoding="utf-8",
        )
        assert found.attempted and not found.failed, page.name


@pytest.fixture
def run_check(run):
    return lambda arguments="": run("build_your_own/check", arguments)


def test_the_first_step_that_does_not_pass_is_the_next(run_check, folder):
    half = SOURCE.replace("x.var(axis=-1, keepdims=True) + 1e-5", "x.var(axis=-1, keepdims=True)")
    Path("mine.py").write_text(half, encoding="utf-8")
    code, out, err = run_check("--file mine.py")
    assert code == 1 and err == "" and out.count("✓") == 5 and out.count("✗") == 1
    assert "✗  6 layer_norm" in out
    assert out.endswith("5 of 12 steps pass; the next is layer_norm: pages/06_layer_norm.md\n")
    code, out, _ = run_check("9 --file mine.py")
    assert code == 1 and "it is built of 6 layer_norm, not yet right" in out
    assert run_check("softmax --file mine.py")[:2] == (0, "✓  1 softmax\n")


def test_all_pass_and_the_reader_is_sent_to_write(run_check, folder):
    code, out, err = run_check(f"--file {BY_HAND}")
    assert (code, err) == (0, "") and out.count("✓") == 12
    assert "all twelve pass" in out and "check.py write" in out


def test_the_readers_functions_train_a_gpt_and_write(run_check, folder, monkeypatch):
    given = importlib.import_module("writing_gpt")
    monkeypatch.setattr(given, "WIDTH", 32)
    monkeypatch.setattr(given, "CONTEXT", 16)
    Path("text.txt").write_text("to be or not to be, that is the question. " * 30, encoding="utf-8")
    code, out, err = run_check(f"write --file {BY_HAND} --data text.txt --steps 150")
    assert (code, err) == (0, "")
    losses = [float(loss) for loss in re.findall(r"loss (\d\.\d\d)", out)]
    assert len(losses) == 10 and losses[0] > 2 > losses[-1] * 2
    assert out.count("to be ") > 5


def test_both_solutions_train_alike(monkeypatch, folder):
    given = importlib.import_module("writing_gpt")
    monkeypatch.setattr(given, "WIDTH", 8)
    monkeypatch.setattr(given, "CONTEXT", 8)
    text = "to be or not to be, that is the question. " * 9
    losses = [
        given.train_and_write(module_of(file.read_text(encoding="utf-8")), text, 5, lambda _: None)
        for file in (PLAIN, BY_HAND)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def softmax(x:\n", "mine.py, line 1: "),
        ("import nothing_like_it\n", "mine.py cannot be read: ModuleNotFoundError"),
        ("x = 1\n", "there is no function softmax in your file"),
    ],
)
def test_files_that_cannot_be_read(run_check, folder, source, words):
    Path("mine.py").write_text(source, encoding="utf-8")
    code, out, err = run_check("--file mine.py")
    assert code and words in out + err and err.count("\n") <= 1


@pytest.mark.parametrize("arguments", ["13", "nothing", "--file nowhere.py", "write --steps 0"])
def test_what_is_asked_for_wrongly_is_one_line(run_check, folder, arguments):
    code, _, err = run_check(arguments)
    assert code == 2 and err.count("\n") == 1 and err.startswith("check.py: error: ")


def test_odd_results_are_put_in_words():
    comparing = importlib.import_module("comparing")
    right = np.arange(6.0).reshape(2, 3)
    for found, words in [
        ([1.0], "is a list, and must be an array of NumPy"),
        (right.T, r"has shape \(3, 2\), and should have \(2, 3\): two axes are exchanged"),
        (right[None], "the axes before these, the batch, must be summed over"),
        (right[:, 0], "the last axis is gone"),
        (right[:1], r"has shape \(1, 3\), and should have \(2, 3\)$"),
        (np.where(right == 4, np.nan, right), r"x\[1, 1\] is nan, and should be a number"),
        (-right, "the wrong sign everywhere"),
        (3 * right, "is 3 times what it should be, everywhere"),
        (right + (right == 4), r"x\[1, 1\] is 5, and should be 4; 5 of 6 entries are right"),
        (0 * right, "should be"),
    ]:
        with pytest.raises(comparing.Wrong, match=words):
            comparing.compare("x", found, right)
    comparing.compare("x", right, right)
    comparing.compare("x", np.array([]), np.array([]))
