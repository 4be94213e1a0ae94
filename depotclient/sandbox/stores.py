"""Stores of all connectors of the sandbox, and the reports that they serve."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from depotclient.query import validate_connector
from depotclient.sandbox.make import change_report
from depotclient.sandbox.simulation import (
    SessionPlan,
    default_start,
    plan_sessions,
    simulate_sessions,
)
from depotclient.sandbox.store import ConnectorStore, Order, Pace, StoredReport
from evtransport.validation import validate_int

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

__all__ = ["Stores"]


@attrs.define(eq=False, kw_only=True)
class Stores:
    """Stores of all connectors. Any thread may read and change them.

    Args:
        chargers: Connector ids by charger id, or a number of chargers with connectors 1 and 2.
        sessions: Sessions per connector.
        seed: Seed of the sessions.
        order: Order of the items by time.
        cluster: Number of consecutive sessions that start in the same millisecond.
        start: Start of the first session of each connector, or None for the default.
        pace: Pace of live sessions, or None.
        render: Returns the JSON of a simulated session.

    Raises:
        ValueError: The chargers are invalid, or the last session ends in the future.
    """

    chargers: Mapping[str, Sequence[str | int]] | int
    sessions: int
    seed: int
    order: Order
    cluster: int
    start: datetime | None
    pace: Pace | None
    render: Callable[[SessionPlan], bytes]
    new_ids: Iterator[int] = attrs.field(init=False)
    _stores: dict[str, dict[str, ConnectorStore]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        first_ids = itertools.count(100_000_001, max(1, self.sessions))
        self._stores = {
            charger_id: {
                connector_id: self._make(charger_id, connector_id, self.sessions, next(first_ids))
                for connector_id in connector_ids
            }
            for charger_id, connector_ids in _parse_chargers(self.chargers).items()
        }
        self.new_ids = itertools.count(next(first_ids))

    def _make(
        self, charger_id: str, connector_id: str, sessions: int, first_id: int
    ) -> ConnectorStore:
        start = self.start or default_start(sessions)
        upcoming = plan_sessions(self.seed, charger_id, connector_id, start, first_id)
        plans = tuple(itertools.islice(upcoming, sessions))
        if self.start is not None and plans and plans[-1].end > time.time() * 1000:
            raise ValueError("start is too late: the last session ends in the future")
        reports = tuple(
            StoredReport.from_plan(plan.starting_at(plans[n - n % self.cluster].start))
            for n, plan in enumerate(plans)
        )
        [template] = simulate_sessions(self.seed, charger_id, connector_id, 1)
        draw = random.Random(f"{self.seed}/{charger_id}/{connector_id}/churn")  # noqa: S311
        return ConnectorStore(reports, self.order, self.seed, template, draw, upcoming)

    @property
    def ids(self) -> dict[str, tuple[str, ...]]:
        """Return the connector ids by charger id."""
        return {charger_id: tuple(stores) for charger_id, stores in self._stores.items()}

    def find(self, charger_id: str, connector_id: str | int) -> ConnectorStore:
        """Return the store of a connector, with its live sessions up to now.

        Raises:
            ValueError: The charger or the connector is unknown.
        """
        stores = self._stores.get(charger_id)
        if stores is None:
            raise ValueError(f"unknown charger {charger_id!r}; known: {', '.join([*self._stores])}")
        store = stores.get(str(connector_id))
        if store is None:
            known = ", ".join([*stores])
            raise ValueError(f"unknown connector {connector_id!r} of {charger_id}; known: {known}")
        if self.pace is not None:
            store.add_ended(self.pace.ends(), self.new_ids)
        return store

    def json(self, report: StoredReport) -> bytes:
        """Return the JSON of a report."""
        content = report.content
        return content if isinstance(content, bytes) else self.render(content)

    def add(self, charger_id: str, connector_id: str | int, reports: Iterable[bytes]) -> None:
        """Add reports, and their connector if necessary. Raise ValueError if one is invalid."""
        charger_id, connector_id = validate_connector(charger_id, connector_id)
        store = self._stores.get(charger_id, {}).get(connector_id)
        last = store.reports[-1].start if store and store.reports else 0
        stored = list[StoredReport]()
        for report in reports:
            stored.append(StoredReport.from_json(report, last))
            last = max(last, stored[-1].start)
        if store is None:
            new = self._make(charger_id, connector_id, 0, 0)
            store = self._stores.setdefault(charger_id, {}).setdefault(connector_id, new)
        store.add(stored)

    def correct(
        self,
        charger_id: str,
        connector_id: str | int,
        session_id: int,
        changes: Mapping[str, object],
    ) -> None:
        """Change fields of a report. Raise ValueError if there is none or a field is invalid."""
        self.find(charger_id, connector_id).correct(
            session_id, lambda report: change_report(self.json(report), changes)
        )


def _parse_chargers(
    chargers: Mapping[str, Sequence[str | int]] | int,
) -> dict[str, tuple[str, ...]]:
    if not isinstance(chargers, Mapping):
        validate_int("chargers", chargers, minimum=0, maximum=1_000_000)
        return {f"CP-{number:03}": ("1", "2") for number in range(1, chargers + 1)}
    ids: dict[str, tuple[str, ...]] = {}
    for charger_id, connector_ids in chargers.items():
        # A string would pass for a sequence of one-digit connectors.
        if isinstance(connector_ids, str) or not charger_id:
            raise ValueError("chargers must map non-empty charger ids to lists of connector ids")
        ids[charger_id] = tuple(str(connector_id) for connector_id in connector_ids)
        if len(set(ids[charger_id])) < len(connector_ids) or "" in ids[charger_id]:
            raise ValueError(f"connector ids of {charger_id} must be distinct and not empty")
    return ids
