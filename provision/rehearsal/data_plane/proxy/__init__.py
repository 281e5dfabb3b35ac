"""The stand-in RDS Proxy, and the databases behind it."""
