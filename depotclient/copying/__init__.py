"""Code that export and load share: which sessions belong to a copy, and what a reading changes."""
