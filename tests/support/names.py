"""The names that rehearsed environments have by default, and where they stand."""

NAME = "rds-proxy-auth"
REGION = "ap-northeast-1"
ACCOUNT = "123456789012"
MADE = 36  # steps of an environment that `up` counts
