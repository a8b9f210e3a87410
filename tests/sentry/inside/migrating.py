"""A reader that runs all the time that a migration does, and must never miss an event."""

import json
import os
import random
import time
from typing import Any, Dict

from sentry import nodestore


def read_until(path: str, wanted: str, seed: int) -> Dict[str, Any]:
    """Read nodes at random, one and many at once, until there is a file `path`.

    :param wanted: A file of JSON lines [id, the id that its node names or null].
    :returns: How many were read, and those that were missing or not what they should be.
    """
    chance = random.Random(seed)
    with open(wanted) as file:
        nodes = [json.loads(line) for line in file]
    reads, wrong = 0, []  # type: int, List[Any]
    while not os.path.exists(path):
        some = chance.sample(nodes, 20)
        one, others = some[0], some[1:]
        found = {one[0]: nodestore.get(one[0])}
        found.update(nodestore.get_multi([id for id, _ in others]))
        for id, named in some:
            value = found.get(id)
            if not value or (named and value.get("node") != named):
                wrong.append([id, str(value)[:200], time.time()])
        reads += len(some)
        time.sleep(0.002)
    return {"reads": reads, "wrong": wrong[:20], "misses": len(wrong)}
