"""Text that is shown nowhere."""

from typing import Any


class Secret:
    """Text that no `repr`, traceback or pickle shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text; only for handing it on, never to keep in a variable."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> Any:
        raise TypeError(
            "credentials cannot be pickled or copied: make the store anew from its options"
        )
