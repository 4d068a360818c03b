"""A small web service for dv to deploy."""
