"""Runs functions of this package inside a configured Sentry, one JSON line each on standard input.

A Sentry takes seconds to start, so tests start one and call many functions in it. A call is
`{"function": "module.name", "arguments": {...}}`, its answer `{"value": ...}` or
`{"error": {...}}`.
"""

import importlib
import json
import os
import sys
import traceback
from typing import Any, Dict


def main() -> None:
    """Configure Sentry, say so, and answer calls until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Sentry prints must not come between the answers

    from sentry.runner import configure

    configure()
    print(json.dumps({"value": os.getpid()}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)


def _answer(call: Dict[str, Any]) -> Dict[str, Any]:
    """Run one call, with the database connection that a request would have: one that lives."""
    from django.db import close_old_connections

    close_old_connections()
    module, name = call["function"].rsplit(".", 1)
    try:
        function = getattr(importlib.import_module("inside." + module), name)
        return {"value": function(**call["arguments"])}
    except Exception as error:  # noqa: BLE001  the caller judges it, whatever it is
        classes = ["%s.%s" % (kind.__module__, kind.__qualname__) for kind in type(error).__mro__]
        return {
            "error": {
                "classes": classes,
                "message": str(error),
                "traceback": traceback.format_exc(),
            }
        }


if __name__ == "__main__":
    main()
