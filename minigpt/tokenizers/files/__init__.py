"""Tokenizers in files, which are never trusted.

Reading order: ``reading`` (files of bounded size), ``byte_alphabet`` (bytes as printable
characters), ``description`` (our own JSON), ``gpt2`` (``vocab.json`` and ``merges.txt``),
``tokenizer_json`` (Hugging Face's, read) and ``to_tokenizer_json`` (written),
``transformers_folder`` (what lies beside either), ``gguf`` (what the header of a whole model says),
``loading`` (whichever of them it is).
"""
