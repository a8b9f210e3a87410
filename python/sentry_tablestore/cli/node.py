"""A node as Sentry writes it: a line of JSON, then pairs of lines, a subkey and its JSON."""

import hashlib
import json
from typing import Any, Dict, List, Tuple

import click


def node_id(project: int, event: str) -> str:
    """Give the id of an event's node, as Sentry makes it."""
    text = "{}:{}".format(project, event.replace("-", "").lower())
    return hashlib.md5(text.encode("utf-8")).hexdigest()


def split(id: str, value: bytes) -> Tuple[bytes, Dict[str, bytes]]:
    """Give the payload and the subkeys of a node.

    :raises click.ClickException: for what no Sentry that writes JSON has written.
    """
    lines = value.split(b"\n")
    if len(lines) % 2 == 0:
        raise click.ClickException(
            f"node '{id}' is not what Sentry writes: its last subkey has no value (--raw shows it)"
        )
    for line in [lines[0]] + lines[2::2]:
        try:
            json.loads(line.decode("utf-8"))
        except RecursionError:
            raise too_deep(id) from None
        except ValueError:
            kind = "a pickle of an old Sentry" if line.startswith(b"\x80") else "something else"
            raise click.ClickException(
                f"node '{id}' holds no JSON but {kind} (--raw shows it)"
            ) from None
    subkeys = [name.decode("utf-8", "replace") for name in lines[1::2]]
    return lines[0], dict(zip(subkeys, lines[2::2]))


def too_deep(id: str) -> click.ClickException:
    """Give the error for a node that Python cannot read."""
    return click.ClickException(
        f"node '{id}' holds JSON that is nested too deeply (--raw shows it)"
    )


def join(payload: bytes, subkeys: Dict[str, bytes]) -> bytes:
    """Make a node's value of its parts."""
    lines: List[bytes] = [payload]
    for name, value in subkeys.items():
        lines += [name.encode("utf-8"), value]
    return b"\n".join(lines)


def encode(text: bytes) -> bytes:
    """Write JSON again as Sentry does: on one line, compact, keys sorted, ASCII.

    :raises click.ClickException: when it is no JSON.
    """
    try:
        value: Any = json.loads(text.decode("utf-8"), parse_constant=_refuse)
        return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")
    except RecursionError:
        raise click.ClickException(
            "the input is JSON that is nested too deeply (--raw takes anything)"
        ) from None
    except ValueError as error:
        raise click.ClickException(
            f"the input is no JSON: {error} (--raw takes anything)"
        ) from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed in JSON")
