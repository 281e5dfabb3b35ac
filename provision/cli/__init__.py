"""Command lines: flags, completion, the version, and what a process needs before it begins."""
