"""Which version this is: the only thing that the command line takes from the product."""

from mms_core import __version__

__all__ = ["__version__"]
