"""The page of results that `make migration-proof` writes."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import debian
import environment
import nodestore_rows as kinds
from migrating import Ended

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "bench"))

import facts

_MEANING = {
    kinds.NORMAL: "only in PostgreSQL",
    kinds.SAME: "already in the table, as an earlier import would have left them",
    kinds.OLDER: "in the table with an older write time",
    kinds.NEWER: "in the table with a newer write time",
    kinds.EXPIRED: "older than `default_ttl`",
    kinds.PICKLE: "legacy pickles",
    kinds.BROKEN: "no base64 of a zlib stream",
    kinds.DELETED: "deleted in Sentry while the migration was going on",
}


def begun(rows: int, kills: int) -> dict[str, str]:
    """Gather what the page opens with, before the load is the proof's own."""
    python = subprocess.check_output([str(environment.HOME / "bin" / "python"), "-V"], text=True)
    postgresql = subprocess.check_output([str(debian.program("postgres")), "--version"], text=True)
    versions = [
        f"Sentry 23.7.1 on {python.strip().replace('Python', 'CPython')}",
        f"PostgreSQL {postgresql.split()[2]}",
        facts.go_version(),
    ]
    command = f"make migration-proof MIGRATION_ROWS={rows} MIGRATION_KILLS={kills}"
    return facts.facts(command, versions)


