"""The demo: a seeded Contoso, its webhooks, the service at work, and a verdict taken from the tenant alone."""

from mms_local.demo.program import main

__all__ = ["main"]
