"""How `make test` divides the tests among its processes."""

import pytest


def test_a_file_is_a_part(request):
    if not hasattr(request.config, "workerinput"):
        pytest.skip("these are the tests of one process: run by `make test`")
    # What pytest-xdist keeps together has the same name behind the "@".
    assert request.node.nodeid.endswith("@tests/test_parts.py")
