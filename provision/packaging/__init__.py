"""The zips of functions and layer."""
