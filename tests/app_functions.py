"""The functions of function_app.py, as the host indexes them: an app can be indexed once only."""

from __future__ import annotations

import functools

import function_app


@functools.cache
def indexed():
    """All of them."""
    return tuple(function_app.app.get_functions())
