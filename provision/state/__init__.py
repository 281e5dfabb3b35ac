"""What is known of the environment, kept where the next run finds it."""
