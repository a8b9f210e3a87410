"""The base class's new place."""

from stand_in import TracedByFunctionNodeStorage as NodeStorage

__all__ = ["NodeStorage"]
