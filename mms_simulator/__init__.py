"""A Microsoft 365 tenant over HTTP, for tests and demonstrations."""
