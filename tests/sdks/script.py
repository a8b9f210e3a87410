"""The operation script: what an SDK's client gets of it, and whether its outcomes are as expected.

README.md says what stands in `script.json`.
"""

import json
import re
import time
from pathlib import Path
from typing import Any, Optional

SDKS = ("go", "python", "java", "node")
READS = ("GetRow", "GetRange", "BatchGetRow")

_SCRIPT = json.loads(Path(__file__).with_name("script.json").read_text(encoding="utf-8"))


def steps(sdk: str) -> list[dict[str, Any]]:
    """Give the steps that a client performs, without what comes of them."""
    secret = ("expect", "differs", "cannot")
    return [
        {field: value for field, value in step.items() if field not in secret}
        for step in all_steps()
        if sdk not in step.get("cannot", {})
    ]


def left_out(sdk: str) -> dict[str, str]:
    """Give the steps that an SDK cannot do, and why."""
    return {
        step["name"]: step["cannot"][sdk] for step in all_steps() if sdk in step.get("cannot", {})
    }


def all_steps() -> list[dict[str, Any]]:
    """Give all steps, written out in full."""
    written_out = _write_out(_SCRIPT["steps"])
    for step in written_out:
        if "expect" not in step:
            step["expect"] = _SCRIPT["usual"][step["op"]]
        if step["op"] in READS:
            for part in step.get("tables", [step]):
                part.setdefault("read", {}).setdefault("max_versions", 1)
    return written_out


class Run:
    """A run of one SDK's client through the script.

    :ivar started: Milliseconds since 1970, which no time of a cell written in this run precedes.
    """

    def __init__(self, sdk: str) -> None:
        self.sdk = sdk
        self.started = int(time.time() * 1000)

    def differences(self, printed: str) -> list[str]:
        """Say what is not as the script has it in what the client printed: a line for each."""
        outcomes = [json.loads(line) for line in printed.splitlines()]
        asked = {step["name"]: self._expected(step) for step in all_steps()}
        names = [step["name"] for step in steps(self.sdk)]
        run = [outcome["step"] for outcome in outcomes]
        if run != names:
            never = [name for name in names if name not in run]
            return [f"not every step was run, in order: {len(run)} of {len(names)}; not {never}"]
        found = []
        for line in outcomes:
            difference = self._difference(asked[line["step"]], line["outcome"])
            if difference:
                found.append(f"{line['step']}: {difference}")
        return found

    def _expected(self, step: dict[str, Any]) -> Any:
        return step.get("differs", {}).get(self.sdk, step)["expect"]

    def _difference(self, expected: Any, actual: Any, at: str = "outcome") -> Optional[str]:
        """Say where an outcome differs first; None if it does not."""
        if _is_cell(expected) and _is_cell(actual) and len(actual) == 3 > len(expected):
            if not self.started <= actual[2] <= time.time() * 1000:
                return f"{at} has the time {actual[2]}, which is not that of the server"
            actual = actual[:2]
        if isinstance(expected, dict) and isinstance(actual, dict) and set(expected) == set(actual):
            pairs = [(f"{at}.{name}", expected[name], actual[name]) for name in expected]
        elif (
            isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual)
        ):
            pairs = [(f"{at}[{i}]", *pair) for i, pair in enumerate(zip(expected, actual))]
        elif _same(expected, actual):
            return None
        else:
            return f"{at} is {_shown(actual)}, not {_shown(expected)}"
        for where, one, other in pairs:
            difference = self._difference(one, other, where)
            if difference:
                return difference
        return None


def _write_out(part: Any) -> Any:
    """Write `{"repeat": 3, "of": …}` out: a list of it with 0, 1 and 2 for `{n}`."""
    if isinstance(part, list):
        return [_write_out(item) for item in part]
    if not isinstance(part, dict):
        return part
    if set(part) == {"repeat", "of"}:
        template = json.dumps(part["of"])
        return [
            _write_out(json.loads(template.replace("{n}", str(n)))) for n in range(part["repeat"])
        ]
    return {name: _write_out(value) for name, value in part.items()}


def _is_cell(value: Any) -> bool:
    """Tell a column with its value, and perhaps its time, from other lists."""
    return (
        isinstance(value, list)
        and len(value) in (2, 3)
        and isinstance(value[0], str)
        and isinstance(value[1], str)
        and re.match(r"[sidbx][:*]", value[1]) is not None
    )


def _same(expected: Any, actual: Any) -> bool:
    if expected == "i:?":
        return isinstance(actual, str) and re.fullmatch(r"i:\d+", actual) is not None
    both = (expected, actual)
    if all(isinstance(one, str) and one.startswith("d:") for one in both):
        # Languages write the same number in different ways.
        return repr(float(expected[2:])) == repr(float(actual[2:]))
    return type(expected) is type(actual) and expected == actual


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 1000 else text[:1000] + "…"
