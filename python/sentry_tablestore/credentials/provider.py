"""What the option `credentials_provider` may name."""

import importlib
import re
import threading
from typing import Any, Callable, Dict

from ..errors import TablestoreOptionsError
from .metadata_service import ROLE_NAME, EcsRamRole

ECS_RAM_ROLE = "ecs_ram_role"

_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z")
_METHODS = ("get_credentials", "get_credential")

_loaded: Dict[str, Callable[[], Any]] = {}
_loading = threading.RLock()


class Provider:
    """A provider, and what it is called in messages.

    :ivar name: As its user wrote it, or the place of its definition; never its `repr`.
    :ivar key: Equal for the same provider, in every thread.
    :ivar fetch: Gives an answer as `answer.of_answer` takes it.
    """

    __slots__ = ("fetch", "key", "name")

    def __init__(self, name: str, key: Any, fetch: Callable[[], Any]) -> None:
        self.name = name
        self.key = key
        self.fetch = fetch


def provider_of(given: Any) -> Provider:
    """Make sense of the option, importing what it names. Asks nobody for credentials.

    :param given: `'ecs_ram_role'` or `'ecs_ram_role:ROLE'`; the dotted path of one of the
        following; a callable without parameters; or an object with `get_credentials()` or
        `get_credential()`, as the SDKs of Alibaba Cloud have. A class is called for its object.
    :raises TablestoreOptionsError: naming what is wrong.
    """
    if not isinstance(given, str):
        return Provider(_name(given), id(given), _function(given, _name(given)))
    scheme, _, role = given.partition(":")
    if scheme == ECS_RAM_ROLE:
        if ":" in given and not ROLE_NAME.match(role):
            raise TablestoreOptionsError(
                "credentials_provider 'ecs_ram_role:ROLE' must have a RAM role's name after the "
                f"colon, not {role!r}"
            )
        return Provider(given, given, EcsRamRole(role))
    if not _PATH.match(given):
        raise TablestoreOptionsError(
            "credentials_provider must be 'ecs_ram_role', 'ecs_ram_role:ROLE', the dotted path of "
            f"a callable, or a callable, not {given!r}"
        )
    with _loading:
        if given not in _loaded:
            _loaded[given] = _function(_import(given), f"'{given}'")
    return Provider(given, given, _loaded[given])


def _import(path: str) -> Any:
    module, name = path.rsplit(".", 1)
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise TablestoreOptionsError(
            f"credentials_provider '{path}' cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(found, name):
        raise TablestoreOptionsError(f"credentials_provider '{path}': {module} has no {name}")
    return getattr(found, name)


def _function(given: Any, name: str) -> Callable[[], Any]:
    if isinstance(given, type):
        try:
            given = given()
        except Exception as error:
            raise TablestoreOptionsError(
                f"credentials_provider {name} cannot be made without parameters: "
                f"{type(error).__name__}"
            ) from error
    for method in _METHODS:
        if callable(getattr(given, method, None)):
            return getattr(given, method)
    if callable(given):
        return given
    raise TablestoreOptionsError(
        f"credentials_provider {name} is neither callable nor has it get_credentials()"
    )


def _name(given: Any) -> str:
    named = given if hasattr(given, "__qualname__") else type(given)
    return f"{named.__module__}.{named.__qualname__}"
