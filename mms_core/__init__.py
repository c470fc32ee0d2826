"""The meeting migration service: everything that is deployed."""

__version__ = "0.1.0"
