"""Make a corpus of regular Tang poems from the collection chinese-poetry, which you have.

    npm pack chinese-poetry@2.0.1
    python data/tang_poems.py chinese-poetry-2.0.1.tgz

The collection is that of https://github.com/chinese-poetry/chinese-poetry (MIT; the poems are in
the public domain): its npm package or the repository, as a folder, a .zip or a .tar.gz. The corpus
is one text file: of each poem the title, its lines, two of them a row, and an empty row,

    登高望海
    天地無窮何所見，…………。
    ……………，…………。

A poem is regular where all its lines have five or all have seven characters, and two lines make a
sentence. Left out are poems with other lines, with lost characters (□), with notes or variants
between the lines, and second copies.
"""

from __future__ import annotations

import io
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import regex

from case_files import OneLineParser
from collection_files import collection_files
from minigpt import checks
from minigpt.atomic import replacing
from minigpt.json_files import parse_json
from minigpt.progress_bar import ProgressBar

# The collection has the complete Tang poems twice, and names its folders in two ways. In the second
# edition nearly all poems of eight lines of seven have lost the lines from the fourth to the sixth.
EDITIONS: dict[str, re.Pattern[str]] = {
    "quantangshi": re.compile(r"/(?:quantangshi|全唐诗)/poet\.tang\.(\d+)\.json$"),
    "yudingquantangshi": re.compile(r"/(?:yudingquantangshi|御定全唐詩)/json/(\d+)\.json$"),
}
# A sentence of two lines. 囗, a character that poems do not use, stands for lost ones like □.
_CHARACTER = r"[\p{Unified_Ideograph}--囗]"
SENTENCE = {
    n: regex.compile(rf"({_CHARACTER}{{{n}}})，({_CHARACTER}{{{n}}})。", regex.V1) for n in (5, 7)
}
FORMS = {"wujue": (5, 4), "qijue": (7, 4), "wulü": (5, 8), "qilü": (7, 8)}  # characters, lines


@dataclass(frozen=True)
class Poem:
    """A regular poem.

    Attributes:
        title: one row of text, not empty.
        lines: 4, 6, 8, … of equal length, 5 or 7, without punctuation.
    """

    title: str
    lines: tuple[str, ...]

    @property
    def form(self) -> str:
        """Its name in FORMS, or "other" for one of another length.

        Example:
            >>> Poem("數", ("一二三四五", "六七八九十") * 2).form
            'wujue'
        """
        size = len(self.lines[0]), len(self.lines)
        return next((name for name, of_form in FORMS.items() if of_form == size), "other")

    @property
    def text(self) -> str:
        """Its lines with their punctuation, in one row.

        Example:
            >>> Poem("數", ("一二三四五", "六七八九十") * 2).text
            '一二三四五，六七八九十。一二三四五，六七八九十。'
        """
        return "".join(a + "，" + b + "。" for a, b in _sentences(self.lines))


def regular_lines(text: str) -> tuple[str, ...] | None:
    """The lines of a regular poem, or None for any other text.

    Example:
        >>> regular_lines("一二三四五，六七八九十。上下左右中，東西南北方。")
        ('一二三四五', '六七八九十', '上下左右中', '東西南北方')
        >>> regular_lines("一二三四五，六七八九十。")  # two lines are half a poem
        >>> regular_lines("一二三四五，六七八□十。上下左右中，東西南北方。")
    """
    for n, sentence in SENTENCE.items():
        found = sentence.findall(text)
        if len(found) >= 2 and len(found) * 2 * (n + 1) == len(text):
            return tuple(line for lines in found for line in lines)
    return None


def read_corpus(text: str) -> tuple[list[Poem], int]:
    r"""The regular poems of a corpus, and how many others it has, which are left out.

    Example:
        >>> corpus = "數\n一二三四五，六七八九十。\n一二三四五，六七八九十。\n\n句\n一二三。\n"
        >>> read_corpus(corpus)
        ([Poem(title='數', lines=('一二三四五', '六七八九十', '一二三四五', '六七八九十'))], 1)
    """
    blocks = [block.split("\n") for block in re.split(r"\n{2,}", text.strip("\n")) if block]
    found = [(title, regular_lines("".join(rows))) for title, *rows in blocks]
    poems = [Poem(title, lines) for title, lines in found if lines is not None]
    return poems, len(blocks) - len(poems)


