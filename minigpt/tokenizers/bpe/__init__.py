"""Byte-pair encoding: frequent pairs of neighbours become one token.

Reading order: ``plain`` (the algorithm on one page), ``patterns`` (a text is split into words),
``training``, ``merging``, ``whole_tokens`` and ``words`` (the same as ``plain``, fast); for long
texts, with arrays in place of words, ``word_starts``, ``hash_table``, ``word_table`` and
``merging_together``; ``text_ids``; ``vocabulary`` (what a tokenizer is made from), ``tokenizer``.
"""
