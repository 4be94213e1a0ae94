"""Counts of missing, null and unknown fields and of unknown values in session reports.

The counts hold no value of a report. Paths are those of `depotclient.drift`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

import attrs
import msgspec

from depotclient.drift import add_counts, count_reports, find_unknown
from depotclient.profile import FIELDS, KNOWN_VALUES, is_unknown_field
from evtransport.measurements import FieldCounter
from evtransport.pauses import Pauses
from evtransport.profiles import normalized_ids
from evtransport.surrogates import replace_lone_surrogates

__all__ = ["FieldCounts"]

_Objects: TypeAlias = list[dict[str, msgspec.Raw]]


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_TEXT = msgspec.json.Decoder(str)


@attrs.define(eq=False)
class FieldCounts(FieldCounter):
    """Counts over the reports added so far. The ids of vehicles join the `ids`.

    Attributes:
        reports: Number of reports.
    """

    reports: int = attrs.field(default=0, init=False)

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
        self._unknown = Counter(add_counts(self._unknown, names))
        for prefix, objects in _objects_below("", [fields]):
            self._count(prefix, objects)
            await pauses.pause_if_needed()

    def _count(self, prefix: str, objects: _Objects) -> None:
        for name in FIELDS[prefix]:
            path = prefix + name
            texts = [bytes(fields[name]) for fields in objects if name in fields]
            self._missing.add(path, len(objects) - len(texts), len(objects))
            self._null.add(path, texts.count(b"null"), len(objects))
            if path in KNOWN_VALUES:
                values = [_TEXT.decode(text) for text in texts if text.startswith(b'"')]
                unknown = sum(value not in KNOWN_VALUES[path] for value in values)
                self._unknown_values.add(path, unknown, len(values))

    def _count_of(self, path: str) -> int:
        return self.reports


def _objects_below(prefix: str, objects: _Objects) -> Iterator[tuple[str, _Objects]]:
    """Yield the objects of a path, and those in their fields, with their paths."""
    yield prefix, objects
    for name in FIELDS[prefix]:
        for path, decoder in ((f"{prefix}{name}.", _OBJECT), (f"{prefix}{name}[].", _OBJECTS)):
            if path in FIELDS:
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
