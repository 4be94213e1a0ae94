"""Command line of the Depot client (extra `cli`).

Nothing that a program would call belongs here.
"""
