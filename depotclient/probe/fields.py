"""Counts of missing, null and unknown fields and of unknown values in session reports.

The counts hold no value of a report. Paths are those of `depotclient.drift`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import attrs
import msgspec

from depotclient.drift import add_counts, count_reports, find_unknown, known_paths
from depotclient.profile import KNOWN_VALUES, is_unknown_field
from evtransport.pauses import Pauses
from evtransport.surrogates import replace_lone_surrogates

__all__ = ["FieldCounts", "Shares"]

Shares: TypeAlias = dict[str, float]
"""Share by path, from 0 to 1."""

_Objects: TypeAlias = list[dict[str, msgspec.Raw]]


def _prefix_of(path: str) -> str:
    parent, dot, _ = path.rpartition(".")
    return parent + dot


def _group_paths() -> dict[str, tuple[str, ...]]:
    """Return the names of the fields of each object, by the path of the object and a dot."""
    groups: dict[str, tuple[str, ...]] = {}
    for path in sorted(known_paths()):
        prefix = _prefix_of(path)
        groups[prefix] = (*groups.get(prefix, ()), path.removeprefix(prefix))
    return groups


_FIELDS: Final = _group_paths()
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_TEXT = msgspec.json.Decoder(str)


@attrs.define(eq=False)
class FieldCounts:
    """Counts over the reports added so far."""

    reports: int = 0
    _objects: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _missing: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _null: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _unknown: Mapping[str, int] = attrs.field(factory=dict[str, int], init=False)
    _values: Counter[str] = attrs.field(factory=Counter[str], init=False)
    _unknown_values: Counter[str] = attrs.field(factory=Counter[str], init=False)

    async def add(self, report: bytes) -> None:
        """Count one report, with pauses for the event loop. Text that is no object is ignored."""
        pauses = Pauses()
        text = replace_lone_surrogates(report) if b"\\u" in report else report
        try:
            fields = _OBJECT.decode(text)
        except msgspec.ValidationError:
            return
        self.reports += 1
        found = count_reports([find_unknown(text)])
        names = {path: count for path, count in found.items() if is_unknown_field(path)}
        self._unknown = add_counts(self._unknown, names)
        for prefix, objects in _objects_below("", [fields]):
            self._count(prefix, objects)
            await pauses.pause_if_needed()

    def _count(self, prefix: str, objects: _Objects) -> None:
        self._objects[prefix] += len(objects)
        for name in _FIELDS[prefix]:
            path = prefix + name
            texts = [bytes(fields[name]) for fields in objects if name in fields]
            self._missing[path] += len(objects) - len(texts)
            self._null[path] += texts.count(b"null")
            if path in KNOWN_VALUES:
                values = [_TEXT.decode(text) for text in texts if text.startswith(b'"')]
                self._values[path] += len(values)
                self._unknown_values[path] += sum(v not in KNOWN_VALUES[path] for v in values)

    def missing_fields(self) -> Shares:
        """Return the shares of the objects that lack a field."""
        return self._shares_of_objects(self._missing)

    def null_fields(self) -> Shares:
        """Return the shares of the objects in which a field is null."""
        return self._shares_of_objects(self._null)

    def unknown_fields(self) -> Shares:
        """Return the shares of the reports with an unknown field. Names like ids are left out."""
        return _shares(self._unknown, dict.fromkeys(self._unknown, self.reports))

    def unknown_values(self) -> Shares:
        """Return the shares of the values that are not in `KNOWN_VALUES`."""
        return _shares(self._unknown_values, self._values)

    def _shares_of_objects(self, counts: Mapping[str, int]) -> Shares:
        return _shares(counts, {path: self._objects[_prefix_of(path)] for path in counts})


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


def _shares(counts: Mapping[str, int], totals: Mapping[str, int]) -> Shares:
    return {path: n / totals[path] for path, n in sorted(counts.items()) if n}
