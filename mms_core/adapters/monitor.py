"""Telemetry to Application Insights, by the app's identity. Off where no connection string is set."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from mms_core.telemetry import log
from mms_core.tracing import TRACER

if TYPE_CHECKING:
    from collections.abc import Callable

EXPORT_EVERY_MS: Final = 60_000
_LATER_SECONDS: Final = 5.0
"""Importing the exporter takes more than a second: not while the first webhook waits for its answer."""


def keeps(span: Any, *, ratio: float) -> bool:
    """Tell whether a finished span is exported: every failure of ours, and *ratio* (0 to 1) of our traces besides.

    All spans of one trace are kept or dropped together, whichever instance made them. Those of libraries are not ours:
    Graph's SDK writes whole addresses into its own, with the names in them.
    """
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    if span.instrumentation_scope.name != TRACER:
        return False
    if span.status.status_code is StatusCode.ERROR:
        return True
    return bool((span.context.trace_id & 0xFFFF_FFFF) < ratio * 0x1_0000_0000)


def processor(exporter: Any, *, ratio: float) -> Any:
    """Return what batches the spans that :func:`keeps` keeps."""
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    class KeepsFailures(BatchSpanProcessor):
        def on_end(self, span: Any) -> None:
            if keeps(span, ratio=ratio):
                super().on_end(span)

    return KeepsFailures(exporter)


def start(connection_string: str, credential: Callable[[], Any], *, ratio: float) -> None:
    """Set the providers of OpenTelemetry, a few seconds from now, in a thread that ends with the process.

    Args:
        connection_string: Of the Application Insights resource.
        credential: Makes the identity's credential; the resource takes no key.
        ratio: Part of the traces without a failure that is kept.
    """
    timer = threading.Timer(_LATER_SECONDS, _set_up, (connection_string, credential, ratio))
    timer.daemon = True
    timer.start()


def _set_up(connection_string: str, credential: Callable[[], Any], ratio: float) -> None:
    from azure.monitor.opentelemetry.exporter import (  # noqa: PLC0415
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )
    from opentelemetry import metrics, trace  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    options: dict[str, Any] = {
        "connection_string": connection_string,
        "credential": credential(),
        "disable_offline_storage": True,  # an instance's disk goes with it
    }
    provider = TracerProvider()
    provider.add_span_processor(processor(AzureMonitorTraceExporter(**options), ratio=ratio))
    trace.set_tracer_provider(provider)
    reader = PeriodicExportingMetricReader(
        AzureMonitorMetricExporter(**options), export_interval_millis=EXPORT_EVERY_MS
    )
    metrics.set_meter_provider(MeterProvider([reader]))
    log("telemetry_started")
