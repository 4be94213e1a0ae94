"""Command line of the Depot client (extra `cli`).

No function that a program calls belongs here.
"""
