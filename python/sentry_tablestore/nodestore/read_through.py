"""The store that was there before: reads what Tablestore does not have yet, while it is migrated.

    SENTRY_NODESTORE_OPTIONS = {
        …,
        "read_through": {
            "backend": "sentry.nodestore.django.DjangoNodeStorage",
            "options": {},
            "copy": False,
        },
    }

New nodes go to Tablestore alone. What it does not have is asked of the old store, in one call
however many nodes are asked for; an old store that fails is an error and never a missing node.
Deletes and cleanups go to both, the old store first, and to the second even where the first failed.

With `copy`, what was read from the old store is written to Tablestore, with the time at which it
was last written there (now, where the old store cannot tell), and only where Tablestore has
nothing. A copy cannot bring a deleted node back: after it the old store is looked at again, and
where the node is gone or is another one by now, the copy is taken back. As deletes reach the old
store first, either that look sees the delete, or the delete comes to Tablestore after the copy;
only a process that dies, is interrupted, or loses either store between copy and look leaves a gap.
A copy that fails does not fail the read.

Legacy pickles of Sentry's Django backend are read by that backend, as ever, and copied as JSON.
"""

import contextlib
import difflib
import importlib
import logging
import re
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from ..errors import TablestoreOptionsError
from ..kvstore.imported import ImportedNode
from ..kvstore.tablestore import TablestoreKVStorage
from ..migration.legacy import convert
from .sentry import NodeStorage, count

logger = logging.getLogger("sentry_tablestore.kvstore.tablestore")

_KNOWN = ("backend", "options", "copy")
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z")
# Where Sentry's own backends were up to about 25.8, and where they are since.
_PLACE, _NEW_PLACE = "sentry.nodestore.", "sentry.services.nodestore."

_PAUSE = 60.0
"""Seconds without copying after a copy failed: reads must not wait for one after another."""

