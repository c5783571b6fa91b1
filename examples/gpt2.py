"""Tool: let GPT-2 write, with the weights that OpenAI published.

    python examples/gpt2.py --prompt "Once upon a time"
    python examples/gpt2.py --model gpt2-medium --samples 3 --tokens 60 --seed 0
    python examples/gpt2.py --model path/to/folder --temperature 0

A name is fetched from the Hugging Face Hub and kept, which takes `pip install "minigpt[hf]"` and a
network ("gpt2", the smallest, has 548 MB); from then on HF_HUB_OFFLINE=1 does without the network.
A folder with config.json, model.safetensors, vocab.json and merges.txt needs neither. One sample is
shown as it is written; several are written at once, as one batch.
"""

from __future__ import annotations

import minigpt as mg
from command_line import Parser, at_least, one_line_errors
from inputs import load_gpt2


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "--model",
        default="gpt2",
        help="gpt2, gpt2-medium, gpt2-large, gpt2-xl, distilgpt2, owner/name, or a folder",
    )
    parser.add_argument("--prompt", default="Once upon a time", help="what the text begins with")
    parser.add_argument("--tokens", type=at_least(0), default=100, help="how many to write")
    parser.add_argument("--samples", type=at_least(1), default=1, help="how many texts")
    parser.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest")
    parser.add_argument("--top-k", type=int, default=50, help="choose among the k likeliest tokens")
    parser.add_argument("--seed", type=at_least(0), help="the same seed writes the same text")
    args = parser.parse_args()

    model, tokenizer = load_gpt2(args.model)
    sampler, n_ids = mg.Sampler(model, tokenizer), model.config.vocab_size
    options = {
        "max_new_tokens": args.tokens,
        "temperature": args.temperature,
        "top_k": args.top_k,
        "stop_tokens": [i for i in tokenizer.special_tokens.values() if i < n_ids],  # <|endoftext|>
        "seed": args.seed,
    }
    if args.samples > 1:
        texts = sampler.generate(args.prompt, num_return_sequences=args.samples, **options)
        for number, text in enumerate(texts, 1):
            print(f"── sample {number} " + "─" * 60 + f"\n{text}")
        return
    try:
        for piece in sampler.stream(args.prompt, **options):
            print(piece, end="", flush=True)
    finally:  # after Ctrl-C too
        print()


if __name__ == "__main__":
    main()
