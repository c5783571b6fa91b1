"""How solved cases, and the one to solve, are written down in a prompt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minigpt import checks

FIELDS = ("{input}", "{output}")


@dataclass(frozen=True)
class PromptFormat:
    r"""The form of a prompt with examples (Brown et al. 2020, §2).

    Attributes:
        template: a case, with ``{input}`` and after it ``{output}``, each once.
        separator: what stands between cases, and ends an output. No output may hold it.
        instruction: words that come first; they are followed by a separator.

    Raises:
        TypeError: one of them is not a str.
        ValueError: the template lacks the two fields in this order, or the separator is empty.

    Example:
        >>> print(PromptFormat("{input} -> {output}", "\n", "Double it.").prompt([("2", "4")], "3"))
        Double it.
        2 -> 4
        3 ->
    """

    template: str = "Input: {input}\nOutput: {output}"
    separator: str = "\n"
    instruction: str = ""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def stop(self) -> str:
        """What follows an output, and so ends it."""
        return self._parts()[2] + self.separator

    @property
    def cue(self) -> str:
        """What stands right before an output, such as ``Output:``."""
        return self._parts()[1].strip()

    def prompt(self, examples: Iterable[tuple[str, str]], query: str) -> str:
        """The instruction, the solved cases, and the query up to where its output begins.

        Spaces before the output are left to it: in byte-pair tokens a space belongs to the word
        after it, and no text in training looked like a prompt that ends with one.

        Args:
            examples: (input, output) of the solved cases.
            query: the input to solve.

        Raises:
            TypeError: the query is not a str, or an example is not a pair of them.
            ValueError: an output holds what ends an output.
        """
        checks.text("query", query)
        before, between, _ = self._parts()
        opening = self.instruction + self.separator if self.instruction else ""
        cases = [
            f"{before}{given}{between}{output}{self.stop}"
            for given, output in self._checked(examples)
        ]
        return f"{opening}{''.join(cases)}{before}{query}{between.rstrip(' ')}"

    def completion(self, output: str) -> str:
        r"""What the prompt is followed by when this is the output.

        Raises:
            TypeError: the output is not a str.
            ValueError: it holds what ends an output.

        Example:
            >>> PromptFormat("Q: {input} A: {output}").completion("yes")
            ' yes\n'
        """
        self._check_output("output", output)
        between = self._parts()[1]
        return between[len(between.rstrip(" ")) :] + output + self.stop

    def _checked(self, examples: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
        for i, pair in enumerate(checks.items("examples", examples, "pairs (input, output)")):
            if not (isinstance(pair, (tuple, list)) and [*map(type, pair)] == [str, str]):
                raise checks.wrong_type(f"examples[{i}]", "a pair (input, output) of strings", pair)
            self._check_output(f"the output of examples[{i}]", pair[1])
            yield pair[0], pair[1]

    def _check_output(self, name: str, output: str) -> None:
        if (checks.text(name, output) + self.stop).find(self.stop) < len(output):
            raise ValueError(
                f"{name} is {output!r:.60}, which holds {self.stop!r}, the end of an output: "
                "choose another separator"
            )

    def _parts(self) -> tuple[str, str, str]:
        """What stands before the input, between the two, and after the output."""
        before, rest = self.template.split(FIELDS[0])
        between, after = rest.split(FIELDS[1])
        return before, between, after


def _check(form: PromptFormat) -> None:
    for name in ("template", "separator", "instruction"):
        checks.text(name, getattr(form, name))
    places = [form.template.find(field) for field in FIELDS]
    if [form.template.count(field) for field in FIELDS] != [1, 1] or places[0] > places[1]:
        raise ValueError(
            f"template={form.template!r} must hold {{input}} and after it {{output}}, each "
            r"once, as 'Q: {input}\nA: {output}'"
        )
    if not form.separator:
        raise ValueError(r"separator is empty: without one no output ends; '\n' is the default")
