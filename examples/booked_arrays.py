"""Arrays that keep books: what each part of a model costs, seen from outside of the library.

NumPy asks an array's class before it computes with it (``__array_ufunc__``, NEP 13). So a class of
arrays can look at the clock before and after each of NumPy's calls, and note which part of the
model made it. Nothing in the library knows of it, and the numbers are the same to the last bit.

What a call moves is the size of the arrays that it reads and of those that it writes, each once,
wherever they are: a pass over numbers that wait in the cache counts like any other. Its FLOPs are
2·n·m·k for a product of (n, k) with (k, m), and else one for each number that is computed (in a
sum, added up), though one exponential takes as long as many additions.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from operator import iadd
from types import CodeType, FrameType
from typing import Any
from unittest import mock

import numpy as np

from minigpt import autograd

# Processor time leaves out what other programs do meanwhile; some systems count it too coarsely.
_is_fine = time.get_clock_info("thread_time").resolution < 1e-6
clock: Callable[[], float] = time.thread_time if _is_fine else time.perf_counter

EMBEDDING, NORMS, LOSS, RESIDUAL = "embeddings", "norms", "cross-entropy", "residual sums"
PROJECTIONS, SCORES, SOFTMAX = "attention's projections", "attention's scores and sums", "softmax"
MLP, ACTIVATION, HEAD, DROPOUT = "MLP's products", "activation", "head", "dropout"
SUMS, CLIPPING, OPTIMIZER = "adding gradients up", "gradient clipping", "optimizer"
ROTARY, CACHE, CHOICE, OTHER = "rotary positions", "key–value cache", "choosing a token", "other"

# Which part a call of NumPy belongs to: the first of these modules, or functions of them, that the
# call came from. What is not here, such as a linear map, belongs to the part that it serves.
PARTS = {
    "minigpt.models.embeddings.tied_logits": HEAD,
    "minigpt.models.gpt.unembed": HEAD,
    "minigpt.models.gpt": EMBEDDING,
    "minigpt.models.embeddings": EMBEDDING,
    "minigpt.nn.positions": EMBEDDING,
    "minigpt.functional.embedding": EMBEDDING,
    "minigpt.functional.normalization": NORMS,
    "minigpt.nn.attention": PROJECTIONS,
    "minigpt.functional.attention_blocks": SOFTMAX,
    "minigpt.functional.rotary": ROTARY,
    "minigpt.nn.cache": CACHE,
    "minigpt.nn.mlp": MLP,
    "minigpt.functional.activations": ACTIVATION,
    "minigpt.functional.dropout": DROPOUT,
    "minigpt.nn.block": RESIDUAL,
    "minigpt.functional.loss": LOSS,
    "minigpt.autograd": SUMS,
    "minigpt.training.parallel": SUMS,
    "minigpt.optim.clipping": CLIPPING,
    "minigpt.optim.adam": OPTIMIZER,
    "minigpt.sampling.filters": CHOICE,
    "minigpt.sampling.decoding": CHOICE,
    "minigpt.sampling.context": CHOICE,
}


@dataclass
class Entry:
    """What is noted of one part: calls of NumPy, seconds in them, FLOPs, bytes read and written."""

    calls: int = 0
    seconds: float = 0.0
    flops: int = 0
    moved: int = 0


class Books:
    """An entry for each part, and which part's derivative is being computed.

    Args:
        noting: seconds that noting a call makes it longer.
    """

    def __init__(self, noting: float = 0.0) -> None:
        self.noting = noting
        self.entries: dict[str, Entry] = {}
        self.derivative_of: str | None = None
        self._known: dict[CodeType, str] = {}

    def note(self, part: str, seconds: float, flops: int, moved: int) -> None:
        """One call of NumPy."""
        entry = self.entries.setdefault(part, Entry())
        entry.seconds += max(1e-9, seconds - self.noting)  # no call takes no time
        entry.calls += 1
        entry.flops += flops
        entry.moved += moved

    def part(self, frame: FrameType | None, is_product: bool = False) -> str:
        """The part of the model that the function of this frame works for."""
        while frame is not None:
            found = self._known.get(frame.f_code)
            if found is None:
                found = self._known[frame.f_code] = _part_of(frame)
            if found == SUMS and self.derivative_of is not None:
                return self.derivative_of  # the walk back, inside of an operation's derivative
            if found:
                return SCORES if found is SOFTMAX and is_product else found
            frame = frame.f_back
        return OTHER


def _part_of(frame: FrameType) -> str:
    """The part that a function is, or "" where it serves several."""
    module = frame.f_globals.get("__name__", "")
    return PARTS.get(f"{module}.{frame.f_code.co_name}") or PARTS.get(module, "")


_open: Books | None = None  # where calls are noted now
Flops = Callable[[Sequence[Any], Sequence[Any]], int]  # of what is read, and of what is written


class BookedArray(np.ndarray[Any, np.dtype[Any]]):
    """An array whose calls are noted, and those of all arrays that are computed from it."""

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: tuple[Any, ...] = (), **options: Any
    ) -> Any:
        if any(hasattr(x, "requires_grad") for x in inputs):
            return NotImplemented  # it is a Tensor's business
        options = {name: plain(value) for name, value in options.items()}
        if out:
            options["out"] = tuple(plain(x) for x in out)
        call = partial(getattr(ufunc, method), *map(plain, inputs), **options)
        return _noted(call, inputs, out, of_product if ufunc is np.matmul else of_each)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function not in _NOT_MADE_OF_UFUNCS:
            return super().__array_function__(function, types, args, options)
        reads = [x for part in args for x in (part if isinstance(part, list) else [part])]
        call = partial(function, *plain(args), **{name: plain(x) for name, x in options.items()})
        out = (args[0],) if function is np.copyto else (options["out"],) if "out" in options else ()
        return _noted(call, reads, out, _NOT_MADE_OF_UFUNCS[function])

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, np.ndarray) and not _holds_array(index):
            return super().__getitem__(index)  # a view: nothing moves
        return _noted(partial(plain(self).__getitem__, index), [], (), of_none, twice=True)

    def __setitem__(self, index: Any, value: Any) -> None:
        call = partial(plain(self).__setitem__, index, plain(value))
        _noted(call, [value], (value,), of_none)

    def copy(self, order: Any = "C") -> Any:
        """As any array's: the copy keeps books too."""
        return _noted(partial(plain(self).copy, order), [self], (), of_none)


