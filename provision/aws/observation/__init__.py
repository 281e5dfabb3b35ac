"""What AWS did in a run: calls, refusals, statuses and how long they lasted; no id, no name."""
