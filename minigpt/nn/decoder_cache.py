"""What a decoder keeps between two tokens: those of the target, and of the source it translates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigpt import checks
from minigpt.autograd import Array
from minigpt.nn.cache import KeyValueCache


class DecoderCache(KeyValueCache):
    """The key–value cache of the target so far, and every layer's keys and values of the source.

    Those of the source are computed once, before the first token. Each row of the batch reads one
    source: :meth:`reorder` takes the sources along with the rows.

    Args:
        capacity: for how many tokens of the target.
        memory: for each layer K and V of the source, from :meth:`CrossAttention.keys_and_values`.
        memory_mask: True where a token of the source may be seen; None where all may.

    Shapes:
        K, V: (batch_size, n_head, S, head_size)
        memory_mask: (batch_size, 1, 1, S)

    Raises:
        ValueError: the layers' keys and values have not all the same shape.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> block = mg.nn.DecoderBlock(mg.nn.BlockConfig(n_embd=8, n_head=2), seed=0)
        >>> source = mg.Tensor(np.ones((1, 5, 8), np.float32))  # what an encoder made of it
        >>> cache = DecoderCache(4, [block.cross_attention.keys_and_values(source)])
        >>> with mg.no_grad():  # the target's first token, without the source
        ...     y = block(mg.Tensor(np.ones((1, 1, 8), np.float32)), None, cache=cache)
        >>> y.shape
        (1, 1, 8)
    """

    def __init__(
        self,
        capacity: int,
        memory: Sequence[tuple[Array, Array]],
        memory_mask: Array | None = None,
    ) -> None:
        k = _check(memory, memory_mask)
        batch_size, n_head, _, head_size = k.shape
        super().__init__(len(memory), batch_size, n_head, capacity, head_size, k.dtype)
        self.memory = list(memory)
        self.memory_mask = memory_mask
        self._sources = np.arange(batch_size)  # which source each row reads

    def reorder(self, rows: Sequence[int] | Array) -> None:
        super().reorder(rows)
        chosen = np.asarray(rows)
        sources = self._sources[chosen]
        # Beams of one source change places at every token: what they read stays where it is.
        if not np.array_equal(sources, self._sources):
            self.memory = [(k[chosen], v[chosen]) for k, v in self.memory]
            if self.memory_mask is not None:
                self.memory_mask = self.memory_mask[chosen]
            self._sources = sources


def _check(memory: object, memory_mask: object) -> Array:
    """K of the first layer, whose shape all have."""
    expected = "for each layer a pair (K, V) of arrays (batch_size, n_head, S, head_size)"
    pairs = checks.items("memory", memory, expected)
    shapes = [
        getattr(array, "shape", None)
        for pair in pairs
        for array in (pair if isinstance(pair, (tuple, list)) and len(pair) == 2 else (pair, None))
    ]
    alike = all(isinstance(shape, tuple) and shape == shapes[0] for shape in shapes)
    if not shapes or not alike or np.ndim(pairs[0][0]) != 4:
        raise checks.wrong_value("memory", expected, memory)
    if memory_mask is not None:
        checks.booleans("memory_mask", memory_mask)
    first: Array = pairs[0][0]
    return first
