"""Measures this package beside the SDKs of Tablestore and bare HTTP: `make bench`, or see --help.

The contestants make the same calls, each in a process of its own, one right after the other, round
by round. What counts is the median of the rounds' ratios: absolute figures depend on the machine
and on what else runs there. README.md says who they are.
"""

import argparse
import sys
from typing import Iterator, Sequence

import client_environment
import facts
import programs
import report
from client_environment import ROOT
from clients import ClientError, clients
from parts import PARTS, Part
from results import Results
from versions import versions


def measure(part: Part, pythons: Sequence[str], rounds: int, seconds: float) -> Results:
    """Measure the cells of a part.

    :param pythons: The versions of CPython that are here.
    :param seconds: How long each contestant makes calls of one kind in one round.
    """
    results = Results()
    for python in pythons:
        for size in part.sizes:
            for latency in part.latencies:
                _measure(results, part, python, size, latency, rounds, seconds)
    _say("")
    return results


def _measure(
    results: Results,
    part: Part,
    python: str,
    size: int,
    latency: int,
    rounds: int,
    seconds: float,
) -> None:
    interpreter = client_environment.ensure(python)
    where = f"CPython {python}, {size // 1000} KB, {latency} ms: "
    names = part.contestants
    with clients(interpreter, names, size, part.nodes(size), latency) as started:
        for round in range(rounds + 1):
            # The first one warms up: answers, connections, the interpreter's specialisation.
            warming = round == 0
            _say(where + ("warming up" if warming else f"round {round}"))
            order = [names[(round + i) % len(names)] for i in range(len(names))]
            for cell in part.cells(python, size, latency):
                runs = {name: started[name].run(cell, seconds) for name in order}
                if not warming:
                    results.add(cell, {name: runs[name] for name in names})


def _say(text: str) -> None:
    """Tell the one who waits how far it is."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="" if text else "\r", file=sys.stderr, flush=True)


def here(versions: Sequence[str]) -> Iterator[str]:
    """Give those versions of CPython for which there is an environment, and say which are not."""
    for version in versions:
        try:
            client_environment.ensure(version)
            yield version
        except client_environment.NoEnvironmentError as error:
            print(f"bench: not run: {error}", file=sys.stderr)


def run(name: str, rounds: int, seconds: float, saved: bool) -> None:
    """Measure a part and print it."""
    part = PARTS[name]
    pythons = list(here(part.pythons))
    if not pythons:
        return
    seconds = seconds or part.seconds
    gathered = facts.timed(facts.typed(), list(versions(pythons)))
    gathered["figures"] = f"{rounds} rounds of {seconds} s for each"
    missing = [version for version in part.pythons if version not in pythons]
    if missing:
        gathered["not run, for want of an interpreter"] = "CPython " + ", ".join(missing)
    with programs.busy_cores():
        results = measure(part, pythons, rounds, seconds)
    section = report.text(part, facts.lines(gathered), results)
    print(f"## {name}\n\n{section}")
    if saved:
        report.save(name, section)
        print(f"saved in {report.FILE.relative_to(ROOT)}")


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all of them by default")
    parser.add_argument("--rounds", type=int, default=7, help="rounds to take medians of (7)")
    parser.add_argument("--seconds", type=float, default=0, help="time of each run (0.3 or 0.5)")
    parser.add_argument(
        "--save", action="store_true", help="also write to docs/results/bench.md and the README"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    try:
        programs.build()
        for name in arguments.parts or PARTS:
            run(name, arguments.rounds, arguments.seconds, arguments.save)
    except (programs.ProgramError, ClientError) as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
