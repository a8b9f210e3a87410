"""Links between the pages lead somewhere."""

import re

import pytest
from pages import REPOSITORY, Page, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_of_a_page(page):
    broken = [target for target in page.links if not _leads_somewhere(page, target)]
    assert not broken


def _leads_somewhere(page, target):
    if target.startswith(("https://", "http://")):
        return True  # no test of this project leaves this machine
    path, _, anchor = target.partition("#")
    there = (page.path.parent / path).resolve() if path else page.path
    if not there.exists() or REPOSITORY not in there.parents:
        return False
    return not anchor or (there.suffix == ".md" and anchor in Page(there).anchors)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "contrib").iterdir()), ids=lambda p: p.name)
def test_pages_and_files_that_contrib_names(path):
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"sentry-tablestore/blob/main/(\S+)|\b((?:docs|contrib)/[\w./-]+\w)", text)
    assert named
    assert not [name for pair in named for name in pair if not (REPOSITORY / name).exists()]


def test_every_page_can_be_reached_from_the_readme():
    seen, todo = set(), [REPOSITORY / "README.md"]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        page = Page(path)
        for target in page.links:
            there = (path.parent / target.partition("#")[0]).resolve()
            if there.suffix == ".md" and there.is_file() and REPOSITORY in there.parents:
                todo.append(there)
    lost = [
        page.name
        for page in pages()
        if page.path not in seen and not page.name.startswith("docs/results/")
    ]
    assert not lost
