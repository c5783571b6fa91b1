"""GPT-2's way to write bytes as printable characters, for files of text (Radford et al., 2019).

A byte that is a printable character of Latin-1, but not a space, is that character. The others
are, in their order, the characters from U+0100 on: a space is ``Ġ`` (U+0120), a new line ``Ċ``.
"""

from __future__ import annotations

PRINTABLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]
OTHERS = [byte for byte in range(256) if byte not in PRINTABLE]

CHARACTER_OF = {byte: chr(byte) for byte in PRINTABLE} | {
    byte: chr(256 + i) for i, byte in enumerate(OTHERS)
}
BYTE_OF = {character: byte for byte, character in CHARACTER_OF.items()}

_TO_TEXT = str.maketrans({chr(byte): character for byte, character in CHARACTER_OF.items()})
# Characters of Latin-1 that stand for no byte become one that Latin-1 does not have.
_TO_LATIN = str.maketrans(
    {chr(byte): "\uffff" for byte in OTHERS}
    | {character: chr(byte) for character, byte in BYTE_OF.items()}
)


def printable(token: bytes) -> str:
    r"""The token's bytes as characters of the alphabet.

    Example:
        >>> printable(" né\n".encode())
        'ĠnÃ©Ċ'
    """
    return token.decode("latin-1").translate(_TO_TEXT)


def from_printable(text: str) -> bytes:
    r"""The bytes that the characters stand for.

    Raises:
        ValueError: a character is not of the alphabet.

    Example:
        >>> from_printable("ĠnÃ©Ċ").decode()
        ' né\n'
    """
    try:
        return text.translate(_TO_LATIN).encode("latin-1")
    except UnicodeEncodeError as error:
        character = text[error.start]
        raise ValueError(
            f"token {text!r:.80} holds {character!r} (U+{ord(character):04X}), which stands for no "
            "byte in GPT-2's alphabet"
        ) from None
