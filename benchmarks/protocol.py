"""What the processes of one run tell each other, as lines of JSON."""

from __future__ import annotations

import json
from typing import Self

import attrs

from benchmarks.workloads import Entry, Sizes

Figures = dict[str, float]
"""What was measured, by the gauges' keys; in SI units."""


@attrs.frozen
class Access:
    """Where a server is and what opens it: a token, or Thor's key."""

    base_url: str
    credential: str = attrs.field(repr=False)


@attrs.frozen
class Servers:
    """The three servers of one process: with reports, with the same and latency, and Thor's."""

    depot: Access
    slow_depot: Access
    thor: Access

    def to_line(self) -> str:
        """As one line."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Self:
        """From such a line."""
        return cls(**{name: Access(**access) for name, access in json.loads(line).items()})


@attrs.frozen
class Task:
    """What one child process measures."""

    workload: str
    entry: Entry
    sizes: Sizes
    servers: Servers

    def to_line(self) -> str:
        """As one line."""
        return json.dumps(
            {
                "workload": self.workload,
                "entry": attrs.asdict(self.entry),
                "sizes": attrs.asdict(self.sizes),
                "servers": self.servers.to_line(),
            }
        )

    @classmethod
    def from_line(cls, line: str) -> Self:
        """From such a line."""
        told = json.loads(line)
        return cls(
            told["workload"],
            Entry(**told["entry"]),
            Sizes(**told["sizes"]),
            Servers.from_line(told["servers"]),
        )
