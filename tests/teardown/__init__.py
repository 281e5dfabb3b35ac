"""Tests of teardown/."""
