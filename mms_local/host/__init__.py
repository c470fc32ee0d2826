"""A local Azure Functions host for one function app: one process, the real host's rules, no .NET.

It exists because Core Tools cannot be installed everywhere. Production is Azure Functions; the app must not notice
the difference, so where the real host is odd (404 for a wrong method, empty query values dropped) so is this one.

Known differences:

* One instance. Nothing scales, and timers need no lease to be singletons.
* HTTP, queue and timer triggers only: no output bindings, no retry policies. A function that has them is in error.
* Keys are not checked, not even on ``/admin``; it listens on 127.0.0.1.
* A queue that is missing is made; in Azure the deployment makes it, and the real host just waits for it.
* A request without ``Content-Length`` has a body here; the real host gives the function none.
* When ``functionTimeout`` is over, the real host kills the worker; here an async function is cancelled, a sync one
  only counted as failed.
* Timers remember their last run in files instead of blobs, and only with ``--state``.
* A drain ends after ``--grace``; in Azure nobody promises that there is one.
"""
