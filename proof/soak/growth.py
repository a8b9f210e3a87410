"""Samples of what processes use of the machine, and whether any of it grows."""

import itertools
import os
from statistics import median

MIB = 2**20
_CLOCK = os.sysconf("SC_CLK_TCK")


class Samples:
    """What processes were seen to use.

    :param processes: Their ids by their names.
    :ivar taken: For each sample: its second, the calls made so far, and by name of a process what
        it uses: `memory` (resident, bytes), `descriptors`, `threads`.
    """

    def __init__(self, processes):
        self.processes = processes
        self.taken = []

    def take(self, second, calls, **others):
        """Look at all processes.

        :param others: Numbers to note besides, by the names of processes, such as goroutines.
        """
        uses = {name: _use(pid) for name, pid in self.processes.items()}
        for what, by_name in others.items():
            for name, number in by_name.items():
                uses[name][what] = number
        self.taken.append((second, calls, uses))

    def cpu(self):
        """Give the seconds of CPU that each process has used up to now."""
        return {name: _cpu(pid) for name, pid in self.processes.items()}

    def counting(self):
        """Give the samples after the first quarter of the time, which is the warm-up."""
        begin = self.taken[-1][0] / 4
        return [sample for sample in self.taken if sample[0] >= begin]

    def growth(self, name, what="memory"):
        """Give by how many bytes, or whatever else, a process grew over the time that counts.

        By the median of the slopes between any two samples (Theil and Sen), which single peaks do
        not move: a process has up to twice its usual connections while many requests fail.
        """
        points = [(second, uses[name][what]) for second, _, uses in self.counting()]
        pairs = itertools.combinations(points, 2)
        slope = median((b - a) / (then - now) for (now, a), (then, b) in pairs)
        return slope * (points[-1][0] - points[0][0])

    def most(self, name, what):
        """Give the most of something that there was in the time that counts."""
        return max(uses[name][what] for _, _, uses in self.counting())

    def counted(self, name):
        """Name what is counted of a process besides what it takes of memory."""
        return [what for what in self.taken[0][2][name] if what not in ("memory", "blocks")]


def verdict(samples, limits, blocks, counted):
    """Give a line for everything that grew.

    :param limits: By names of processes, the bytes of memory that they may grow by.
    :param blocks: By how many of Python's blocks of memory one of its processes may grow.
    :param counted: By how many descriptors, threads and goroutines each.
    """
    lines = []
    for name in samples.processes:
        grew = samples.growth(name)
        if grew > limits[name]:
            lines.append(f"the memory of {name} grew by {grew / MIB:.1f} MiB")
        if "blocks" in samples.taken[0][2][name]:
            more = samples.growth(name, "blocks")
            if more > blocks:
                lines.append(f"{name} has {more:,.0f} more of Python's blocks of memory")
        for what in samples.counted(name):
            # Of whole numbers the growth is no more exact than it is shown.
            more = round(samples.growth(name, what), 1)
            if more > counted:
                lines.append(f"{name} has {more:.1f} more {what}")
    return lines


def _use(pid):
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.split(":", 1) for line in file)
    return {
        # A process that has just ended, and is about to be found so, has none.
        "memory": int(status.get("VmRSS", "0 kB").split()[0]) * 1024,
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(status["Threads"]),
    }


def _cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK
