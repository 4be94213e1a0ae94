"""Profiles of the sandbox: settings made from a profile, and the profile of a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from depotclient.profile import Profile
from depotclient.sandbox.shape import ReportShape
from evtransport.testing.profiles import collect_settings, read_profile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

__all__ = ["profile_of", "settings_of"]

_NO_SETTINGS: Final = {"page_seconds", "report_bytes", "longest_session"}
_MAY_BE_NONE: Final = {"max_limit", "bytes_per_second", "missing_fields"}


def settings_of(profile: Profile | str | PathLike[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a sandbox that behaves as a profile says.

    Args:
        profile: A profile, or the path of its file.
        given: Settings that win over the profile.

    Raises:
        OSError: The file cannot be read.
        ValueError: It has no profile, or one of another version.
    """
    if not isinstance(profile, Profile):
        profile = Profile.parse(read_profile(profile))
    settings = attrs.asdict(
        profile,
        recurse=False,
        filter=lambda field, value: value is not None and field.name not in _NO_SETTINGS,
    )
    if profile.report_bytes is not None:
        settings["shape"] = ReportShape.of_size(profile.report_bytes)
    if "inclusive" in given:
        for name in ("includes_from", "includes_to"):
            settings.pop(name, None)
    return settings


def profile_of(sandbox: attrs.AttrsInstance) -> Profile:
    """Return the profile of a sandbox. Raise ValueError if one of its settings is invalid."""
    names = attrs.fields_dict(Profile).keys() - _NO_SETTINGS
    return Profile(**collect_settings(sandbox, names, _MAY_BE_NONE))
