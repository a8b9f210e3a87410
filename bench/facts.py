"""What figures were measured with: a page of results opens with it. See also page/facts.go."""

import datetime
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Sequence

ROOT = Path(__file__).resolve().parent.parent
# The pages themselves change no figure, and one run writes several.
_PAGES = (":!README.md", ":!docs/results")


def facts(command: str, versions: Sequence[str], **others: str) -> Dict[str, str]:
    """Gather the facts of a run that is about to begin; the load is this moment's.

    :param command: As it can be typed again in the repository.
    :param versions: Names with versions of what takes part.
    :returns: Texts by name, without a host's name or a path outside of the repository.
    """
    return {
        "command": f"`{command}`",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": f"{machine()}, load {os.getloadavg()[0]:.2f} before",
        "versions": ", ".join(versions),
        **others,
    }


def timed(
    command: str, versions: Sequence[str], patience: float = 180, **others: str
) -> Dict[str, str]:
    """Gather the facts of a run that measures rates or times, once the machine does nothing else.

    :param patience: Seconds to wait for that. What was built just before is soon forgotten; if
        other work goes on, the facts say that the figures are not to be relied on.
    """
    cores = len(os.sched_getaffinity(0))
    until = time.monotonic() + patience
    while _is_busy(cores) and time.monotonic() < until:
        print(f"waiting, the load is {os.getloadavg()[0]:.2f}", file=sys.stderr)
        time.sleep(10)
    gathered = facts(command, versions, **others)
    if _is_busy(cores):
        gathered["doubt"] = (
            "**the machine did other work. Rates and times are not to be relied on, and have to be "
            "taken again; sizes are as they are**"
        )
    return gathered


def typed() -> str:
    """Give the command of this process, as it can be typed in the repository."""
    program = Path(sys.argv[0]).resolve()
    if program.name == "__main__.py":
        program = program.parent
    return " ".join(["python", str(program.relative_to(ROOT)), *sys.argv[1:]])


def lines(gathered: Dict[str, str]) -> List[str]:
    """Write facts as the items of a list in Markdown."""
    return [f"- {name}: {text}" for name, text in gathered.items()]


def go_version() -> str:
    """Tell which Go builds the programs."""
    output = subprocess.check_output([os.environ.get("GO", "go"), "env", "GOVERSION"], text=True)
    return f"Go {output.strip()[2:]}"


def machine() -> str:
    """Describe the machine."""
    with open("/proc/cpuinfo") as file:
        models = re.findall(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
    with open("/proc/meminfo") as file:
        kilobytes = int(file.readline().split()[1])
    return (
        f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"{kilobytes / 2**20:.0f} GiB of memory, Linux {platform.release().split('-')[0]}"
    )


def _is_busy(cores: int) -> bool:
    return os.getloadavg()[0] > cores / 2


def _commit() -> str:
    """Give the commit that is checked out, with -dirty behind it if a file differs."""
    changed = ["git", "status", "--porcelain", "--untracked-files=no", "--", ".", *_PAGES]
    try:
        head = subprocess.check_output(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return head.strip() + ("-dirty" if subprocess.check_output(changed, cwd=ROOT) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # a source archive
