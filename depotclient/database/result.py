"""Progress and result of a load."""

from __future__ import annotations

import attrs

from depotclient.copying.result import ConnectorCopy, Copy

__all__ = ["ConnectorLoad", "Load"]


@attrs.frozen
class ConnectorLoad(ConnectorCopy):
    """Progress or result of loading one connector.

    Attributes:
        new: Number of sessions that the database did not have.
        changed: Number of sessions whose rows were replaced.
        unchanged: Number of sessions whose rows were left as they are.
        has_ended: True if nothing is left to do.

    Example:
        >>> done = ConnectorLoad("CP-001", "1", new=3, unchanged=40, reports=43, has_ended=True)
        >>> done.new, done.is_over
        (3, True)
    """

    new: int = attrs.field(default=0, kw_only=True)
    changed: int = attrs.field(default=0, kw_only=True)
    unchanged: int = attrs.field(default=0, kw_only=True)
    has_ended: bool = attrs.field(default=False, kw_only=True)

    @property
    def is_over(self) -> bool:
        """Return True if the run does nothing more for the connector."""
        return self.has_ended


@attrs.frozen
class Load(Copy[ConnectorLoad]):
    """Result of a load.

    Attributes:
        connectors: Results of the connectors, in the order in which they were given.

    Example:
        >>> Load((ConnectorLoad("CP-001", "1", new=3),)).failed
        ()
    """
