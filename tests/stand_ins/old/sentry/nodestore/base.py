"""The base class's only place."""

from stand_in import TracedNodeStorage as NodeStorage

__all__ = ["NodeStorage"]
