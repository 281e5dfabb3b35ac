"""How an AWS differs from the rehearsal: records of runs compared, and shown in public."""
