"""The base class's only place."""

from stand_in import NodeStorage

__all__ = ["NodeStorage"]
