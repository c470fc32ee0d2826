"""A local Azure Functions host for one function app: one process, the real host's rules, no .NET.

It exists because Core Tools cannot be installed everywhere. Production is Azure Functions; the app must not notice
the difference, so where the real host is odd (404 for a wrong method, empty query values dropped) so is this one.
"""
