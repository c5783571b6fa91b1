"""Batches of token streams, and of examples of different lengths; all can be stopped and resumed.

Reading order: ``resumable`` (what all batches share); for streams ``blocks``, ``random``,
``sequential``, ``epoch`` and ``stream``; for examples ``sequences``, ``examples``, ``pairs``,
``completions``, ``labelled`` and ``masking``; ``curriculum`` (one after the other). Orders and
their states: ``epoch_order``, ``generator_state``.
"""
