"""Calls of Sentry's nodestore, as Sentry's own code makes them."""

from typing import Any, Dict, Iterable, List, Optional

from sentry import nodestore
from sentry.nodestore.base import json_dumps


def get(node_id: str, subkey: Optional[str] = None) -> Any:
    """Read a node."""
    return nodestore.get(node_id, subkey=subkey)


def get_multi(node_ids: List[str], subkey: Optional[str] = None) -> List[List[Any]]:
    """Read several nodes; pairs of id and data in the order of the answer."""
    return [list(pair) for pair in nodestore.get_multi(node_ids, subkey=subkey).items()]


def write(node_id: str, data: Any, subkeys: Optional[Dict[str, Any]] = None) -> None:
    """Write a node, with its subkeys if it has any."""
    nodestore.set_subkeys(node_id, {None: data, **(subkeys or {})})


def write_many(node_ids: Iterable[str]) -> None:
    """Write a small node under each of these ids."""
    for node_id in node_ids:
        nodestore.set(node_id, {"node": node_id})


def delete(node_id: str) -> None:
    """Delete a node."""
    nodestore.delete(node_id)


def delete_multi(node_ids: List[str]) -> None:
    """Delete several nodes in one call."""
    nodestore.delete_multi(node_ids)


def cached(node_ids: List[str]) -> List[str]:
    """Return which of these nodes are in Sentry's cache of nodes, in the order given."""
    items = nodestore.backend._get_cache_items(node_ids)
    return [node_id for node_id in node_ids if items.get(node_id)]


def json_of(data: Any) -> str:
    """Return the JSON that Sentry hands to the nodestore for this data."""
    return json_dumps(data)


def bootstrap() -> None:
    """Create the nodestore's table, as `sentry upgrade --with-nodestore` does."""
    nodestore.bootstrap()
