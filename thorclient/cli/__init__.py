"""Command line of the Thor client (extra `cli`).

No function that a program calls belongs here.
"""