def write(
    path: Path,
    *,
    gathered: dict[str, str],
    made: "Counter[str]",
    kills: list[int],
    interrupted: Ended,
    last: Ended,
    pickles: Ended,
    unread: int,
    overtaken: int,
    deleted_meanwhile: int,
    busy: list[int],
    saved: int,
    seen: dict[str, Any],
    compared: dict[str, Any],
    complete: dict[str, Any],
    compared_nodes: int,
    seconds: float,
    runs: list[Ended],
) -> None:
    """Write what the proof showed; it has been asserted before.

    :param gathered: What `begun` gave.
    :param made: Rows of the source by their kinds.
    :param kills: Rows that the checkpoint counted at each kill.
    :param unread: Rows that Sentry deleted between two runs before any run had counted them.
    :param overtaken: The same during a run.
    :param deleted_meanwhile: All rows that Sentry deleted during a run.
    :param busy: Requests that the target refused as a whole, and of which it refused rows.
    :param compared: What `verify` counted.
    :param complete: The same without the broken rows.
    :param compared_nodes: Rows of the source at that time.
    :param runs: All of them.
    """
    rows = sum(made.values())
    counts = last.counts()
    deleted = counts.get("deleted", 0)
    lines = [
        "# A migration that is killed again and again",
        "",
        "A real Sentry 23.7.1, a real PostgreSQL (without synced writes), `tablestore-local` with "
        "its data in a folder, all on one machine. A worker saves events all the time; another "
        "Sentry reads old and new ones at random, one and many at once; a third one deletes, half "
        "of what it deletes while a run goes on that is killed then. The run that Ctrl-C ends is "
        "asked to slow down. Under the last one PostgreSQL is restarted; the Sentrys have ended "
        "before.",
        "",
        *facts.lines(gathered),
        "",
        "| | |",
        "|---|--:|",
        f"| rows in the source | {rows:,} |",
        *(f"| … {_MEANING[kind]} | {made[kind]:,} |" for kind in _MEANING),
        f"| runs killed with -9 | {len(kills)} |",
        f"| rows that the checkpoint counted at each kill | {', '.join(map(_number, kills))} |",
        f"| runs ended with Ctrl-C, and after how long | 1, {interrupted.seconds:.2f} s |",
        f"| requests that were refused as too many, as a whole and some of their rows | "
        f"{busy[0]:,} and {busy[1]:,} |",
        f"| rows deleted during runs | {deleted_meanwhile:,} |",
        f"| events that the worker saved meanwhile | {saved:,} |",
        f"| reads of old events meanwhile | {seen['reads']:,} |",
        f"| reads of new events meanwhile | {seen['reads of new']:,} |",
        f"| of all these missing, wrong or failed | {seen['misses']:,} |",
        f"| time of all runs, with what was done between them | {seconds:.0f} s |",
        "| most memory of the migrating process in any run | "
        f"{max(run.alone for run in runs) / 1e6:,.0f} MB |",
        "| … together with the Sentry that reads the settings in the first seconds, and ends | "
        f"{max(run.together for run in runs if run is not pickles) / 1e6:,.0f} MB |",
        "| … together with the Sentry that reads pickles, with `--allow-pickle` | "
        f"{pickles.together / 1e6:,.0f} MB |",
        "",
        "## Do the counts add up?",
        "",
        "The checkpoint carries the counts from run to run, saved together with the cursors. So "
        "the report of the last run is about all runs, those that were killed included. Each line "
        "below is an assertion of the test.",
        "",
        "| The report | | What it must be | |",
        "|---|--:|---|--:|",
        f"| rows read | {counts['read']:,} | sum of the report's other lines | "
        f"{sum(counts[name] for name in counts if name != 'read'):,} |",
        f"| rows read | {counts['read']:,} | rows in the source, without {unread:,} that Sentry "
        "deleted between two runs and that lay behind no cursor then, and without "
        f"{overtaken:,} that it deleted during a run before that had counted them | "
        f"{rows - unread - overtaken:,} |",
        f"| moved, and deleted meanwhile | {counts['moved'] + deleted:,} | rows to move, and rows "
        "that Sentry deleted, without the same two numbers | "
        f"{_to_move(made) + made[kinds.DELETED] - unread - overtaken:,} |",
        *(
            f"| {name} | {counts[name]:,} | {_MEANING[name]} | {made[name]:,} |"
            for name in (kinds.NEWER, kinds.EXPIRED, kinds.PICKLE, kinds.BROKEN)
        ),
        f"| moved, with `--allow-pickle` | {pickles.counts()['moved']:,} | moved before, and "
        f"the pickles | {counts['moved'] + made[kinds.PICKLE]:,} |",
        f"| nodes that `verify` compared | {compared_nodes:,} | `SELECT count(*)` afterwards: "
        f"rows, without the deleted ones | {rows - made[kinds.DELETED]:,} |",
        f"| … same | {compared['same']:,} | rows to move, and the pickles | "
        f"{_to_move(made) + made[kinds.PICKLE]:,} |",
        f"| … newer in the table | {compared['newer']:,} | | {made[kinds.NEWER]:,} |",
        f"| … expired | {compared['expired']:,} | | {made[kinds.EXPIRED]:,} |",
        f"| … unreadable | {compared['unreadable']:,} | | {made[kinds.BROKEN]:,} |",
        "",
        f"The {overtaken:,} rows that were deleted during a run before that had counted them is "
        "the only number above that is not known independently: it lies between 0 and the rows "
        "that Sentry deleted during runs and that no earlier run had counted. Nodes, payloads and "
        "write times of the whole table "
        "were compared once more with what the test had made, without the program's own "
        "comparison: no difference, and nothing in the table that Sentry had deleted.",
        "",
        "Last, the broken rows were deleted from the source by the ids in the file of those that "
        f"failed: `verify` then compared {complete['nodes']:,} nodes, `SELECT count(*)` says the "
        "same, and it says `Complete.` with exit status 0.",
        "",
        "## The report of the last run",
        "",
        "```",
        _without_folders(last.stdout),
        "```",
        "",
        "After `--allow-pickle`:",
        "",
        "```",
        _without_folders(pickles.stdout),
        "```",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def _to_move(made: "Counter[str]") -> int:
    return made[kinds.NORMAL] + made[kinds.SAME] + made[kinds.OLDER]


def _number(n: int) -> str:
    return f"{n:,}"


def _without_folders(report: str) -> str:
    words = (
        Path(word).name if word.startswith("/") else word for word in report.strip().split(" ")
    )
    return " ".join(words)
