"""Access keys that change while a process runs: the option `credentials_provider`.

- `answer`: what a provider may answer, and the `Credentials` made of it;
- `provider`: what the option may name;
- `rotation`: when a provider is asked again, in threads and forked children;
- `metadata_service`: the RAM role of an ECS instance, `ecs_ram_role`.

docs/credentials.md is for those who run Sentry.
"""

from .answer import Credentials
from .metadata_service import EcsRamRole, ecs_ram_role
from .provider import Provider, provider_of
from .rotation import Rotation, rotation_of

__all__ = [
    "Credentials",
    "EcsRamRole",
    "Provider",
    "Rotation",
    "ecs_ram_role",
    "provider_of",
    "rotation_of",
]
