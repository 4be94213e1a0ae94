"""Settings of the sandbox that a profile has, and how they change what it serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from evtransport.testing.profiles import collect_settings, read_profile
from evtransport.testing.shares import FieldShares
from thorclient.profile import Echo, ElementType, Profile

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["change_elements", "change_id", "profile_of", "settings_of", "shares_below"]


def settings_of(profile: Profile | str | PathLike[str], _: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a sandbox that behaves as a profile says.

    Args:
        profile: A profile, or the path of its file.

    Raises:
        OSError: The file can't be read.
        ValueError: It has no profile, or one of another version.
    """
    if not isinstance(profile, Profile):
        profile = Profile.parse(read_profile(profile))
    return attrs.asdict(profile, filter=lambda _, value: value is not None)


def profile_of(sandbox: attrs.AttrsInstance) -> Profile:
    """Return the profile of a sandbox. Raise ValueError if one of its settings is invalid."""
    return Profile(**collect_settings(sandbox, attrs.fields_dict(Profile)))


def shares_below(profile: Profile, prefix: str) -> FieldShares:
    """Return the shares of a profile in `analytics` or `chargebox`, by the rest of their paths."""

    def below(shares: Mapping[str, float] | None) -> dict[str, float]:
        start = f"{prefix}."
        found = (shares or {}).items()
        return {path.removeprefix(start): n for path, n in found if path.startswith(start)}

    return FieldShares(
        missing_fields=below(profile.missing_fields),
        null_fields=below(profile.null_fields),
        unknown_fields=below(profile.unknown_fields),
        unknown_values=below(profile.unknown_values),
    )


_ELEMENTS: Final[Mapping[ElementType, Callable[[int], object]]] = {
    "integer": int,
    "number": float,
    "string": str,
    "boolean": bool,
    "object": lambda number: {"id": number},
    "array": lambda number: [number],
    "null": lambda _: None,
}


def change_elements(box: dict[str, Any], kind: ElementType) -> None:
    """Give the elements of the lists of occupied and reserved connectors another JSON type."""
    for name in ("occupied_connectors", "reserved_connectors"):
        box[name] = [_ELEMENTS[kind](number) for number in box[name]]


def change_id(chargebox: bytes, echo: Echo) -> bytes:
    """Return the JSON of a chargebox with its id in other letters, or without it."""
    if echo == "same":
        return chargebox
    content = msgspec.json.decode(chargebox)
    chargebox_id = content.pop("id")
    changed = {"upper": chargebox_id.upper(), "lower": chargebox_id.lower()}
    id_field = {"id": changed[echo]} if echo in changed else {}
    return msgspec.json.encode(id_field | content)
