"""What the documents say of compatibility is what `make compat` found, and all that it found."""

import copy
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "sentry"))

import releases
import table


@pytest.fixture
def results():
    """What the latest run left."""
    return json.loads(table.RESULTS.read_text(encoding="utf-8"))


def test_the_readme_has_the_table_of_the_results(results):
    within = table.README.read_text(encoding="utf-8").split(table.BEGIN)[1].split(table.END)[0]
    assert within == table.of_readme(results), "run `make compat`"


def test_the_page_is_of_the_results(results):
    assert table.PAGE.read_text(encoding="utf-8") == table.of_page(results), "run `make compat`"


def test_every_release_is_told_of_with_all_that_it_was_to_run(results):
    assert {sentry["version"] for sentry in results["sentry"]} == set(releases.RELEASES)
    files = {file for told in table.SENTRY.values() for file in told}
    for file in files:
        assert (Path(__file__).parent.parent / "sentry" / f"{file}.py").exists()
    for sentry in results["sentry"]:
        assert sentry["not_run"] or set(sentry["tests"]) == files, "run `make compat`"


def test_what_failed_or_did_not_run_is_no_test_passed(results):
    changed = copy.deepcopy(results)
    sentry, cpython = changed["sentry"][0], changed["cpython"][0]
    sentry["tests"] = {"test_sentry_events": table.nothing(), "test_sentry_worker": table.nothing()}
    table.add(sentry["tests"]["test_sentry_events"], "test_a", "passed", "")
    table.add(sentry["tests"]["test_sentry_events"], "test_b", "failed", "AssertionError")
    table.add(sentry["tests"]["test_sentry_worker"], "test_c", "skipped", "no redis")
    cpython.update(not_run="none here", tests={})

    told = table.of_readme(changed)

    assert "subkeys | 1, **1 failed** |" in told
    assert "forked | 1 not run |" in told
    assert "`sentry cleanup` | not run |" in told
    assert "| all | not run |" in told
    page = table.of_page(changed)
    assert f"- Sentry {sentry['version']}: failed: `test_sentry_events::test_b`: Asser" in page
    assert f"- Sentry {sentry['version']}: not run: `test_sentry_worker::test_c`: no redis" in page
    assert f"- CPython {cpython['version']}: not run: none here" in page
