"""The account: session, clients, calls, and botocore's models of the services."""
