"""Keeps one core from idling until its parent ends: `python bench/spinner.py CORE`."""

import os
import sys


def main() -> None:
    """Count for ever, with whatever time nobody else wants."""
    parent = os.getppid()
    os.sched_setaffinity(0, {int(sys.argv[1])})
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        os.nice(19)  # a sandbox may know no idle class
    while os.getppid() == parent:
        for _ in range(1_000_000):
            pass


if __name__ == "__main__":
    main()
