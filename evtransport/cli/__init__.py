"""Parts shared by both command lines: exit statuses, signals, output and progress.

No command belongs here. The package re-exports nothing: `start` loads without the extra `cli`.
"""
