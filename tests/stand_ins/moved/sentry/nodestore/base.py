"""The base class's old place."""

raise AssertionError("the old place of the base class was imported, though the new one is there")
