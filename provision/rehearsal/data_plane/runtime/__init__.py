"""What runs inside a function's own process, beside the function; it imports nothing of ours."""
