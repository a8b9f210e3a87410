"""What a Celery worker does besides its tasks: it uses the nodestore before it forks, and records
which process finished what.
"""

import os
from typing import Any, Dict

from celery.signals import task_postrun, worker_init
from sentry import nodestore
from sentry.utils.redis import redis_clusters

_PARENT = "worker-test:parent"
_SAVED = "worker-test:saved"


@worker_init.connect
def use_nodestore_in_parent(**_: Any) -> None:
    """Write and read a node in the parent: the children are forked from a running engine."""
    nodestore.set("written-by-parent", {"pid": os.getpid()})
    if nodestore.get("written-by-parent") != {"pid": os.getpid()}:
        raise RuntimeError("the parent cannot read the node that it wrote")
    _redis().set(_PARENT, os.getpid())


@task_postrun.connect
def record(kwargs: Dict[str, Any], state: str, **_: Any) -> None:
    """Note which child finished an event, and how."""
    if "event_id" in kwargs:
        _redis().hset(_SAVED, kwargs["event_id"], "%d %s" % (os.getpid(), state))


def parent() -> int:
    """Return the id of the worker's parent process, once that has used the nodestore."""
    return int(_redis().get(_PARENT) or 0)


def finished() -> Dict[str, str]:
    """Return, by event, "pid state" of the finished tasks."""
    return dict(_redis().hgetall(_SAVED))


def _redis() -> Any:
    """Return the installation's Redis."""
    return redis_clusters.get("default")
