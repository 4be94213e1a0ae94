"""Pictures of a charging session, drawn with matplotlib (extra `plot`).

Requests do not belong here.
"""

from depotclient.plot.figure import require_picture, save_figure, session_figure

__all__ = ["require_picture", "save_figure", "session_figure"]
