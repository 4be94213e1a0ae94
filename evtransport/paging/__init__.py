"""Walking of numbered pages: a paginator without I/O, its driver and the cursor.

No HTTP and no vendor model belongs here.
"""
