"""Byte-pair encoding: frequent pairs of neighbours become one token.

Reading order: ``plain`` (the algorithm on one page), ``patterns`` (a text is split into words),
``training``, ``merging``, ``whole_tokens`` and ``words`` (the same as ``plain``, fast),
``vocabulary`` (what a tokenizer is made from), ``tokenizer``.
"""
