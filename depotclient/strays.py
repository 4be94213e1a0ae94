"""Strays of a walk: reports that it leaves out, although another walk may not have them either.

The start of a stray is off by more than the margin: the clock of its charger was not set, or the
vehicle was parked for longer.
"""

from __future__ import annotations

from typing import Final

import attrs

from depotclient.pages import RawPage
from depotclient.query import format_time
from depotclient.sessions import Span
from evtransport.logs import LOGGER
from evtransport.paging import NewRows

__all__ = ["Strays"]

_MAX_IDS: Final = 10


@attrs.define
class Strays:
    """Number of strays of a walk with a margin, and the session ids of the first ones.

    A copy keeps strays, because it knows what it has read before. A walk does not know whether
    another walk delivers the same report.

    Attributes:
        label: Name of the connector, without secrets.
        span: Span of the walk. None without a margin: the walk has no strays.
        count: Number of strays.
        session_ids: Session ids of the first 10 strays, without those that are invalid.
    """

    label: str
    span: Span | None
    count: int = 0
    session_ids: list[int] = attrs.field(factory=list[int])
    _is_logged: bool = attrs.field(default=False, init=False)

    def add(self, page: RawPage, rows: NewRows) -> None:
        """Count the strays among the new reports of a page."""
        for index in rows.indexes:
            if index in page.strays:
                self.count += 1
                session_id = page.ids[index]
                if session_id is not None and len(self.session_ids) < _MAX_IDS:
                    self.session_ids.append(session_id)

    def log(self) -> None:
        """Write one WARNING record, if there are strays. Further calls do nothing."""
        if self.span is None or self.count == 0 or self._is_logged:
            return
        self._is_logged = True
        fields = {
            "label": self.label,
            "from_": format_time(self.span.start),
            "to": format_time(self.span.end),
            "strays": self.count,
            "session_ids": self.session_ids,
        }
        message = (
            "%(label)s from %(from_)s to %(to)s: reports left out because their start is off by"
            " more than the margin: %(strays)d, such as sessions %(session_ids)s"
        )
        LOGGER.warning(message, fields, extra=fields)
