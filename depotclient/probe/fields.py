"""Counts of missing, null and unknown fields and of unknown values in session reports.

The counts hold no value of a report. Paths are those of `depotclient.drift`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import attrs
import msgspec

from depotclient.drift import add_counts, count_reports, find_unknown, known_paths
from depotclient.profile import KNOWN_VALUES, is_unknown_field
from evtransport.measurements import ShareCounter
from evtransport.pauses import Pauses
from evtransport.profiles import named_after, normalized_ids
from evtransport.surrogates import replace_lone_surrogates

__all__ = ["FieldCounts", "Shares"]

Shares: TypeAlias = dict[str, float]
"""Share by path, from 0 to 1."""

_Objects: TypeAlias = list[dict[str, msgspec.Raw]]


def _group_paths() -> dict[str, tuple[str, ...]]:
    """Return the names of the fields of each object, by the path of the object and a dot."""
    groups: dict[str, tuple[str, ...]] = {}
    for path in sorted(known_paths()):
        parent, dot, name = path.rpartition(".")
        groups[parent + dot] = (*groups.get(parent + dot, ()), name)
    return groups


_FIELDS: Final = _group_paths()
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_TEXT = msgspec.json.Decoder(str)


@attrs.define(eq=False)
class FieldCounts:
    """Counts over the reports added so far.

    Args:
        ids: Ids that no field may be named after. Those of vehicles are added.

    Attributes:
        reports: Number of reports.
    """

    _ids: set[str] = attrs.field(factory=set[str], converter=normalized_ids, alias="ids")
    _has_ids: bool = attrs.field(default=False, init=False)
    reports: int = attrs.field(default=0, init=False)
    _missing: ShareCounter = attrs.field(factory=ShareCounter, init=False)
    _null: ShareCounter = attrs.field(factory=ShareCounter, init=False)
    _unknown: Mapping[str, int] = attrs.field(factory=dict[str, int], init=False)
    _unknown_values: ShareCounter = attrs.field(factory=ShareCounter, init=False)

    async def add(self, report: bytes) -> None:
        """Count one report, with pauses for the event loop. Text that is no object is ignored."""
        pauses = Pauses()
        text = replace_lone_surrogates(report) if b"\\u" in report else report
        try:
            fields = _OBJECT.decode(text)
        except msgspec.ValidationError:
            return
        self.reports += 1
        vehicle = bytes(fields.get("vehicleId", b""))
        if vehicle.startswith(b'"'):
            self._ids |= normalized_ids([_TEXT.decode(vehicle)])
        found = count_reports([find_unknown(text)])
        names = {path: count for path, count in found.items() if is_unknown_field(path)}
        self._has_ids |= len(names) < len(found)
        self._unknown = add_counts(self._unknown, names)
        for prefix, objects in _objects_below("", [fields]):
            self._count(prefix, objects)
            await pauses.pause_if_needed()

    def _count(self, prefix: str, objects: _Objects) -> None:
        for name in _FIELDS[prefix]:
            path = prefix + name
            texts = [bytes(fields[name]) for fields in objects if name in fields]
            self._missing.add(path, len(objects) - len(texts), len(objects))
            self._null.add(path, texts.count(b"null"), len(objects))
            if path in KNOWN_VALUES:
                values = [_TEXT.decode(text) for text in texts if text.startswith(b'"')]
                unknown = sum(value not in KNOWN_VALUES[path] for value in values)
                self._unknown_values.add(path, unknown, len(values))

    @property
    def has_ids(self) -> bool:
        """True if an unknown field is named after an id, or looks like one."""
        return self._has_ids or named_after(self._ids, self._unknown)

    def shares(self) -> dict[str, Shares]:
        """Return the shares by path, by their names in `Profile`."""
        unknown = {path: n / self.reports for path, n in sorted(self._unknown.items())}
        return {
            "missing_fields": self._missing.shares(),
            "null_fields": self._null.shares(),
            "unknown_fields": {} if self.has_ids else unknown,
            "unknown_values": self._unknown_values.shares(),
        }


def _objects_below(prefix: str, objects: _Objects) -> Iterator[tuple[str, _Objects]]:
    """Yield the objects of a path, and those in their fields, with their paths."""
    yield prefix, objects
    for name in _FIELDS[prefix]:
        for path, decoder in ((f"{prefix}{name}.", _OBJECT), (f"{prefix}{name}[].", _OBJECTS)):
            if path in _FIELDS:
                texts = (fields[name] for fields in objects if name in fields)
                found = [nested for text in texts for nested in _decode(decoder, text)]
                yield from _objects_below(path, found)


def _decode(
    decoder: msgspec.json.Decoder[dict[str, msgspec.Raw]] | msgspec.json.Decoder[_Objects],
    text: msgspec.Raw,
) -> _Objects:
    """Return the objects in a field. A null and a value of another type have none."""
    try:
        found = decoder.decode(text)
    except msgspec.ValidationError:
        return []
    return found if isinstance(found, list) else [found]
