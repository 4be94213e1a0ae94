"""Former place of `depotclient.sessions`, until all copies import that module."""

from depotclient.sessions import Identity, Session, Span, truncate

__all__ = ["Identity", "Session", "Span", "truncate"]
