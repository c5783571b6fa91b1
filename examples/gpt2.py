"""Tool: let GPT-2 write, with the weights that OpenAI published.

    python examples/gpt2.py --prompt "Once upon a time"
    python examples/gpt2.py --model gpt2-medium --samples 3 --tokens 60 --seed 0
    python examples/gpt2.py --model path/to/folder --temperature 0
    python examples/gpt2.py --prompt ""

A name is fetched from the Hugging Face Hub and kept, which takes `pip install "minigpt[hf]"` and a
network ("gpt2", the smallest, has 548 MB); from then on HF_HUB_OFFLINE=1 does without the network.
A folder with the model and its tokenizer needs neither. One sample is shown as it is written;
several are written at once, as one batch. After an empty prompt GPT-2 writes a text of its own.
"""

from __future__ import annotations

import minigpt as mg
from command_line import Parser, one_line_errors
from inputs import first_prompt, load_gpt2
from writing import add_writing, write


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "--model",
        default="gpt2",
        help="gpt2, gpt2-medium, gpt2-large, gpt2-xl, distilgpt2, owner/name, or a folder",
    )
    parser.add_argument("--prompt", default="Once upon a time", help="what the text begins with")
    add_writing(parser, tokens=100, top_k=50)
    args = parser.parse_args()

    model, tokenizer = load_gpt2(args.model)
    known = model.config.vocab_size
    ends = [i for i in tokenizer.special_tokens.values() if i < known]  # <|endoftext|>
    prompt = args.prompt or first_prompt(tokenizer)
    write(mg.Sampler(model, tokenizer), prompt, args, stop_tokens=ends)


if __name__ == "__main__":
    main()
