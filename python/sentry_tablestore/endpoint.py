"""The option `end_point`: an instance's address, and the instance's name that it tells."""

import ipaddress
import re
from typing import Any, Optional
from urllib.parse import urlsplit

from .errors import TablestoreOptionsError

_EXAMPLE = "such as https://INSTANCE.cn-hangzhou.ots.aliyuncs.com"
# Labels of at most 63 characters, by RFC 1035: what looks names up raises no OSError for others. Or
# an address of IPv6.
_HOST = re.compile(
    r"(?=[A-Za-z0-9])(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{0,62}[A-Za-z0-9]\.?\Z"
    r"|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\Z"
)


def check_endpoint(given: Any) -> str:
    """Give the endpoint without a trailing slash.

    No message repeats what was given beyond scheme and host: people put passwords into addresses.

    :raises TablestoreOptionsError: unless it is `http://` or `https://`, a host and at most a port.
    """
    if given is None or given == "":
        raise TablestoreOptionsError(
            "missing option end_point: the instance's address, " + _EXAMPLE
        )
    if not isinstance(given, str):
        raise TablestoreOptionsError(f"end_point must be a str, not {type(given).__name__}")
    if any(character.isspace() or not character.isprintable() for character in given):
        raise TablestoreOptionsError("end_point holds a space, a line break or a control character")
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise TablestoreOptionsError(
            "end_point is no address, or its port no number from 1 to 65535"
        ) from None
    if parts.scheme not in ("http", "https") or not given.lower().startswith(parts.scheme + "://"):
        raise TablestoreOptionsError("end_point must begin with http:// or https://, " + _EXAMPLE)
    if "@" in parts.netloc:
        raise TablestoreOptionsError(
            "end_point must hold no user or password: see access_key_id and access_key_secret"
        )
    if not parts.hostname or not _HOST.match(parts.hostname):
        raise TablestoreOptionsError("end_point has no valid host, " + _EXAMPLE)
    if port == 0 or parts.netloc.endswith(":"):
        raise TablestoreOptionsError(
            "end_point is no address, or its port no number from 1 to 65535"
        )
    if parts.path not in ("", "/") or "?" in given or "#" in given:
        raise TablestoreOptionsError(
            "end_point must be only scheme, host and port: nothing may follow the host, " + _EXAMPLE
        )
    return f"{parts.scheme}://{parts.netloc}"


_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa")


def is_open(end_point: str) -> bool:
    """Tell whether requests to it cross networks that others share without being encrypted.

    So it is for plain http, unless the host is this machine, an address of a private network
    (10.0.0.0/8, 192.168.0.0/16 and the like), or a name that only such a network knows: one without
    a dot, as containers have, or with an ending that is kept for that.
    """
    parts = urlsplit(end_point)
    if parts.scheme == "https":
        return False
    host = (parts.hostname or "").rstrip(".")
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE_SUFFIXES)


def instance_of(end_point: str) -> Optional[str]:
    """Give the instance that an endpoint of one instance names by the first label of its host.

    Those hosts are INSTANCE.REGION.ots.aliyuncs.com, INSTANCE.REGION.vpc.tablestore.aliyuncs.com
    and the like. Any other host tells nothing: None.
    """
    labels = (urlsplit(end_point).hostname or "").rstrip(".").split(".")
    if len(labels) >= 5 and labels[-2:] == ["aliyuncs", "com"]:
        return labels[0]
    return None
