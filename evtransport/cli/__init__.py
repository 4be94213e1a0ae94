"""Parts shared by both command lines: exit codes, signals, output and progress.

No command belongs here.
"""