def of_product(reads: Sequence[Any], written: Sequence[Any]) -> int:
    """(n, k) @ (k, m): a multiplication and an addition for each of n·m·k."""
    return 2 * int(np.size(written[0])) * int(reads[0].shape[-1])


def of_each(reads: Sequence[Any], written: Sequence[Any]) -> int:
    """One for each number that is computed, or added up."""
    return max((int(x.size) for x in (*reads, *written) if _is_float(x)), default=0)


def of_sum_of_products(reads: Sequence[Any], written: Sequence[Any]) -> int:
    """Multiplied with another, and added up."""
    return 2 * of_each(reads, written)


def of_none(reads: Sequence[Any], written: Sequence[Any]) -> int:
    """Numbers that only move."""
    return 0


_NOT_MADE_OF_UFUNCS: dict[Any, Flops] = {
    np.einsum: of_sum_of_products,
    np.dot: of_sum_of_products,
    np.copyto: of_none,
    np.where: of_none,
    np.concatenate: of_none,
}


def _noted(
    call: Callable[[], Any],
    reads: Sequence[Any],
    out: tuple[Any, ...],
    flops: Flops,
    twice: bool = False,
) -> Any:
    """Call NumPy, and note how long it took, what it computed and what it moved."""
    start = clock()
    result = call()
    seconds = clock() - start
    written = out or (result if isinstance(result, tuple) else (result,))
    if _open is not None:
        moved = sum(x.nbytes for x in {id(x): x for x in reads}.values() if _is_array(x))
        moved += (1 + twice) * sum(x.nbytes for x in written if _is_array(x))
        is_matrix = flops is of_product and min(x.ndim for x in reads) > 1  # and no sum of rows
        part = _open.part(sys._getframe(2), is_matrix)
        _open.note(part, seconds, flops(reads, written), moved)
    if out:
        return out[0] if len(out) == 1 else out
    return booked(result)


