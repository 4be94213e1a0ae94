"""Base classes of the sandboxes: HTTP servers on loopback for tests and examples.

No vendor API belongs here.
"""
