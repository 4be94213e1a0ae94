"""Walks over numbered pages: a paginator without I/O, its driver, and the cursor."""
