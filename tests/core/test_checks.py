"""Every check says the same sentence: what must be, what came, and the mend."""

import re

import numpy as np
import pytest

from minigpt import checks


class Thing:
    pass


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: checks.integer("n", 2.0), TypeError, "n must be an integer: got 2.0"),
        (
            lambda: checks.integer("n", True, 0),
            TypeError,
            "n must be an integer of at least 0: got True",
        ),
        (
            lambda: checks.integer("n", -1, 0, 9, "take 3"),
            ValueError,
            "n must be an integer from 0 to 9: got -1; take 3",
        ),
        (
            lambda: checks.integer("n", 10**400, most=5),
            ValueError,
            "n must be an integer of at most 5: got an integer of 1329 bits",
        ),
        (
            lambda: checks.number("lr", "0.1", above=0),
            TypeError,
            "lr must be a number above 0: got '0.1'",
        ),
        (
            lambda: checks.number("lr", float("nan")),
            ValueError,
            "lr must be a finite number: got nan",
        ),
        (
            lambda: checks.number("lr", 10**400),
            ValueError,
            "lr must be a finite number: got an integer of 1329 bits",
        ),
        (lambda: checks.number("lr", 1 + 2j), TypeError, "lr must be a finite number: got (1+2j)"),
        (
            lambda: checks.number("lr", 2, least=0, below=1),
            ValueError,
            "lr must be a number of at least 0 and below 1: got 2",
        ),
        (
            lambda: checks.probability("dropout", 1),
            ValueError,
            "dropout must be a probability, 0 <= dropout < 1: got 1",
        ),
        (
            lambda: checks.probability("dropout", 10**400),
            ValueError,
            "dropout must be a probability",
        ),
        (lambda: checks.flag("bias", 1), TypeError, "bias must be True or False: got 1"),
        (lambda: checks.text("path", b"a"), TypeError, "path must be a str: got b'a'"),
        (
            lambda: checks.one_of("how", "c", ["a", "b"]),
            ValueError,
            'how must be "a" or "b": got \'c\'',
        ),
        (lambda: checks.one_of("how", ["a"], ["a"]), TypeError, "how must be \"a\": got ['a']"),
        (
            lambda: checks.seed(-1),
            ValueError,
            "seed must be an integer of at least 0: got -1; or pass a numpy.random.Generator",
        ),
        (
            lambda: checks.generator(3),
            TypeError,
            "rng must be a numpy.random.Generator: got 3; pass rng=np.random.default_rng(seed)",
        ),
        (
            lambda: checks.instance("thing", Thing, Thing),
            TypeError,
            "thing must be a Thing: got the class Thing; make an object of it: Thing(…)",
        ),
        (lambda: checks.instance("thing", 3, Thing), TypeError, "thing must be a Thing: got 3"),
        (
            lambda: checks.tensors("f", x=[1]),
            TypeError,
            "f: x must be a Tensor: got [1]; wrap it: mg.Tensor(x)",
        ),
        (
            lambda: checks.axis(2, 2),
            ValueError,
            "axis must be from -2 to 1, as there are 2 axes: got 2",
        ),
        (
            lambda: checks.integers("ids", [0.5]),
            TypeError,
            "ids must be integers: got a float64 array of shape (1,); convert "
            "them: ids.astype(np.int64)",
        ),
        (
            lambda: checks.integers("ids", [[1], [1, 2]]),
            ValueError,
            "ids must be an array of integers with rows of one length: got [[1], [1, 2]]",
        ),
        (
            lambda: checks.ids("ids", [-1], 3),
            IndexError,
            "ids must be from 0 to 2, as the vocabulary has 3 entries: got -1",
        ),
        (
            lambda: checks.booleans("mask", [1, 0]),
            TypeError,
            "mask must be an array of booleans: got an int64 array of shape "
            "(2,); compare first: mask == 1",
        ),
        (
            lambda: checks.booleans("mask", np.ma.masked_array([True])),
            TypeError,
            "mask must be an array of booleans without a mask of its own",
        ),
        (
            lambda: checks.same_shape("x", np.ones(2), (3,)),
            ValueError,
            "x must have shape (3,): got (2,)",
        ),
        (
            lambda: checks.same_dtype("f", a=np.ones(1), b=np.ones(1, np.float32)),
            TypeError,
            "f: b must have the dtype of a, float64: got float32; convert one of "
            "them with .astype(…)",
        ),
    ],
)
def test_the_sentence(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_what_is_right_comes_back_as_a_plain_value():
    assert type(checks.integer("n", np.int8(3), 1)) is int
    assert type(checks.number("x", np.float32(0.5), below=1)) is float
    assert checks.flag("b", np.bool_(True)) is True
    assert checks.ids("ids", np.array([2], np.uint8), 3).dtype == np.int64
    generator = np.random.default_rng(0)
    assert checks.seed(generator) is generator


@pytest.mark.parametrize("value", ["x" * 10**6, [10**5000], list(range(10**5)), np.zeros(10**6)])
def test_no_message_is_long(value):
    with pytest.raises(TypeError) as caught:
        checks.integer("n", value)
    assert len(str(caught.value)) < 300
