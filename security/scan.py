"""Looks for known vulnerabilities in what this project is built of, and for committed secrets.

    scan.py [--complete] [go] [python] [secrets]

`go` is govulncheck, `python` is pip-audit, `secrets` is gitleaks over the whole history and what is
not committed yet. Each ends in one line: `ok`, `FAILED`, or `skipped` with the reason where a tool
or its database cannot be reached from this machine. What is skipped has not been checked; with
`--complete` it counts as failed. GOVULNDB, PIP_AUDIT_VULNERABILITY_SERVICE and PIP_AUDIT_OSV_URL
name other places to ask, as those tools have it.
"""

import argparse
import enum
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, NamedTuple, Optional

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = REPOSITORY / ".cache"

GOVULNCHECK = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
GITLEAKS = "github.com/zricethezav/gitleaks/v8@v8.30.1"
PIP_AUDIT = REPOSITORY / "security" / "requirements.txt"

# Environments that are old on purpose: of old Pythons, pips and Sentrys, in which tests run.
_OLD = re.compile(r"-3\.[0-9]\b|cli-|pip-1|pip-2[0-5]|sentry")

_SECONDS = 900  # for one command: a tool is compiled at its first use
_LEAKS_FOUND = 3  # the exit status that gitleaks is told to have for them


class Status(enum.Enum):
    """How a scan ended."""

    OK = "ok"
    FAILED = "FAILED"
    SKIPPED = "skipped"


class Outcome(NamedTuple):
    """The end of one scan.

    :ivar text: What was looked at, what is wrong, or why nothing was looked at.
    """

    status: Status
    text: str

    def __str__(self) -> str:
        return f"{self.status.value}: {self.text}"


class _Unreachable(Exception):
    """A tool, or what it asks, cannot be had from this machine."""


def go(folder: Path = REPOSITORY) -> Outcome:
    """Look for calls of Go code, the standard library's included, with a known vulnerability."""
    database = os.environ.get("GOVULNDB") or "https://vuln.go.dev"
    done = _go_tool(GOVULNCHECK, ["-db", database, "./..."], folder)
    said = done.stdout + done.stderr
    if done.returncode == 0:
        return Outcome(Status.OK, "no known vulnerability in what the Go code calls")
    # In a folder there is no network to blame.
    unanswered = re.search(
        "^(govulncheck: fetching vulnerabilities|creating client): ", done.stderr
    )
    if unanswered and not database.startswith("file:"):
        raise _Unreachable("govulncheck cannot reach its database: " + _last_line(said))
    return Outcome(Status.FAILED, f"govulncheck, exit status {done.returncode}:\n{said.strip()}")


def requirements(folder: Path = REPOSITORY) -> list[Path]:
    """Give the files with what is installed to build, check, measure and test with today's
    versions."""
    found = [*folder.glob("requirements*.txt"), *folder.glob("*/requirements*.txt")]
    found += folder.glob("tests/requirements/*.txt")
    return [path for path in sorted(found) if not _OLD.search(path.name)]


def python(folder: Path = REPOSITORY) -> Outcome:
    """Look pinned Python packages up among the known vulnerabilities."""
    command = [_pip_audit(), "--format", "json", "--progress-spinner", "off", "--no-deps"]
    command += ["--disable-pip", "--requirement"]
    dependencies = []
    # One by one: files with hashes and files without do not go together.
    for path in requirements(folder):
        done = _run([*command, str(path)], folder)
        try:
            dependencies += json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError):
            last = _last_line(done.stderr)
            if any(word in last for word in ("Connection", "Timeout", "Could not connect")):
                raise _Unreachable(f"pip-audit cannot reach its service: {last}") from None
            return Outcome(Status.FAILED, f"pip-audit of {path.relative_to(folder)}: {last}")
    return audited(dependencies)


def audited(dependencies: list[dict[str, object]]) -> Outcome:
    """Judge what pip-audit tells of each package.

    It passes over a package that its service does not answer for, and calls that a success.

    :raises _Unreachable: when it was so for one of them.
    """
    vulnerable = [one for one in dependencies if one.get("vulns")]
    if vulnerable:
        lines = [
            "{} {}: {} ({})".format(
                one["name"],
                one["version"],
                found["id"],
                "mended in " + ", ".join(found["fix_versions"])
                if found.get("fix_versions")
                else "not mended in any version",
            )
            for one in vulnerable
            for found in one["vulns"]
        ]
        return Outcome(Status.FAILED, "known vulnerabilities:\n" + "\n".join(sorted(set(lines))))
    names = {str(one["name"]) for one in dependencies}
    unknown = sorted({str(one["name"]) for one in dependencies if "skip_reason" in one})
    if unknown:
        raise _Unreachable(
            f"the vulnerability service does not answer for {len(unknown)} of "
            f"{len(names)} packages: {_some(unknown)}"
        )
    return Outcome(Status.OK, f"no known vulnerability in {len(names)} Python packages")


