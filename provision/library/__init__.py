"""The environment for other programs: a library, and a plugin for pytest that loads nothing."""