def written(poem: Poem) -> str:
    """A poem as it stands in the corpus, an empty row after it."""
    rows = [a + "，" + b + "。" for a, b in _sentences(poem.lines)]
    return "\n".join([poem.title, *rows]) + "\n\n"


def _sentences(lines: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return zip(lines[::2], lines[1::2], strict=True)


def collected_poems(
    collection: Path, edition: str = "quantangshi", quiet: bool = True
) -> tuple[list[Poem], Counter[str]]:
    """The regular poems of the collection in its order, and why others were left out, counted.

    Raises:
        FileNotFoundError: the collection is not there.
        ValueError: it has no such poems, or is not such a collection; or see ``collection_files``.
    """
    name_of = EDITIONS[edition]
    if not collection.exists():
        raise FileNotFoundError(
            f"{collection} is not there: npm pack chinese-poetry@2.0.1 fetches the collection"
        )

    def number_of(path: PurePosixPath) -> int | None:
        found = name_of.search(f"/{path}")
        return None if found is None else int(found[1])

    files: dict[int, list[tuple[str, str]]] = {}
    with ProgressBar(None, "reading", "file", shown=not quiet) as bar:
        for path, content in collection_files(collection, lambda p: number_of(p) is not None):
            number = number_of(path)
            assert number is not None
            if number in files:
                raise ValueError(f"{collection}: there are two collections in it: name one of them")
            files[number] = _entries(f"{collection}: {path}", content)
            bar.update()
    left_out: Counter[str] = Counter()
    poems: dict[tuple[str, ...], Poem] = {}
    for number in sorted(files):
        for title, text in files[number]:
            lines = regular_lines(text)
            if lines is None or not title:
                left_out["irregular, with lost characters or notes"] += 1
            elif lines in poems:
                left_out["second copies"] += 1
            else:
                poems[lines] = Poem(title, lines)
    if not poems:
        raise ValueError(f"{collection}: there are no regular poems of {edition} in it")
    return list(poems.values()), left_out


def _entries(name: str, content: bytes) -> list[tuple[str, str]]:
    """Title and text of every poem of a file."""
    try:
        entries = parse_json(content)
        if not isinstance(entries, list):
            raise ValueError("it is not a list of poems")
        return [_title_and_text(entry) for entry in entries]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _title_and_text(entry: Any) -> tuple[str, str]:
    if isinstance(entry, Mapping):
        title, rows = entry.get("title"), entry.get("paragraphs")
        if (
            isinstance(title, str)
            and isinstance(rows, list)
            and all(isinstance(row, str) for row in rows)
        ):
            return " ".join(title.split()), "".join(rows)
    raise ValueError("a poem must have a title and paragraphs, a text and a list of texts")


def counts(poems: Iterable[Poem]) -> str:
    """How many there are of each form."""
    found = Counter(poem.form for poem in poems)
    return ", ".join(f"{found[name]:,} {name}" for name in [*FORMS, "other"] if found[name])


def main(argv: list[str] | None = None) -> int:
    """Run the script; the exit code is 2 for wrong arguments, 1 for failures."""
    parser = OneLineParser(
        prog="tang_poems.py", description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    add = parser.add_argument
    add("collection", type=Path, help="a folder, a .zip or a .tar.gz")
    add("--edition", choices=EDITIONS, default="quantangshi", help="default: %(default)s")
    add("--output", type=Path, default=Path("prepared/tang_poems.txt"), help="the corpus")
    add("--overwrite", action="store_true", help="replace a file that is there")
    add("--quiet", action="store_true", help="no progress bar and no summary")
    arguments = parser.parse_args(argv)
    output: Path = arguments.output
    try:
        checks.path("collection", str(arguments.collection))
        if output.exists() and not arguments.overwrite:
            raise ValueError(f"{output} is there: pass --overwrite to replace it")
        poems, left_out = collected_poems(arguments.collection, arguments.edition, arguments.quiet)
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output) as file:
            file.write("".join(map(written, poems)).encode("utf-8"))
    except (OSError, ValueError) as error:
        print(f"tang_poems.py: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, (ValueError, FileNotFoundError)) else 1
    except KeyboardInterrupt:
        print("tang_poems.py: stopped, nothing was written", file=sys.stderr)
        return 130
    if not arguments.quiet:
        if isinstance(sys.stdout, io.TextIOWrapper):  # a console without ü
            sys.stdout.reconfigure(errors="backslashreplace")
        why = "; ".join(f"{n:,} {reason}" for reason, n in left_out.most_common())
        print(f"{counts(poems)}: {output}\nleft out: {why or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