def secrets(folder: Path = REPOSITORY) -> Outcome:
    """Look for secrets in all commits, and in what is changed and not committed."""
    if not (folder / ".git").exists():
        raise _Unreachable("there is no Git repository here")
    told = ["--no-banner", "--no-color", "--redact", "--exit-code", str(_LEAKS_FOUND), "--verbose"]
    told += ["--config", str(REPOSITORY / "security" / "gitleaks.toml")]
    changes = _run(["git", "diff", "HEAD"], folder).stdout
    for what, given in ((["git", "."], None), (["stdin"], changes)):
        done = _go_tool(GITLEAKS, [*what, *told], folder, given)
        if done.returncode == _LEAKS_FOUND:
            return Outcome(Status.FAILED, "gitleaks found secrets:\n" + done.stdout.strip())
        if done.returncode:
            return Outcome(
                Status.FAILED, f"gitleaks, exit status {done.returncode}: {done.stderr.strip()}"
            )
    commits = _run(["git", "rev-list", "--count", "HEAD"], folder).stdout.strip()
    return Outcome(Status.OK, f"no secret in {commits} commits and what is not committed")


SCANS: dict[str, Callable[[], Outcome]] = {"go": go, "python": python, "secrets": secrets}


def outcome_of(scan: Callable[[], Outcome]) -> Outcome:
    """Run a scan, and give what cannot be reached as an outcome, too."""
    try:
        return scan()
    except _Unreachable as problem:
        return Outcome(Status.SKIPPED, f"{problem}. Nothing was checked.")


def _go_tool(
    tool: str, arguments: Sequence[str], folder: Path, given: Optional[str] = None
) -> subprocess.CompletedProcess:
    """Run a Go program at a pinned version.

    :raises _Unreachable: when it cannot be downloaded.
    """
    home = CACHE / "security"
    module, _, pinned = tool.partition("@")
    # Built by itself: `go run` tells every failure of the program as exit status 1.
    program = home / pinned / Path(module.replace("/v8", "")).name
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        variables = dict(os.environ, GOBIN=str(program.parent))
        built = _run(["go", "install", tool], REPOSITORY, variables=variables)
        if built.returncode:
            raise _Unreachable(f"{tool} cannot be installed: {_last_line(built.stderr)}")
    return _run([str(program), *arguments], folder, given)


def _pip_audit() -> str:
    """Give the path of pip-audit in an environment of its own.

    :raises _Unreachable: when it cannot be installed.
    """
    key = hashlib.sha256(PIP_AUDIT.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = CACHE / "security" / f"pip-audit-{key}"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
        done = _run([*pip, "--requirement", str(PIP_AUDIT)], REPOSITORY)
        if done.returncode:
            raise _Unreachable(f"pip-audit cannot be installed: {_last_line(done.stderr)}")
        (home / "ready").touch()
    return str(home / "bin" / "pip-audit")


def _run(
    command: Sequence[str],
    folder: Path,
    given: Optional[str] = None,
    variables: Optional[dict[str, str]] = None,
) -> subprocess.CompletedProcess:
    return subprocess.run(
        list(command),
        cwd=str(folder),
        input=given if given is not None else "",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        timeout=_SECONDS,
        env=variables,
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" and others" if len(names) > 5 else "")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("exit status")]
    return lines[-1] if lines else "it said nothing"


def main() -> int:
    """Run the scans that are named, else all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", nargs="*", choices=[*SCANS, []], metavar="|".join(SCANS))
    parser.add_argument("--complete", action="store_true", help="fail where a scan is skipped")
    asked = parser.parse_args()
    failed = False
    for name in asked.scans or SCANS:
        outcome = outcome_of(SCANS[name])
        print(f"{name}: {outcome}", flush=True)
        failed |= outcome.status is Status.FAILED
        failed |= asked.complete and outcome.status is Status.SKIPPED
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
