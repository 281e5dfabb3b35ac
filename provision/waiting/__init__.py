"""Waiting for AWS, and what AWS refuses for a while and then accepts."""
