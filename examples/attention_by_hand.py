"""First steps: attention with numbers small enough to check by hand, and a word in a sentence.

    python examples/attention_by_hand.py

First three tokens of two features each, through every step of softmax(Q Kᵀ / √d_k) V. Q, K and V
are projections of all tokens, with a matrix each, and every token gets an output of its own. Then
"The cat sat on the mat": which words "sat" looks at, with and without the causal mask.
"""

from __future__ import annotations

import math

import numpy as np

import minigpt as mg
import minigpt.functional as F
from command_line import Parser, one_line_errors

TOKENS = ["a1", "a2", "a3"]
X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # a row for each token
W_Q = np.array([[1.0, 0.0], [0.0, 2.0]])
W_K = np.array([[2.0, 0.0], [0.0, 1.0]])
W_V = np.array([[1.0, 2.0], [3.0, 4.0]])
SENTENCE = ["The", "cat", "sat", "on", "the", "mat"]


@one_line_errors()
def main() -> None:
    Parser(__doc__).parse_args()
    three_tokens()
    one_sentence()


def three_tokens() -> None:
    q, k, v = X @ W_Q, X @ W_K, X @ W_V  # (3, 2) each
    show("Q = X W_Q, a query for each token", q)
    show("K = X W_K, a key for each token", k)
    show("V = X W_V, a value for each token", v)
    similarity = q @ k.T  # (3, 3): row i, column j: how well the query of i meets the key of j
    show("similarity = Q Kᵀ", similarity, TOKENS)
    scores = similarity / math.sqrt(q.shape[-1])
    weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    show("weights = softmax(Q Kᵀ / √2), each row sums to 1", weights, TOKENS)
    for i, token in enumerate(TOKENS):
        terms = " + ".join(f"{weights[i, j]:.3f}·{v[j]}" for j in range(3))
        print(f"output of {token} = {terms} = {(weights[i] @ v).round(3)}")
    output = F.scaled_dot_product_attention(mg.Tensor(q), mg.Tensor(k), mg.Tensor(v)).numpy()
    assert np.allclose(output, weights @ v)
    print("the same, from minigpt.functional.scaled_dot_product_attention\n")


def one_sentence() -> None:
    rng = np.random.default_rng(0)
    d_model = 8
    words = rng.standard_normal((len(SENTENCE), d_model))  # an untrained embedding of each word
    q, k = (words @ (rng.standard_normal((d_model, d_model)) / math.sqrt(d_model)) for _ in "QK")
    full = F.attention_weights(q, k)
    causal = F.attention_weights(q, k, causal=True)
    show("every word sees every word (an encoder)", full, SENTENCE)
    show("every word sees itself and those before it (a GPT)", causal, SENTENCE)
    sat = SENTENCE.index("sat")
    print('"sat" in a GPT looks only at The, cat and sat:')
    for word, weight in zip(SENTENCE, causal[sat], strict=True):
        print(f"  {word:4} {weight:.3f} {'█' * round(40 * weight)}")
    print("(the weights are of random projections: a trained model has learned where to look)")


def show(title: str, matrix: np.ndarray, names: list[str] | None = None) -> None:
    print(title)
    if names is not None:
        print(" " * 6 + "".join(f"{name:>8}" for name in names))
    for i, row in enumerate(matrix):
        label = names[i] if names is not None else TOKENS[i]
        print(f"{label:>6}" + "".join(f"{value:8.3f}" for value in row))
    print()


if __name__ == "__main__":
    main()
