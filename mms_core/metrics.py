"""Every number that the service tells its operators, in one list; alerts and workbook use these names, and no other.

A number carries states, codes and routes, never who or what: the attributes of each are listed, and another is refused.
OpenTelemetry's API does nothing until somebody sets a provider (``adapters.monitor``), so tests and tools pay nothing.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    """UCUM: ``s``, ``ms``, or ``{what is counted}``."""
    about: str
    attributes: frozenset[str] = frozenset()


RUNS_ENDED: Final = Metric(
    name="mms.runs.ended",
    kind="counter",
    unit="{run}",
    about="runs that ended, by state and by the code of what ended them",
    attributes=frozenset({"state", "code"}),
)
RUN_ELAPSED: Final = Metric(
    name="mms.run.elapsed",
    kind="histogram",
    unit="s",
    about="from the first trigger to the end of its run; the settling time is its floor",
    attributes=frozenset({"state"}),
)
MEETINGS_ENDED: Final = Metric(
    name="mms.meetings.ended",
    kind="counter",
    unit="{meeting}",
    about="meetings of ended runs, by verdict and by the code of the catalogue",
    attributes=frozenset({"verdict", "code"}),
)
MESSAGES_POISONED: Final = Metric(
    name="mms.messages.poisoned",
    kind="counter",
    unit="{message}",
    about="queue messages that were given up; each is kept, and one command replays it",
    attributes=frozenset({"message"}),
)
DUE_OLDEST: Final = Metric(
    name="mms.due.oldest",
    kind="gauge",
    unit="s",
    about="how long the run that has waited longest is past its due time; 0 if none is",
)
SUBSCRIPTION_REMAINING: Final = Metric(
    name="mms.subscription.remaining",
    kind="gauge",
    unit="s",
    about="what is left of a subscription's life after it was looked after",
    attributes=frozenset({"kind"}),
)
GRAPH_REQUESTS: Final = Metric(
    name="mms.graph.requests",
    kind="counter",
    unit="{request}",
    about="calls to Graph by method and status; status 0 is a call without an answer",
    attributes=frozenset({"method", "status"}),
)
GRAPH_THROTTLED: Final = Metric(
    name="mms.graph.throttled",
    kind="counter",
    unit="{request}",
    about="calls that Graph answered with 429",
    attributes=frozenset({"method"}),
)
TRIGGERS_DECIDED: Final = Metric(
    name="mms.triggers.decided",
    kind="counter",
    unit="{trigger}",
    about="what was decided about what happened in the tenant, by rule",
    attributes=frozenset({"rule", "outcome"}),
)

RECORDS_UNREADABLE: Final = Metric(
    name="mms.records.unreadable",
    kind="counter",
    unit="{look}",
    about="looks at what is remembered of a user that found it damaged, or of a later version",
    attributes=frozenset({"code"}),
)

METRICS: Final = (
    RUNS_ENDED,
    RUN_ELAPSED,
    MEETINGS_ENDED,
    MESSAGES_POISONED,
    DUE_OLDEST,
    SUBSCRIPTION_REMAINING,
    GRAPH_REQUESTS,
    GRAPH_THROTTLED,
    TRIGGERS_DECIDED,
    RECORDS_UNREADABLE,
)


@functools.cache
def _instrument(metric: Metric) -> Any:
    from opentelemetry import metrics  # noqa: PLC0415 - the first number pays for it, not the import of the app

    meter = metrics.get_meter("mms")
    make = {"counter": meter.create_counter, "gauge": meter.create_gauge, "histogram": meter.create_histogram}
    return make[metric.kind](metric.name, unit=metric.unit, description=metric.about)


def measure(metric: Metric, value: float = 1, **attributes: str) -> None:
    """Add *value* to a counter, set a gauge to it, or record it in a histogram.

    Errors: ``ValueError`` for an attribute that the metric does not list: it could say who.
    """
    if not attributes.keys() <= metric.attributes:
        raise ValueError(f"{metric.name} does not take {sorted(attributes.keys() - metric.attributes)}")
    instrument = _instrument(metric)
    tell = {"counter": "add", "gauge": "set", "histogram": "record"}[metric.kind]
    getattr(instrument, tell)(value, {key: str(each) for key, each in attributes.items()})
