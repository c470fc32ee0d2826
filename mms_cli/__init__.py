"""The `mms` command: an HTTP client of the deployed app."""
