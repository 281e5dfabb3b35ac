"""The behaviours of the real AWS, one module per service; a behaviour is found by its name.

`rds.create_db_proxy(world, call, proceed)` answers CreateDBProxy: with a dict as boto3 would give
it, with a refusal (`AwsError`), or, by returning None, with moto's own answer as it is. `proceed()`
asks moto.
"""
