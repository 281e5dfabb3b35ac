"""Whether it works: calls both routes, gathers evidence, names causes."""
