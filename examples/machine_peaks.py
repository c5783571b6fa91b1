"""What a machine can do at most: its fastest matrix product, and how fast it reads numbers.

No step of a model can be quicker than its arithmetic at the one speed, nor than its numbers arrive
at the other (Williams, Waterman & Patterson 2009, "Roofline"). Both are measured with NumPy, which
has nothing else to do meanwhile.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from minigpt.blas_threads import one_blas_thread

Clock = Callable[[], float]

PRODUCT_SIZES = 512, 1024, 2048  # of square matrices: one of them suits a processor best
READ_SIZES = tuple(2**k for k in range(14, 30, 2))  # bytes: 16 KB, 64 KB, …, 256 MB
READ_WORK = 2**26  # bytes of a measurement at least
REPEATS = 5  # of which the fastest counts


class Products:
    """C = A B of square float32 matrices: in every call as many FLOPs, with the next of the sizes.

    Args:
        threads: so many products at once, each with its own matrices and one BLAS thread; with one,
            BLAS uses as many threads as it does.
        sizes: of the matrices.
    """

    def __init__(self, threads: int = 1, sizes: tuple[int, ...] = PRODUCT_SIZES) -> None:
        self.flops = threads * 2 * max(sizes) ** 3
        self._threads, self._sizes = threads, itertools.cycle(sizes)
        self._repeats = {n: (max(sizes) // n) ** 3 for n in sizes}
        self._matrices = [
            {n: [np.ones((n, n), np.float32) for _ in "abc"] for n in sizes} for _ in range(threads)
        ]
        self._pool = ThreadPoolExecutor(threads)

    def __call__(self) -> None:
        n = next(self._sizes)
        if self._threads == 1:
            self._multiply(0, n)
            return
        with one_blas_thread():
            for _ in self._pool.map(lambda thread: self._multiply(thread, n), range(self._threads)):
                pass

    def rate(self, clock: Clock = time.perf_counter) -> float:
        """FLOP/s of the next call."""
        start = clock()
        self()
        return self.flops / (clock() - start)

    def _multiply(self, thread: int, n: int) -> None:
        a, b, c = self._matrices[thread][n]
        for _ in range(self._repeats[n]):
            np.matmul(a, b, out=c)


@dataclass
class Peaks:
    """What one thread reaches.

    Attributes:
        product: FLOP/s of the best matrix product.
        reading: how many bytes are read, again and again -> bytes/s.
    """

    product: float
    reading: dict[int, float]

    @property
    def cache(self) -> float:
        """Bytes/s where the numbers stay in the cache: the best of all sizes."""
        return max(self.reading.values())

    @property
    def memory(self) -> float:
        """Bytes/s where they come from main memory: that of the largest size."""
        return self.reading[max(self.reading)]

    def roof(self, intensity: float, bandwidth: float) -> float:
        """FLOP/s at most, with so many FLOPs for each byte that comes at ``bandwidth``."""
        return min(self.product, intensity * bandwidth)


def measure_peaks(
    clock: Clock = time.perf_counter,
    product_sizes: tuple[int, ...] = PRODUCT_SIZES,
    read_sizes: tuple[int, ...] = READ_SIZES,
) -> Peaks:
    """The peaks of this machine, on one thread."""
    with one_blas_thread():
        products = Products(1, product_sizes)
        rates = [products.rate(clock) for _ in range(len(product_sizes) * REPEATS)]
        return Peaks(max(rates), {size: fastest_reading(size, clock) for size in read_sizes})


def fastest_reading(size: int, clock: Clock) -> float:
    """Bytes/s of a dot product of two vectors that are ``size`` bytes together."""
    one, two = np.ones((2, size // 8), np.float32)
    repeats = max(1, READ_WORK // size)
    seconds = []
    for _ in range(REPEATS):
        start = clock()
        for _ in range(repeats):
            np.dot(one, two)
        seconds.append(clock() - start)
    return repeats * size / min(seconds)
