"""The rehearsed data plane: HTTP API, functions, and what they reach."""
