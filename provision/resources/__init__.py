"""One class per kind of resource: how AWS is asked to find, create, change and delete it."""