_REPORT_INTERVAL = 300.0
"""Seconds between two lines of the log on what came from the old store."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)


class OldBytes(bytes):
    """The payload of an old store that only its own backend decodes, such as a legacy pickle.

    :ivar backend: That backend.
    """

    backend: Any


class ReadThrough:
    """The old store of one backend, in one thread. Imports and constructs it at its first use.

    :param given: The option `read_through`.
    :raises TablestoreOptionsError: when that has another form.
    """

    def __init__(self, given: Any) -> None:
        self.path, self._options, self.copy = _checked(given)
        self._backend: Optional[Any] = None

    @property
    def backend(self) -> Any:
        """The old store's backend.

        :raises TablestoreOptionsError: when there is none of that name, or it refuses its options.
        """
        if self._backend is None:
            self._backend, wrong = _construct(self.path, self._options)
            if wrong:
                # Out here: the frames below hold its credentials, and error monitors record those.
                raise TablestoreOptionsError(f"read_through: the backend '{self.path}' {wrong}")
        return self._backend

    def validate(self, store: TablestoreKVStorage) -> None:
        """Refuse an old store that cannot be had, that is the new one, or that refuses itself.

        :raises TablestoreOptionsError: naming what is wrong.
        """
        old = getattr(self.backend, "store", None)
        if isinstance(old, TablestoreKVStorage) and _place(old) == _place(store):
            raise TablestoreOptionsError(
                f"read_through names this very table, '{store.table_name}' of the instance "
                f"'{store.instance}' at {store.options.end_point}: name the store from which nodes "
                "are to come, or remove the option"
            )
        self.backend.validate()

    def read(self, ids: List[str], store: TablestoreKVStorage) -> Dict[str, bytes]:
        """Read nodes that Tablestore does not have, in one call of the old store.

        :param ids: Each once.
        :param store: Where to copy them, if that is asked for.
        :returns: the payloads of those that the old store has.
        :raises Exception: whatever the old store raises.
        """
        written = self._written(ids) if self.copy else None
        began, counts, failure = time.monotonic(), {}, None
        try:
            answer = self.backend._get_bytes_multi(ids)
            found = {id: answer[id] for id in ids if answer.get(id) is not None}
            counts = {"read_through_hit": len(found), "read_through_miss": len(ids) - len(found)}
        except Exception as error:
            failure = type(error).__name__
            _counted(self.path, "failed", len(ids))
            raise
        finally:
            store.observers.report("read_through", time.monotonic() - began, counts, failure)
        _counted(self.path, "hit", len(found))
        _counted(self.path, "miss", len(ids) - len(found))
        if self.copy and found:
            self._copy(found, written, store)
        return {id: self._readable(value) for id, value in found.items()}

    @contextlib.contextmanager
    def first(self, operation: str, *arguments: Any) -> Iterator[None]:
        """Do in the old store what the block then does in the new one, even if this fails.

        :param operation: delete, delete_multi or cleanup.
        :raises Exception: after the block, what the old store raised; of two errors the block's,
            from the old store's.
        """
        failure: Optional[Exception] = None
        try:
            getattr(self.backend, operation)(*arguments)
        except NotImplementedError as error:
            if operation != "cleanup":
                failure = error
            else:
                logger.info("%s, the store of read_through, has no cleanup.", self.path)
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
        try:
            yield
        except Exception as error:
            if failure is not None:
                raise error from failure
            raise
        if failure is not None:
            raise failure

    def _readable(self, value: bytes) -> bytes:
        """Mark a payload that is no JSON object, for `_decode` of the new backend."""
        if value.startswith(b"{"):
            return value
        marked = OldBytes(value)
        marked.backend = self.backend
        return marked

    def _copy(
        self, found: Dict[str, bytes], written: Optional[Dict[str, int]], store: TablestoreKVStorage
    ) -> None:
        """Write these to Tablestore where it has nothing. Never fails."""
        if time.monotonic() < _State.copying_from:
            return
        now = int(time.time() * 1000)
        nodes = []
        for id, value in found.items():
            payload = self._json(id, value)
            # A node without a time was written between the two looks: the next read copies it.
            if payload is not None and (written is None or id in written):
                nodes.append(ImportedNode(id, payload, now if written is None else written[id]))
        failure: Optional[Exception] = None
        outcomes, stale = ["same"] * len(nodes), 0  # any of them may be there, even after an error
        try:
            outcomes = store.import_many(nodes, only_missing=True)
        except Exception as error:  # noqa: BLE001 - the read has succeeded
            failure = error
        # "same": written by a request whose answer was lost, by another reader, or by `migrate`.
        both = list(zip(nodes, outcomes))
        copies = [node for node, outcome in both if outcome in ("written", "same")]
        own = [node for node, outcome in both if outcome == "written" or written is None]
        try:
            stale = self._take_back(copies, own, found, written, store) if copies else 0
        except Exception as error:  # noqa: BLE001 - as above
            failure = failure or error
        if failure is None:
            _counted(self.path, "copied", len(copies) - stale)
        else:
            _State.copying_from = time.monotonic() + _PAUSE
            _counted(self.path, "copy_failed", len(nodes))
            logger.warning(
                "read_through could not copy %d nodes from %s, the first being '%s', and does not "
                "try again for %d seconds; they were read all the same: %s",
                len(nodes),
                self.path,
                nodes[0].id,
                _PAUSE,
                failure,
            )

    def _take_back(
        self,
        copies: List[ImportedNode],
        own: List[ImportedNode],
        found: Dict[str, bytes],
        written: Optional[Dict[str, int]],
        store: TablestoreKVStorage,
    ) -> int:
        """Delete copies of what the old store no longer has so, and tell how many: see the head of
        this file.

        Where the old store cannot be looked at, no copy stays that is surely one of this reader's.

        :param own: Those.
        """
        ids = [node.id for node in copies]
        before: Mapping[str, Any] = found if written is None else written
        stale = own
        try:
            now = self.backend._get_bytes_multi(ids) if written is None else self._written(ids)
            stale = [node for node in copies if now.get(node.id) != before[node.id]]
        finally:
            if stale:
                store.discard_many([node.id for node in stale], [node.written for node in stale])
        return len(stale)

    def _json(self, id: str, value: bytes) -> Optional[bytes]:
        """Give the payload as JSON, or None for what cannot be given so."""
        if value.startswith(b"{"):
            return value
        try:
            return convert(self.backend, value)
        except ValueError as error:
            logger.debug("'%s' is not copied: %s", id, error)
            return None

    def _written(self, ids: List[str]) -> Optional[Dict[str, int]]:
        """Tell when the nodes were last written, in ms since 1970; None when nothing tells it.

        Sentry's Django backend has the time in a column. A backend derived from it may keep its
        nodes elsewhere.
        """
        cls = type(self.backend)
        model = getattr(importlib.import_module(cls.__module__), "Node", None)
        if cls.__name__ != "DjangoNodeStorage" or model is None:
            return None
        rows = model.objects.filter(id__in=ids).values_list("id", "timestamp")
        return {id: (timestamp - _EPOCH) // _MILLISECOND for id, timestamp in rows}


class _State:
    """What the threads of a process share."""

    copying_from = 0.0
    reported_at = 0.0
    since_report: Dict[str, int] = {}  # noqa: RUF012 - the process's own, as the class is


def _counted(path: str, result: str, amount: int) -> None:
    """Count nodes in Sentry's metrics, and now and then in the log, for those who have no metrics.

    :param result: hit, miss, failed, copied or copy_failed.
    """
    if not amount:
        return
    count("nodestore.tablestore.read_through", amount, result=result)
    counts = _State.since_report
    counts[result] = counts.get(result, 0) + amount
    now = time.monotonic()
    if not _State.reported_at:
        _State.reported_at = now
    elapsed = now - _State.reported_at
    if elapsed >= _REPORT_INTERVAL:
        _State.reported_at, _State.since_report = now, {}
        told = ", ".join(f"{name} {counts[name]}" for name in sorted(counts))
        logger.info("read_through from %s in the last %d seconds: %s.", path, elapsed, told)


def _checked(given: Any) -> Any:
    """Give path, options and copy.

    :raises TablestoreOptionsError: naming what is wrong, without any value of `options`.
    """
    if not isinstance(given, Mapping):
        raise TablestoreOptionsError(
            "read_through must be a dict such as {'backend': "
            f"'sentry.nodestore.django.DjangoNodeStorage', 'options': {{}}}}, not {_type(given)}"
        )
    for name in given:
        if name not in _KNOWN:
            nearest = difflib.get_close_matches(str(name), _KNOWN, n=1)
            hint = f"did you mean '{nearest[0]}'?" if nearest else "known: " + ", ".join(_KNOWN)
            raise TablestoreOptionsError(f"read_through has no key '{name}': {hint}")
    path = given.get("backend")
    if not isinstance(path, str) or not _PATH.match(path):
        raise TablestoreOptionsError(
            "read_through needs 'backend', the path of a class such as "
            f"'sentry.nodestore.django.DjangoNodeStorage', not {path!r}"
        )
    options = given.get("options")
    if options is None:
        options = {}
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise TablestoreOptionsError(
            "read_through: 'options' must be a dict of the old backend's options by their names"
        )
    copy = given.get("copy", False)
    if not isinstance(copy, bool):
        raise TablestoreOptionsError(f"read_through: 'copy' must be True or False, not {copy!r}")
    return path, dict(options), copy


def _construct(path: str, options: Mapping[str, Any]) -> Tuple[Any, str]:
    """Import and construct the old store's backend, which Sentry's settings allow by now.

    :returns: The backend, or None and what is wrong.
    """
    try:
        cls = _import(path)
        if isinstance(cls, type) and issubclass(cls, NodeStorage):
            return cls(**options), ""
        return None, "is no backend of Sentry's nodestore"
    except ImportError as error:
        return None, f"cannot be imported: {error}"
    except Exception as error:  # noqa: BLE001 - told by the caller
        return None, f"refuses its options: {type(error).__name__}: {error}"


def _import(path: str) -> Callable[..., Any]:
    module, name = path.rsplit(".", 1)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        moved = _NEW_PLACE + module[len(_PLACE) :]
        if not module.startswith(_PLACE) or not (module + ".").startswith(f"{error.name}."):
            raise
        found = importlib.import_module(moved)
    if not hasattr(found, name):
        raise ImportError(f"the module {module} has no '{name}'")
    return getattr(found, name)


def _place(store: TablestoreKVStorage) -> Any:
    return store.options.end_point, store.instance, store.table_name


def _type(value: Any) -> str:
    return type(value).__name__
