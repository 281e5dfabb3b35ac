"""One class per kind of resource: the calls that find, create, change and delete it."""
