"""Drift of the API: fields of session reports that the vendor adds and `SessionReport` lacks.

A null counts as absent, as in the known fields.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias, get_args

import attrs
import msgspec

from depotclient.models import SessionReport, camel_case
from evtransport.structure.types import fields_of, has_fields, is_list, without_none
from evtransport.surrogates import replace_lone_surrogates

__all__ = ["UnknownPart", "add_counts", "count_reports", "encode_part", "find_unknown"]
__all__ += ["known_paths"]

UnknownPart: TypeAlias = Mapping[str, "msgspec.Raw | UnknownPart | list[UnknownPart]"]
"""A report without its known values. The unknown values are JSON texts, as received.

A list of events keeps its length: an event without an unknown field is empty.
"""

MAX_PATHS: Final = 1000
"""Maximum number of paths that are counted. A vendor may use ids as the names of fields."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


@attrs.frozen(eq=False)
class _Level:
    """Known fields of a report, or of the events in one of its fields.

    Attributes:
        known: JSON names of the fields.
        nested: Levels of the fields that hold an object or a list of objects, by JSON name.
        is_list: True for a list of objects.
        wire: Type of the decoder.
        decoder: Decoder that refuses unknown fields at this level and below. It is five times as
            fast as a comparison of the names.
    """

    known: frozenset[str]
    nested: Mapping[str, _Level]
    is_list: bool
    wire: Any
    decoder: msgspec.json.Decoder[Any] = attrs.field(
        default=attrs.Factory(lambda self: msgspec.json.Decoder(self.wire), takes_self=True)
    )

    @classmethod
    def of(cls, annotation: Any) -> _Level:
        """Return the level of a class, or of a list of its objects."""
        listed = is_list(annotation)
        fields = fields_of(get_args(annotation)[0] if listed else annotation)
        kinds = {camel_case(field.name): without_none(field.type) for field in fields}
        nested = {n: cls.of(kind) for n, kind in kinds.items() if is_list(kind) or has_fields(kind)}
        members = [(n, nested[n].wire | None if n in nested else msgspec.Raw, None) for n in kinds]
        struct = msgspec.defstruct("Known", members, forbid_unknown_fields=True, gc=False)
        wire = list[struct] if listed else struct  # type: ignore[valid-type]
        return cls(frozenset(kinds), nested, listed, wire)


_REPORT: Final = _Level.of(SessionReport)


def known_paths() -> frozenset[str]:
    """Return the paths of all fields of a report.

    Example:
        >>> {"vehicleId", "deviceStatus[].errorCodes[].errorCode"} <= known_paths()
        True
    """
    return frozenset(_known_paths(_REPORT, ""))


def _known_paths(level: _Level, prefix: str) -> Iterator[str]:
    for name in level.known:
        yield prefix + name
        if (nested := level.nested.get(name)) is not None:
            yield from _known_paths(nested, f"{prefix}{name}{'[]' if nested.is_list else ''}.")


def find_unknown(report: bytes | msgspec.Raw) -> UnknownPart:
    """Return the unknown fields of a report.

    Args:
        report: JSON text of the report. It may have values of wrong types.

    Returns:
        The fields that `SessionReport` and its events lack. Empty if there are none.

    Example:
        >>> part = find_unknown(b'{"sessionId": 7, "ocppStatus": [{"value": "A", "reason": 1}]}')
        >>> encode_part(part)
        '{"ocppStatus":[{"reason":1}]}'
    """
    try:
        return _find_in_object(_REPORT, report)
    except msgspec.ValidationError:  # The report is not an object.
        return {}
    except msgspec.DecodeError:  # Only a lone surrogate makes the text of a report invalid.
        return find_unknown(replace_lone_surrogates(bytes(report)))


def _has_unknown(level: _Level, text: bytes | msgspec.Raw) -> bool:
    """Return False if all fields of a text are known. A value of a wrong type counts as unknown."""
    try:
        level.decoder.decode(text)
    except msgspec.ValidationError:
        return True
    return False


def _find_in_object(level: _Level, text: bytes | msgspec.Raw) -> UnknownPart:
    return _find_in_fields(level, _OBJECT.decode(text)) if _has_unknown(level, text) else {}


def _find_in_fields(level: _Level, fields: Mapping[str, msgspec.Raw]) -> UnknownPart:
    part: dict[str, Any] = {}
    for name, text in fields.items():
        if name in level.nested:
            if found := _find_in_field(level.nested[name], text):
                part[name] = found
        elif name not in level.known and bytes(text) != b"null":
            part[name] = text
    return part


def _find_in_field(level: _Level, text: msgspec.Raw) -> UnknownPart | list[UnknownPart]:
    """Return the unknown fields of an event or of a list of events."""
    try:
        if not level.is_list:
            return _find_in_object(level, text)
        events = _OBJECTS.decode(text) if _has_unknown(level, text) else []
    except msgspec.ValidationError:  # The field has another type: no event can have fields.
        return {}
    parts = [_find_in_fields(level, event) for event in events]
    return parts if any(parts) else []


def encode_part(part: UnknownPart) -> str | None:
    """Return unknown fields as JSON, or None if there are none."""
    return msgspec.json.encode(part).decode() if part else None


def count_reports(parts: Iterable[UnknownPart]) -> Counter[str]:
    """Return the number of reports by the path of an unknown field.

    Args:
        parts: Unknown fields of the reports.

    Example:
        >>> part = find_unknown(b'{"sessionId": 7, "ocppStatus": [{"value": "A", "reason": 1}]}')
        >>> count_reports([part, {}])
        Counter({'ocppStatus[].reason': 1})
    """
    return Counter(path for part in parts for path in set(_paths(part)))


def _paths(part: UnknownPart, prefix: str = "") -> Iterator[str]:
    for name, value in part.items():
        if isinstance(value, msgspec.Raw):
            yield prefix + name
        elif isinstance(value, list):
            for event in value:
                yield from _paths(event, f"{prefix}{name}[].")
        else:
            yield from _paths(value, f"{prefix}{name}.")


def add_counts(counts: Mapping[str, int], more: Mapping[str, int]) -> Mapping[str, int]:
    """Return the sums of two counts. It has at most 1,000 paths, those of `counts` first."""
    paths = [*counts, *(path for path in more if path not in counts)][:MAX_PATHS]
    return {path: counts.get(path, 0) + more.get(path, 0) for path in paths}
