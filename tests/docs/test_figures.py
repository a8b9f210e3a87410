"""The figures in the README are those that a benchmark saved."""

import sys

from pages import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "bench"))

import report


def test_the_readme_has_the_tables_of_the_benchmark():
    """What `make bench` saved last is what the README shows."""
    readme = report.README.read_text()
    assert readme.count("<!-- bench ") == readme.count("-->\n|") >= 2
    assert report.copied(readme, report.FILE) == readme


def test_a_copy_is_brought_up_to_date(tmp_path):
    """A table is found by its part and caption, and nothing else on the page changes."""
    source = tmp_path / "bench.md"
    source.write_text(
        "# B\n\n## a\n\n**x**\n\n| 1 |\n\n**y**\n\n| 2 |\n| 3 |\n\n## b\n\n**y**\n\n| 4 |\n"
    )
    page = "text\n<!-- bench {}: y -->\n| old |\n<!-- end -->\nmore\n"
    new = "text\n<!-- bench {}: y -->\n{}\n<!-- end -->\nmore\n"
    assert report.copied(page.format("a"), source) == new.format("a", "| 2 |\n| 3 |")
    assert report.copied(page.format("b"), source) == new.format("b", "| 4 |")