def plain(x: Any) -> Any:
    """The same array without books; of a list, all in it."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(plain, x))
    return x.view(np.ndarray) if type(x) is BookedArray else x


def booked(x: Any) -> Any:
    """The same array with books, while they are open; not text, and what is no array."""
    is_plain = type(x) is np.ndarray and _open is not None
    return x.view(BookedArray) if is_plain else x


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray)


def _is_float(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f"


def _holds_array(index: Any) -> bool:
    return isinstance(index, tuple) and any(isinstance(i, np.ndarray) for i in index)


# ── opening the books ─────────────────────────────────────────────────────────────────────────


def noted_calls(begin: Callable[[], Callable[[], object]], times: int) -> Books:
    """What the arrays of some work have noted, which ``begin`` prepares.

    It is done on a thread of its own: the library keeps some arrays for a thread to write in, and
    none of those was made before the books were opened.
    """
    books, errors = Books(smallest_call().noting), list[BaseException]()

    def run() -> None:
        try:
            _note_in(books, begin, times)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return books


@dataclass(frozen=True)
class SmallestCall:
    """A call of NumPy that adds two numbers: the seconds it takes, and what noting it adds."""

    seconds: float
    noting: float


def smallest_call(times: int = 1000) -> SmallestCall:
    """As it is on this machine now; in place, as most calls of the library are."""

    def begin() -> Callable[[], object]:
        x = booked(np.zeros(1, np.float32))
        return partial(iadd, x, x)

    work, start = begin(), clock()
    for _ in range(times):
        work()
    seconds, books = (clock() - start) / times, Books()
    _note_in(books, begin, times)
    noted = sum(entry.seconds for entry in books.entries.values()) / times
    return SmallestCall(seconds, max(0.0, noted - seconds))


def _note_in(books: Books, begin: Callable[[], Callable[[], object]], times: int) -> None:
    with _open_books(books):
        work = begin()
        books.entries.clear()
        for _ in range(times):
            work()


@contextmanager
def _open_books(books: Books) -> Iterator[None]:
    """Arrays that are made from nothing keep books too, and derivatives know what they are of."""
    global _open
    made = "empty", "zeros", "ones", "full", "array", "ascontiguousarray"
    makers = {name: _booked_maker(getattr(np, name)) for name in made}
    with ExitStack() as stack:
        for name, maker in {**makers, "asarray": np.asanyarray}.items():
            stack.enter_context(mock.patch.object(np, name, maker))
        node = mock.patch.object(autograd.Node, "__init__", _node_maker(books))
        stack.enter_context(node)
        _open = books
        try:
            yield
        finally:
            _open = None


def _booked_maker(make: Callable[..., Any]) -> Callable[..., Any]:
    def made(*args: Any, **options: Any) -> Any:
        array = make(*plain(args), **options)
        is_ours = sys._getframe(1).f_globals.get("__name__", "").startswith("minigpt.")
        return booked(array) if is_ours else array  # and not what NumPy makes for itself

    return made


def _node_maker(books: Books) -> Callable[..., None]:
    """``Node.__init__``, whose derivative belongs to the part that its operation belongs to."""
    original = autograd.Node.__init__

    def init(node: autograd.Node, value: Any, inputs: Any, vjp: autograd.VJP) -> None:
        part = books.part(sys._getframe(2))  # of what called record

        @wraps(vjp)
        def in_part(g: autograd.Array) -> Any:
            before, books.derivative_of = books.derivative_of, part
            try:
                return vjp(g)
            finally:
                books.derivative_of = before

        original(node, value, inputs, in_part)

    return init
