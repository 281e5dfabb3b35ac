"""What an environment costs: by the dated table, or by AWS's own list."""
