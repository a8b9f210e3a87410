"""The documentation's pages as the tests see them: headings, links, blocks of code.

A comment before a block says more about it than its language:

    <!-- run -->        run, and
    <!-- output -->     what that prints: test_docs_quick_start.py
    <!-- quotes -->     messages of the programs: test_docs_quotations.py
    <!-- file NAME -->  a file, which works: test_docs_provider.py
"""

import re
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

REPOSITORY = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^( *)(`{3,})(\S*)\s*$")
_COMMENT = re.compile(r"^<!-- (.*) -->\s*$")
_LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|`[^`]*`)*\]\(([^()\s]+)\)")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


class Block(NamedTuple):
    """A block of code.

    :ivar comment: What the HTML comment on the line before it says; "".
    """

    page: str
    line: int
    language: str
    text: str
    comment: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def code(self) -> str:
        """The text without the lines that say that something is left out."""
        return re.sub(r"^\s*…,?[ \t]*$", "", self.text, flags=re.MULTILINE)


class Page:
    """One page, of which `prose` is what is no block of code."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path.relative_to(REPOSITORY))
        self.blocks: List[Block] = []
        prose: List[str] = []
        lines = path.read_text(encoding="utf-8").splitlines()
        comment, opened, body = "", None, []
        for number, line in enumerate(lines, 1):
            fence = _FENCE.match(line)
            if opened is None and fence is not None:
                opened, body = (number, fence), []
            elif opened is not None:
                start, first = opened
                if line.strip() == first.group(2):
                    indent = len(first.group(1))
                    text = "".join(one[indent:] + "\n" for one in body)
                    self.blocks.append(Block(self.name, start, first.group(3), text, comment))
                    comment, opened = "", None
                else:
                    body.append(line)
            else:
                said = _COMMENT.match(line)
                comment = said.group(1) if said else ""
                prose.append(line)
        assert opened is None, f"{self.name}: a block is not closed"
        self.prose = "\n".join(prose)

    @property
    def anchors(self) -> List[str]:
        """The anchors that GitHub gives its headings."""
        found: List[str] = []
        for heading in re.findall(r"^#{1,6} +(.+?) *#*$", self.prose, re.MULTILINE):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
            text = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            again = sum(one == text or one.startswith(text + "-") for one in found)
            found.append(f"{text}-{again}" if text in found else text)
        return found

    @property
    def links(self) -> List[str]:
        """The targets of its links."""
        return _LINK.findall(re.sub(r"`[^`\n]*`", lambda code: "x" * len(code.group()), self.prose))

    @property
    def inline(self) -> List[str]:
        """What stands in the prose as code."""
        return _INLINE.findall(self.prose)


def pages() -> List[Page]:
    """Read the README, the CHANGELOG, the page on security and all of docs/."""
    top = [REPOSITORY / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")]
    return [Page(path) for path in [*top, *sorted((REPOSITORY / "docs").rglob("*.md"))]]


def blocks(*languages: str) -> List[Block]:
    """Give the blocks in these languages, or all."""
    return [
        block
        for page in pages()
        for block in page.blocks
        if not languages or block.language in languages
    ]


def command_lines(program: str) -> Iterator[Tuple[str, List[str]]]:
    """Give every use of a program that the pages show: where, and its words.

    Those in blocks of shell text, and those in the prose that are code.
    """
    for page in pages():
        for block in page.blocks:
            if block.language in ("shell", "sh", "bash", "console", "yaml"):
                text = block.text.replace("\\\n", " ")
                for line in text.splitlines():
                    for words in _uses(line, program):
                        yield f"{block.page}:{block.line}", words
        for code in page.inline:
            if code.startswith(program + " "):
                for words in _uses(code, program):
                    yield page.name, words


def _uses(line: str, program: str) -> Iterator[List[str]]:
    line = re.sub(r"\s#\s.*$", "", line)
    # Where a program stands: at the beginning of a command, or after what runs it in a container.
    for piece in re.split(r"&&|\|\||[;|]|\$\(|^\$ |[()]", line):
        words = piece.split()
        for at, word in enumerate(words):
            if word.strip("\"'`") == program or word.endswith("/" + program):
                before = words[at - 1] if at else ""
                if before in ("cp", "-t", "0755", "install", "/usr/local/bin/", "which"):
                    continue
                yield [one.strip("\"'`,") for one in words[at + 1 :]]
                break
