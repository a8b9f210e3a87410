"""What figures were measured with: a page of results opens with it. See also page/facts.go."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Dict, List, Optional, Sequence

ROOT = Path(__file__).resolve().parent.parent


def facts(command: str, versions: Sequence[str], **others: str) -> Dict[str, str]:
    """Gather the facts of a run that is about to begin; the load is this moment's.

    :param command: As it can be typed again in the repository.
    :param versions: Names with versions of what takes part.
    :returns: Texts by name, without a host's name or a path outside of the repository.
    """
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return {
        "command": f"`{command}`",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit.stdout.strip() or "unknown",
        "machine": _machine(),
        "versions": ", ".join(versions),
        **others,
    }


def go_version() -> str:
    """Tell which Go builds the programs."""
    output = subprocess.check_output([os.environ.get("GO", "go"), "env", "GOVERSION"], text=True)
    return f"Go {output.strip()[2:]}"


def lines(gathered: Dict[str, str]) -> List[str]:
    """Write facts as the items of a list in Markdown."""
    return [f"- {name}: {text}" for name, text in gathered.items()]


def busy() -> Optional[str]:
    """Say so if other work runs here, of which figures of a run that begins now would be a part."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load <= cores / 2:
        return None
    return (
        f"**The machine did other work: a load of {load:.0f} on {cores} cores before. Rates and "
        "times are not to be relied on, and have to be taken again; sizes are as they are.**"
    )


def _machine() -> str:
    with open("/proc/cpuinfo") as file:
        models = re.findall(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
    with open("/proc/meminfo") as file:
        kilobytes = int(file.readline().split()[1])
    return (
        f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"{kilobytes / 2**20:.0f} GiB of memory, Linux {platform.release().split('-')[0]}, "
        f"load {os.getloadavg()[0]:.2f} before"
    )
