"""`provision doctor`: looks at the account and at each link of the chain. Reads only.

finding.py    what is found, in one line, with what to do
preflight.py  whether the account and the region can have the environment
chain.py      whether each link from the client to the database is whole
"""
