"""What chat.py and assistant.py have in common: a conversation in the terminal."""

from __future__ import annotations

import sys

from command_line import count
from minigpt.tasks import Chat


def talk(chat: Chat) -> None:
    """Ask and answer until the input ends, or until Ctrl-C where a question is waited for."""
    piped = not sys.stdin.isatty()
    try:
        while True:
            text = input("you: ")
            if piped:
                print(text)
            if not text.strip():
                chat.reset()
                print("(a new conversation)")
                continue
            answer(chat, text)
    except (EOFError, KeyboardInterrupt):
        print()


def answer(chat: Chat, text: str) -> None:
    """Print the answer as it is written; Ctrl-C leaves it, and what was said before stays."""
    before = chat.forgotten
    try:
        pieces = chat.stream(text)
    except ValueError as error:  # more words than the context holds, or not for this model
        print(f"({error})")
        return
    print("assistant: ", end="", flush=True)
    try:
        for piece in pieces:
            print(piece, end="", flush=True)
    except KeyboardInterrupt:
        print("\n(left: neither the question nor this answer is remembered)")
        return
    print("…" if chat.cut_off else "")
    if chat.forgotten > before:
        print(f"(it no longer sees the first {count(chat.forgotten, 'turn')}: its context is full)")
