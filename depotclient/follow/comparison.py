"""Comparison of a reading with what a run knows: which sessions are new, and which have changed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import attrs

from depotclient.follow.plan import Reading
from depotclient.follow.state import ConnectorState
from depotclient.reading import find_absent, is_unique
from depotclient.sessions import Identity, Session

__all__ = ["Comparison", "Settled", "Verdict"]


class Verdict(Enum):
    """Result of comparing a report with the sessions that are known."""

    OLD = "old"
    NEW = "new"
    CHANGED = "changed"
    OPEN = "open"
    """The session may have moved. The end of the reading, or the next reconcile, decides."""


class Settled(NamedTuple):
    """Verdict on an open report at the end of the reading.

    Attributes:
        verdict: `NEW` or `CHANGED`. `OPEN` leaves the report to the next reconcile.
        replaced: Identity with the old start, if the session has moved.
    """

    verdict: Verdict
    replaced: Identity | None = None


@attrs.define(eq=False)
class Comparison:
    """Comparison of one reading with the state of its connector.

    Attributes:
        state: State of the connector.
        reading: The reading.
    """

    state: ConnectorState
    reading: Reading
    _returned: dict[Identity, Session] = attrs.field(factory=dict[Identity, Session], init=False)
    _ids: set[int | None] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ids = {known.session.session_id for known in self.state.known.values()}

    def judge(self, session: Session, digest: bytes) -> Verdict:
        """Return whether a report that the server returned is new or has changed."""
        identity, session_id = session.identity, session.session_id
        self._returned[identity] = session
        known = self.state.known.get(identity)
        if known is not None:
            if known.digest == digest:
                return Verdict.OLD
            return Verdict.CHANGED if known.is_delivered else Verdict.NEW
        if not self.state.expects(session):
            return Verdict.OLD
        if session_id in self._ids and is_unique(session_id):
            return Verdict.OPEN
        self._ids.add(session_id)
        return Verdict.NEW

    def settle(self, sessions: Sequence[Session]) -> list[Settled]:
        """Return the verdicts on the open sessions, at the end of the reading.

        A session with the id -1 is never open, because chargers that are offline send it for many
        sessions. It counts as new rather than moved, so that none is lost.
        """
        if not sessions:
            return []
        held = [known.session for known in self.state.known.values()]
        coverage = self.reading.coverage(self.state)
        absent = find_absent(held, self._returned.values(), coverage)
        moved = {session.session_id: session.identity for session in absent.moved}
        missing = {each.session_id for each in held if each.identity not in self._returned}
        settled = list[Settled]()
        for session in sessions:
            old = moved.pop(session.session_id, None)
            if old is not None:
                was_delivered = self.state.known[old].is_delivered
                settled.append(Settled(Verdict.CHANGED if was_delivered else Verdict.NEW, old))
            elif session.session_id in missing and not self.reading.is_reconcile:
                settled.append(Settled(Verdict.OPEN))
            else:
                settled.append(Settled(Verdict.NEW))
        return settled
