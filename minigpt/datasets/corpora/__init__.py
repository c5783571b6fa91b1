"""Real text: corpora by name, and any UTF-8 file or folder by its path.

Reading order: ``text`` (bytes to characters), ``python`` (text that every Python carries),
``download`` (a file from the network), ``corpora`` (names and paths).
"""
