"""What a run has measured: every round, the medians, and what they were measured on."""

from __future__ import annotations

import os
import platform
import statistics
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version

import attrs

from benchmarks.protocol import Figures
from benchmarks.targets import Medians, outcomes
from benchmarks.workloads import WORKLOADS, Sizes, Workload

PACKAGES = (
    "thor-depot-clients",
    "aiohttp",
    "attrs",
    "cattrs",
    "httpx",
    "msgspec",
    "pyarrow",
    "pydantic",
)


def _nothing() -> defaultdict[tuple[str, str], list[Figures]]:
    return defaultdict(list)


@attrs.frozen
class Results:
    """The figures of a run.

    Attributes:
        sizes: How much there was to do.
        rounds: Of each workload and entry, one entry a round.
        began: When, UTC.
    """

    sizes: Sizes
    rounds: defaultdict[tuple[str, str], list[Figures]] = attrs.field(factory=_nothing)
    began: datetime = attrs.field(factory=lambda: datetime.now(UTC))

    @property
    def workloads(self) -> list[Workload]:
        """Those that were measured."""
        measured = {key for key, _ in self.rounds}
        return [workload for workload in WORKLOADS if workload.key in measured]

    def medians(self) -> Medians:
        """The median of all rounds of each figure."""
        return {
            (workload, entry, gauge): statistics.median(figures[gauge] for figures in rounds)
            for (workload, entry), rounds in self.rounds.items()
            for gauge in rounds[0]
        }

    def about(self) -> dict[str, str]:
        """What has to be known of the run to compare it with another one."""
        return {
            "date": self.began.isoformat(timespec="seconds"),
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            "rounds": ", ".join(
                f"{workload.key}: {len(self.rounds[workload.key, workload.entries[0].name])}"
                for workload in self.workloads
            ),
            **{name: version(name) for name in PACKAGES},
        }

    def to_json(self) -> dict[str, object]:
        """All of it, for a file."""
        medians = self.medians()
        return {
            "about": self.about(),
            "sizes": attrs.asdict(self.sizes),
            "workloads": {
                workload.key: {
                    "title": workload.title,
                    "entries": {
                        entry.name: {
                            "median": {
                                gauge: medians[workload.key, entry.name, gauge]
                                for gauge in self.rounds[workload.key, entry.name][0]
                            },
                            "rounds": self.rounds[workload.key, entry.name],
                        }
                        for entry in workload.entries
                    },
                }
                for workload in self.workloads
            },
            "targets": [
                {
                    **attrs.asdict(outcome.target),
                    "figure": outcome.figure,
                    "figure_beside": outcome.beside,
                    "met": outcome.is_met,
                }
                for outcome in outcomes(medians)
            ],
        }
