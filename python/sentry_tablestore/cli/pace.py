"""How far a long command is, as a line on stderr now and then."""

import time

import click

_INTERVAL = 10.0  # seconds


class Pace:
    """Tells every ten seconds how much was done.

    :param done: What was done to the nodes, such as "exported".
    :ivar nodes: As many as it was told of last.
    """

    def __init__(self, done: str) -> None:
        self._done = done
        self._begun = self._told = time.monotonic()
        self.nodes = 0

    def show(self, nodes: int, size: int) -> None:
        """Take how far it is: nodes, and bytes of their values."""
        self.nodes = nodes
        now = time.monotonic()
        if now - self._told < _INTERVAL:
            return
        self._told = now
        elapsed = now - self._begun
        click.echo(
            f"{nodes:,} nodes {self._done} ({size // 10**6:,} MB) in {elapsed:,.0f} s, "
            f"{nodes / elapsed:,.0f} a second",
            err=True,
        )
