"""The base class's only place."""

from stand_in import NewestNodeStorage as NodeStorage

__all__ = ["NodeStorage"]
