"""Pictures of a charging session, drawn with matplotlib (extra `plot`)."""

# Requests do not belong here.

from depotclient.plot.figure import save_figure, session_figure, validate_picture_path

__all__ = ["save_figure", "session_figure", "validate_picture_path"]
