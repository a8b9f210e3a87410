"""The official SDKs as judges of `tablestore-local`: each runs the same script against a new one.

The Go and Python SDKs run always, the Java and Node SDKs with `make test-sdks` (TEST_SDKS=all).
"""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import script
import sdk_clients
import sdk_page
from sentry_tablestore.testing import serving

PROGRAM = sdk_clients.ROOT / "build" / "tablestore-local"
TIMEOUT = 300  # seconds for a run, which takes a few

# How a client ends that lost its connection by its SDK's own fault (java/Client.java), and how
# often that may be.
TRY_AGAIN = 75
TRIES = 3

# As of the service: what a server of tests overlooks otherwise.
ARGUMENTS = ["--clock-skew=15m"]


class Variant(NamedTuple):
    """A way to run an SDK."""

    sdk: str
    client: Callable[[], list[str]]
    settings: dict[str, Any]
    always: bool


V4 = {"region": "cn-hangzhou"}

VARIANTS = {
    "go v2": Variant("go", sdk_clients.go, {}, True),
    "go v4": Variant("go", sdk_clients.go, V4, True),
    "python v2": Variant("python", sdk_clients.python, {}, True),
    "python v4": Variant("python", sdk_clients.python, V4, True),
    # Its C++ encoder and decoder are not those in Python; each falls back to the other silently.
    "python without native": Variant("python", sdk_clients.python, {"native": False}, True),
    "java v2": Variant("java", sdk_clients.java, {}, False),
    "java v4": Variant("java", sdk_clients.java, V4, False),
    "java compressed": Variant("java", sdk_clients.java, {"compression": True}, False),
    "node v2": Variant("node", sdk_clients.node, {}, False),
}


def run_script(variant, command):
    """Let a client run the script on a new server."""
    with serving(str(PROGRAM), "sdk-test", arguments=ARGUMENTS) as server:
        settings = {**server.options(), **variant.settings}
        run = script.Run(variant.sdk)
        done = subprocess.run(
            command,
            input=json.dumps({"server": settings, "steps": script.steps(variant.sdk)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT,
        )
    return run, done


@pytest.mark.parametrize("name", VARIANTS)
def test_the_script(name):
    variant = VARIANTS[name]
    if not variant.always and os.environ.get("TEST_SDKS") != "all":
        pytest.skip("run by `make test-sdks` (TEST_SDKS=all)")
    command = variant.client()
    for _ in range(TRIES):
        run, done = run_script(variant, command)
        if done.returncode != TRY_AGAIN:
            break
    assert done.returncode == 0, f"the client failed after {done.stdout[-300:]}:\n{done.stderr}"
    differences = run.differences(done.stdout)
    assert not differences, "\n".join(["", *differences])
    left_out = script.left_out(variant.sdk)
    sdk_page.add(name, len(done.stdout.splitlines()), left_out)
    # Shown with `pytest -s`.
    print(f"\n{name}: {len(done.stdout.splitlines())} steps, left out: {left_out or 'none'}")


def test_every_step_is_for_an_sdk_with_a_reason_where_not():
    names = [step["name"] for step in script.all_steps()]
    assert len(names) == len(set(names)) > 100
    for step in script.all_steps():
        for reasons in (step.get("cannot", {}), step.get("differs", {})):
            assert set(reasons) < set(script.SDKS), step["name"]
            for reason in reasons.values():
                assert reason if isinstance(reason, str) else reason["why"], step["name"]
    for sdk in script.SDKS:
        assert len(script.steps(sdk)) + len(script.left_out(sdk)) == len(names)
        assert not any({"expect", "differs", "cannot"} & set(step) for step in script.steps(sdk))


def printed(sdk, **changed):
    """Give what a client would print if all went as the script has it, with these changed."""
    lines = []
    for step in script.all_steps():
        if sdk not in step.get("cannot", {}):
            outcome = step.get("differs", {}).get(sdk, step)["expect"]
            lines.append({"step": step["name"], "outcome": outcome})
    for name, outcome in changed.items():
        next(line for line in lines if line["step"] == name.replace("_", " "))["outcome"] = outcome
    return lines


def differences(sdk, lines):
    text = "\n".join(json.dumps(line) for line in lines).replace('"i:?"', '"i:17"')
    return script.Run(sdk).differences(text)


@pytest.mark.parametrize("sdk", script.SDKS)
def test_a_step_that_was_not_run_is_noticed(sdk):
    lines = printed(sdk)
    assert differences(sdk, lines) == []
    assert "not every step" in differences(sdk, lines[:-1])[0]
    assert "not every step" in differences(sdk, lines[1:])[0]
    assert "not every step" in differences(sdk, lines[1:] + lines[:1])[0]
    assert "not every step" in differences(sdk, [*lines, lines[0]])[0]


@pytest.mark.parametrize(
    ("outcome", "difference"),
    [
        ({}, "outcome is {}, not"),
        ({"consumed": [0, 0], "row": None}, "outcome.consumed[0] is 0, not 1"),
        ({"consumed": [1, 0], "row": {"key": [["id", "s:bare"]], "columns": None}}, "columns is"),
        ({"client_error": "panic"}, "outcome is"),
    ],
)
def test_another_outcome_is_noticed(outcome, difference):
    lines = printed("go", get_a_row_without_columns=outcome)
    [found] = differences("go", lines)
    assert found.startswith("get a row without columns: outcome")
    assert difference in found


def test_times_and_numbers_are_compared():
    def get(value, *time):
        key = [["id", "s*1024"]]
        row = {"key": key, "columns": [["x", value, *time]]}
        lines = printed("go", get_the_row_of_the_longest_key={"consumed": [1, 0], "row": row})
        return differences("go", lines)

    assert "is not that of the server" in get("i:1", 1)[0]
    assert get("i:2")[0].endswith('outcome.row.columns[0][1] is "i:2", not "i:1"')
    lines = json.dumps(printed("go")).replace("d:-1e+300", "d:-1.0E300")
    assert differences("go", json.loads(lines)) == []
    assert differences("go", json.loads(lines.replace("d:0.5", "d:0.25"))) != []


def test_versions_are_exact():
    """The SDKs are those that the README names: a new one may behave in another way."""
    here = Path(__file__).parent
    assert 'tablestore": "5.6.5"' in (here / "node" / "package.json").read_text()
    assert "<version>5.17.6</version>" in (here / "java" / "pom.xml").read_text()
    assert "aliyun-tablestore-go-sdk v1.8.0" in (sdk_clients.ROOT / "go.mod").read_text()
    requirements = sdk_clients.ROOT / "tests" / "requirements" / "tablestore-sdk.txt"
    assert "\ntablestore==6.4.8\n" in requirements.read_text()
    lock = json.loads((here / "node" / "package-lock.json").read_text())
    assert all("resolved" not in package for package in lock["packages"].values())


def test_the_page():
    """Written by `make test-sdks`, from what the SDKs said above."""
    path = os.environ.get("TEST_SDKS_SAVE")
    if not path:
        pytest.skip("run by `make test-sdks` (TEST_SDKS_SAVE)")
    sdk_page.save(Path(path), VARIANTS)
