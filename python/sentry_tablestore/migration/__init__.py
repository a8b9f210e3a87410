"""Live and complete migration of a Sentry nodestore to Tablestore: `sentry-tablestore migrate`.

::

    sources/       where nodes come from: PostgreSQL, any NodeStorage class, a table of Tablestore
    checkpoint.py  how far a migration is, on disk or in the source's database; one writer only
    carry.py       one page of rows into the target, with what became of each row
    run.py         workers, pauses after failures, Ctrl-C
    rate.py        rows or bytes a second
    legacy.py      pickles to JSON, by Sentry's own reader in a process of its own
    estimate.py    --dry-run
    progress.py    a bar or lines
    report.py      the end

The order of steps for an operator is in `sentry-tablestore migrate --help`.
"""
