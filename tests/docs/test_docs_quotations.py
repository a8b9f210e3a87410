"""Messages that the pages quote are what the programs say."""

import ast
import re

import pytest
from pages import REPOSITORY, blocks

_GO_TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`([^`]*)`')


@pytest.fixture(scope="module")
def said():
    """All texts in the sources, the parts of a composed one in their order."""
    texts = []
    for path in sorted((REPOSITORY / "python").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            elif isinstance(node, ast.ClassDef):
                texts.append(node.name)
    for folder in ("store", "tablestore", "local", "call", "cmd"):
        for path in sorted((REPOSITORY / folder).rglob("*.go")):
            if not path.name.endswith("_test.go"):
                for one in _GO_TEXT.finditer(path.read_text(encoding="utf-8")):
                    texts.append((one.group(1) or one.group(2) or "").replace('\\"', '"'))
    return "\n".join(re.sub(r"\s+", " ", text) for text in texts)


def _quotations():
    for block in blocks():
        if block.comment == "quotes":
            for line in block.text.splitlines():
                if line.strip():
                    yield pytest.param(line.strip(), id=f"{block} {line.strip()[:50]}")


@pytest.mark.parametrize("line", _quotations())
def test_a_quotation_is_said_somewhere(said, line):
    pieces = [piece.strip() for piece in line.split("…")]
    pieces = [piece for piece in pieces if len(piece) > 2]
    assert pieces
    assert not [piece for piece in pieces if piece not in said]


def test_exceptions_that_are_named_exist():
    from pages import pages
    from sentry_tablestore import errors

    named = {name for page in pages() for name in re.findall(r"\bTablestore\w+Error\b", page.prose)}
    assert named
    assert not [name for name in named if not hasattr(errors, name)]
