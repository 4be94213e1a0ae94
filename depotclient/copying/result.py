"""Progress and result of a copy, the parts that export and load share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

import attrs

from depotclient.partitions.calendar import connector_key
from evtransport.errors import ApiError

__all__ = ["ConnectorCopy", "Copy"]


@attrs.frozen
class ConnectorCopy(ABC):
    """Progress or result of copying one connector.

    Attributes:
        charger_id: Charger id.
        connector_id: Connector id.
        reports: Number of reports that were read and belong to the copy.
        bytes_read: Total size of the pages that were read, in bytes.
        moved: Ids of sessions whose start has changed. The copy has them once, under the new start.
        vanished: Ids of sessions that the server no longer has.
        strays: Ids of reports whose start lies outside of the span, or is missing.
        unknown_fields: Number of reports by the path of a field that the schema lacks, such as
            `{"tariff": 12}`.
        error: Reason why the copy of the connector is not complete.

    Example:
        >>> @attrs.frozen
        ... class Done(ConnectorCopy):
        ...     is_over = True
        >>> Done("CP-001", "1", reports=120, vanished=(7,)).name
        'CP-001/1'
    """

    charger_id: str
    connector_id: str
    reports: int = attrs.field(default=0, kw_only=True)
    bytes_read: int = attrs.field(default=0, kw_only=True)
    moved: tuple[int | None, ...] = attrs.field(default=(), kw_only=True)
    vanished: tuple[int | None, ...] = attrs.field(default=(), kw_only=True)
    strays: tuple[int | None, ...] = attrs.field(default=(), kw_only=True)
    unknown_fields: Mapping[str, int] = attrs.field(factory=dict[str, int], kw_only=True)
    error: ApiError | OSError | None = attrs.field(default=None, kw_only=True)

    @property
    def name(self) -> str:
        """Return the name of the connector, see `connector_key`."""
        return connector_key(self.charger_id, self.connector_id)

    @property
    def is_complete(self) -> bool:
        """Return True if the copy has every report that it can have."""
        return self.error is None

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Return True if the run does nothing more for the connector."""


C = TypeVar("C", bound=ConnectorCopy, covariant=True)


@attrs.frozen
class Copy(Generic[C]):
    """Result of a copy.

    Attributes:
        connectors: Results of the connectors, in the order in which they were given.

    Example:
        >>> Copy[ConnectorCopy](()).failed
        ()
    """

    connectors: tuple[C, ...]

    @property
    def failed(self) -> tuple[C, ...]:
        """Return the connectors that are not complete."""
        return tuple(connector for connector in self.connectors if connector.error is not None)
