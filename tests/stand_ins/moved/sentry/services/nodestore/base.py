"""The base class's new place."""

from stand_in import NodeStorage

__all__ = ["NodeStorage"]
