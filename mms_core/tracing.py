"""One trace for one run, from the trigger to the last PATCH: its trace id *is* the run's correlation id.

Nothing has to travel with queue messages for that, and whoever has a correlation id (from status, a log line, Graph's
``client-request-id``) has the trace. Spans carry codes and states, never names, subjects, bodies or links; an exception
is noted by its type and code, because its text may quote what a server said.
"""

from __future__ import annotations

import hashlib
import uuid
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_CORRELATION: Final[ContextVar[str | None]] = ContextVar("mms_correlation", default=None)
TRACER: Final = "mms"
ALLOWED_ATTRIBUTES: Final = frozenset(
    {"mms.attempt", "mms.code", "mms.meeting_key", "mms.rule", "mms.state", "mms.trigger", "mms.verdict"}
    | {"error.type", "http.request.method", "http.response.status_code"}
)
"""What a span may carry. A new one is added here, in review."""


def correlation() -> str | None:
    """Return the correlation id of the run at work here, ``None`` outside of one."""
    return _CORRELATION.get()


def trace_id(correlation_id: str) -> int:
    """Return the trace of a run: its correlation id as a number, or a digest where that is no UUID."""
    try:
        return uuid.UUID(correlation_id).int
    except ValueError:
        return int.from_bytes(hashlib.sha256(correlation_id.encode()).digest()[:16]) or 1


def _parent(correlation_id: str) -> Any:
    from opentelemetry import trace  # noqa: PLC0415 - see metrics

    number = trace_id(correlation_id)
    root = trace.SpanContext(
        trace_id=number,
        span_id=(number & 0xFFFF_FFFF_FFFF_FFFF) or 1,
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(root))


def conclude(step: Any, *, verdict: str, code: str | None) -> None:
    """Note what became of a meeting; a failed one is an error, which no sampling drops."""
    from opentelemetry import trace  # noqa: PLC0415 - see metrics

    step.set_attribute("mms.verdict", str(verdict))
    if code:
        step.set_attribute("mms.code", code)
    if verdict == "failed":
        step.set_status(trace.StatusCode.ERROR)


@contextmanager
def span(name: str, *, correlation_id: str | None = None, **attributes: object) -> Iterator[Any]:
    """Do something as a step of a run's trace.

    Args:
        name: ``run``, ``meeting``, ``graph`` and the like.
        correlation_id: Whose; by default of what this is nested in. Without any it is a trace of its own.
        attributes: Written with ``__`` for the dots of :data:`ALLOWED_ATTRIBUTES`.

    Errors: ``ValueError`` for an attribute that is not allowed. What is raised inside goes through.
    """
    from opentelemetry import trace  # noqa: PLC0415 - see metrics

    marks = {key.replace("__", "."): value for key, value in attributes.items() if value is not None}
    if not marks.keys() <= ALLOWED_ATTRIBUTES:
        raise ValueError(f"span attributes not allowed: {sorted(marks.keys() - ALLOWED_ATTRIBUTES)}")
    starts_run = correlation_id is not None and correlation_id != _CORRELATION.get()
    token = _CORRELATION.set(correlation_id) if starts_run else None
    try:
        with trace.get_tracer(TRACER).start_as_current_span(
            f"mms.{name}",
            context=_parent(correlation_id) if starts_run and correlation_id else None,
            attributes={key: str(value) for key, value in marks.items()},
            record_exception=False,
            set_status_on_exception=False,
        ) as current:
            try:
                yield current
            except Exception as exc:
                current.set_attribute("error.type", type(exc).__name__)
                code = getattr(exc, "code", None)
                if isinstance(code, str):
                    current.set_attribute("mms.code", code)
                current.set_status(trace.StatusCode.ERROR)
                raise
    finally:
        if token is not None:
            _CORRELATION.reset(token)
