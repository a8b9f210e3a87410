"""The RAM role of an ECS instance: its temporary access key, from the instance's metadata service.

https://www.alibabacloud.com/help/en/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance:
a PUT gives a token for the metadata, a GET with that token the role's name, and another one the
key. Only this mode, which the service calls hardened, is used.

The service has an address that every instance reaches directly. No proxy of the environment is
asked: it would see the key, and would give that of the machine that it runs on.
"""

import http.client
import io
import json
import os
import re
import socket
import time
from typing import Any, Dict, Optional, Tuple
from urllib.parse import urlsplit

from ..secret import Secret

ENDPOINT = "http://100.100.100.200"
TIMEOUT = 5.0
"""Seconds for all requests together. They take milliseconds on an instance."""

ROLE_VARIABLE = "ALIBABA_CLOUD_ECS_METADATA"
DISABLED_VARIABLE = "ALIBABA_CLOUD_ECS_METADATA_DISABLED"

ROLE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")

_TOKEN_PATH = "/latest/api/token"
_ROLES_PATH = "/latest/meta-data/ram/security-credentials/"
_TOKEN_LIFE = 60  # seconds: one for each time that credentials are asked for
_LARGEST_ANSWER = 64 * 1024
_ATTEMPTS = 3
_PAUSE = 0.2  # seconds, doubled after each attempt


class MetadataError(Exception):
    """The metadata service gave no credentials; the text says why, and holds no answer."""


class _Temporary(MetadataError):
    """Worth another attempt."""


class EcsRamRole:
    """Gives the temporary access key of a RAM role that is attached to this ECS instance.

    :param role: The role's name; "": the environment's `ALIBABA_CLOUD_ECS_METADATA`, else the one
        that the instance has.
    :param endpoint: `http://host[:port]` of the metadata service.
    :param timeout: Seconds for all that one call asks for.
    """

    def __init__(self, role: str = "", endpoint: str = "", timeout: float = TIMEOUT) -> None:
        self.role = role
        self.endpoint = endpoint
        self.timeout = timeout

    def __call__(self) -> Dict[str, Optional[str]]:
        """Ask for the key.

        :returns: `access_key_id`, `access_key_secret`, `security_token` and `expiration`, ISO 8601.
        :raises MetadataError: saying what to do, where there is something.
        """
        if os.environ.get(DISABLED_VARIABLE, "").lower() in ("true", "1"):
            raise MetadataError(f"{DISABLED_VARIABLE} in the environment forbids it")
        deadline = time.monotonic() + self.timeout
        pause = _PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._ask(deadline)
            except _Temporary:
                if attempt == _ATTEMPTS or time.monotonic() + pause >= deadline:
                    raise
            time.sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def _ask(self, deadline: float) -> Dict[str, Optional[str]]:
        token = self._request(
            "PUT",
            _TOKEN_PATH,
            ("X-aliyun-ecs-metadata-token-ttl-seconds", Secret(str(_TOKEN_LIFE))),
            deadline,
        )
        header = ("X-aliyun-ecs-metadata-token", token)
        role = self.role or os.environ.get(ROLE_VARIABLE, "") or self._discover(header, deadline)
        if not ROLE_NAME.match(role):
            raise MetadataError(f"{role!r} is no name of a RAM role")
        answer = self._request("GET", _ROLES_PATH + role, header, deadline)
        found, problem = _parsed(answer)
        if problem:
            raise MetadataError(f"RAM role {role}: {problem}")
        return found

    def _discover(self, header: Tuple[str, Secret], deadline: float) -> str:
        names = self._request("GET", _ROLES_PATH, header, deadline).reveal().split()
        if not names:
            raise MetadataError("no RAM role is attached to this instance")
        return names[0]

    def _request(
        self, method: str, path: str, header: Tuple[str, Secret], deadline: float
    ) -> Secret:
        """Exchange one request, ended by the deadline however slowly the answer comes."""
        endpoint = self.endpoint or ENDPOINT
        parts = urlsplit(endpoint)
        what = f"{method} {path} of the metadata service {endpoint}"
        try:
            sock = socket.create_connection(
                (parts.hostname, parts.port or 80), timeout=_left(deadline)
            )
            with sock:
                sock.sendall(
                    (
                        f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                        f"{header[0]}: {header[1].reveal()}\r\n"
                        "Content-Length: 0\r\nConnection: close\r\n\r\n"
                    ).encode("latin-1")
                )
                with http.client.HTTPResponse(_Timed(sock, deadline), method=method) as answer:
                    answer.begin()
                    status = answer.status
                    body = Secret(answer.read(_LARGEST_ANSWER + 1).decode("utf-8"))
                    if answer.length:
                        raise _Temporary(f"{what}: the answer is cut off or over 64 KiB")
        except socket.timeout:
            raise _Temporary(
                f"{what}: no answer within {self.timeout:g} seconds; is this an ECS instance?"
            ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Not its text: of a broken answer that holds a part.
            reason = os.strerror(error.errno) if getattr(error, "errno", None) else ""
            raise _Temporary(f"{what}: {type(error).__name__} {reason}".rstrip()) from None
        if status == 404 and path.startswith(_ROLES_PATH):
            role = path[len(_ROLES_PATH) :]
            raise MetadataError(
                f"no RAM role '{role}' is attached to this instance (HTTP 404)"
                if role
                else "no RAM role is attached to this instance (HTTP 404)"
            )
        if status != 200:
            failure = _Temporary if status == 429 or status >= 500 else MetadataError
            raise failure(f"{what}: HTTP {status}")
        return body


ecs_ram_role = EcsRamRole()
"""The role that is attached to this instance."""


def _parsed(answer: Secret) -> Tuple[Dict[str, Optional[str]], str]:
    """Give the parts of the answer, or what is wrong with it."""
    try:
        fields = json.loads(answer.reveal())
    except ValueError:
        return {}, "the metadata service's answer is no JSON"
    if not isinstance(fields, dict):
        return {}, "the metadata service's answer is no JSON object"
    code = fields.get("Code")
    if code != "Success":
        return {}, f"the metadata service answers with Code {str(code)[:100]!r}, not 'Success'"
    names = {
        "access_key_id": "AccessKeyId",
        "access_key_secret": "AccessKeySecret",
        "security_token": "SecurityToken",
        "expiration": "Expiration",
    }
    for name in names.values():
        if not isinstance(fields.get(name), str) or not fields[name]:
            return {}, f"the metadata service's answer has no {name}"
    return {ours: fields[theirs] for ours, theirs in names.items()}, ""


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout
    return left


class _Timed:
    """A socket as `HTTPResponse` takes it, all of whose reads end by one deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._reader = io.BufferedReader(_Reader(sock, deadline))

    def makefile(self, mode: str) -> io.BufferedReader:
        """Give what is read from."""
        return self._reader


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)
