"""The list of metrics: what alerts and the workbook ask for exists, and nothing personal fits in."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from opentelemetry.trace import Status, StatusCode

from mms_core import metrics, tracing
from mms_core.adapters.monitor import keeps, processor
from mms_core.metrics import METRICS, RUNS_ENDED, measure

ROOT = Path(__file__).resolve().parents[2]
ASKED = [ROOT / "infra/modules/alerts.bicep", ROOT / "infra/workbook.json"]
BY_NAME = {each.name: each for each in METRICS}


def _calls(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "measure":
            yield node


def test_every_metric_of_the_list_is_measured_and_only_those():
    """A metric that nobody measures makes an alert that never rings."""
    used = {call.args[0].id for path in sorted((ROOT / "mms_core").rglob("*.py")) for call in _calls(path) if call.args}
    listed = {name for name, value in vars(metrics).items() if isinstance(value, metrics.Metric)}
    assert {getattr(metrics, name) for name in listed} == set(METRICS)
    assert used == listed


def test_every_place_that_measures_gives_the_attributes_that_the_list_names():
    """All of them: an alert that splits by state needs the state each time."""
    for path in sorted((ROOT / "mms_core").rglob("*.py")):
        for call in _calls(path):
            given = {keyword.arg for keyword in call.keywords if keyword.arg != "value"}
            assert given == getattr(metrics, call.args[0].id).attributes, (path.name, call.lineno)


def _queries(path):
    found = re.findall(r"query: '(.*)'|\"query\": \"(.*?)\",\n", path.read_text(encoding="utf-8"))
    assert found
    return [one or other for one, other in found]


@pytest.mark.parametrize("path", ASKED, ids=lambda path: path.name)
def test_alerts_and_workbook_ask_for_metrics_and_attributes_that_exist(path):
    """A misspelt name is a silent alert."""
    for query in _queries(path):
        names = re.findall(r"[\"'](mms\.[a-z.]+)\\?[\"']", query)
        assert set(names) <= BY_NAME.keys()
        wanted = set(re.findall(r"Properties\[[\"'](\w+)[\"']\]", query))
        for name in names:
            assert wanted <= BY_NAME[name].attributes, (name, wanted)
        assert names or "AppRequests" in query


@pytest.mark.parametrize("path", ASKED, ids=lambda path: path.name)
def test_only_a_histogram_is_asked_for_its_least_or_greatest(path):
    """The exporter sends neither for a counter or a gauge: what compares with it would never ring."""
    for query in _queries(path):
        if re.search(r"\b(Min|Max)\b", query):
            assert {BY_NAME[each].kind for each in re.findall(r"mms\.[a-z.]+", query)} == {"histogram"}, query


def test_silence_rings_where_the_service_should_have_spoken():
    """What cannot look after its subscriptions measures nothing: no row must not read as no trouble."""
    text = ASKED[0].read_text(encoding="utf-8")
    for name in ("mms.due.oldest", "mms.subscription.remaining"):
        (query,) = re.findall(rf"query: '(.*{re.escape(name)}.*)'", text)
        assert re.search(r"said = count\(\) \|.* or said == 0$", query)


def test_every_alert_looks_back_further_than_to_its_last_look():
    """Rows arrive minutes after their time: between two windows that only touch, such a row is never seen."""
    rules = re.findall(r"frequency: 'PT(\w+)'\s+window: 'PT(\w+)'", ASKED[0].read_text(encoding="utf-8"))
    minutes = {"M": 1, "H": 60}
    assert len(rules) >= 5
    for pair in rules:
        every, window = (int(each[:-1]) * minutes[each[-1]] for each in pair)
        assert window >= every + 5, pair


@pytest.mark.parametrize("path", ASKED, ids=lambda path: path.name)
def test_requests_that_alerts_watch_are_functions_of_the_app(path):
    """The names of the webhooks' functions."""
    functions = set(re.findall(r'function_name\("(\w+)"\)', (ROOT / "function_app.py").read_text(encoding="utf-8")))
    for listed in re.findall(r"AppRequests \| where Name in \(([^)]*)\)", path.read_text(encoding="utf-8")):
        assert set(re.findall(r"\w+", listed)) <= functions


def test_an_attribute_that_is_not_listed_is_refused():
    """Nobody adds a user's name to a metric by accident."""
    with pytest.raises(ValueError, match="user"):
        measure(RUNS_ENDED, state="Failed", code="", user="adele")


def test_a_span_refuses_what_it_may_not_carry():
    """Neither a subject nor a link."""
    with pytest.raises(ValueError, match="subject"), tracing.span("meeting", subject="Secret"):
        pass


def test_the_trace_of_a_run_is_its_correlation_id():
    """Whoever has one has the other; an id that is no UUID has a trace as well."""
    assert f"{tracing.trace_id('7f2c0000-0000-4000-8000-00000000abcd'):032x}" == "7f2c000000004000800000000000abcd"
    assert 0 < tracing.trace_id("x") < 2**128


class _Finished:
    def __init__(self, *, trace_id, failed, tracer="mms"):
        self.instrumentation_scope = type("Scope", (), {"name": tracer})
        self.status = Status(StatusCode.ERROR if failed else StatusCode.UNSET)
        self.context = type("Context", (), {"trace_id": trace_id})


def test_sampling_drops_no_failure_and_no_half_of_a_trace():
    """At any ratio, failures stay; the rest is decided by the trace alone."""
    traces = [tracing.trace_id(str(number)) for number in range(2000)]
    assert all(keeps(_Finished(trace_id=each, failed=True), ratio=0) for each in traces)
    assert not any(keeps(_Finished(trace_id=each, failed=False), ratio=0) for each in traces)
    assert all(keeps(_Finished(trace_id=each, failed=False), ratio=1) for each in traces)
    kept = sum(keeps(_Finished(trace_id=each, failed=False), ratio=0.2) for each in traces)
    assert 300 < kept < 500


@pytest.mark.parametrize("failed", [True, False])
def test_what_a_library_says_of_itself_is_not_exported(failed):
    """Graph's SDK makes a dozen spans of each call, with the whole address in them, and names stand in addresses."""
    name = "com.microsoft.com:microsoft-kiota-http-httpx"
    assert not keeps(_Finished(trace_id=1, failed=failed, tracer=name), ratio=1)


def test_the_hosts_own_sampling_drops_neither_calls_nor_errors_nor_log_lines():
    """A line that says where something crashed is found by the reference that its caller was given."""
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    sampling = host["logging"]["applicationInsights"]["samplingSettings"]
    assert {"Request", "Exception", "Trace"} <= set(sampling["excludedTypes"].split(";"))


def test_what_is_exported_is_every_failure_whatever_the_ratio():
    """Through the processor that the app uses, and with its batches: not only by the rule."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    for ratio, expected in ((0.0, {"failed"}), (1.0, {"failed", "done"})):
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(processor(exporter, ratio=ratio))
        tracer = provider.get_tracer(tracing.TRACER)
        for number in range(700):
            with tracer.start_as_current_span("failed" if number % 7 == 0 else "done") as step:
                if number % 7 == 0:
                    step.set_status(StatusCode.ERROR)
        provider.force_flush()
        spans = exporter.get_finished_spans()
        assert {each.name for each in spans} == expected
        assert sum(each.name == "failed" for each in spans) == 100
        provider.shutdown()
