"""What operators see: one trace a run, numbers without names, and not one personal word anywhere."""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from functional_support import KEY, NAME, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meeting_values import NOW, USER, people, skype_event
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mms_core import telemetry, tracing
from mms_core.errors import MmsError, OutcomeUnknown, PermanentError, PreconditionLost, TemporaryError
from mms_core.messages import TenantEvent
from mms_core.model import Selection

_EXPORTER, _READER = InMemorySpanExporter(), InMemoryMetricReader()
_STARTED: list[bool] = []


@pytest.fixture
def spans():
    """The finished spans, and nothing of earlier tests. OpenTelemetry's providers are set once a process."""
    if not _STARTED:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(_EXPORTER))
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider([_READER]))
        _STARTED.append(True)
    _EXPORTER.clear()
    return _EXPORTER.get_finished_spans


def _numbers():
    data = _READER.get_metrics_data()
    found = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    value = getattr(point, "value", None)
                    found[metric.name, tuple(sorted(point.attributes.items()))] = point.sum if value is None else value
    return found


async def test_from_the_trigger_to_the_last_meeting_it_is_one_trace(world, spans):
    """Its id is the correlation id that status shows, although queue messages and hours lie between."""
    world.skype_meetings(3)
    result = await world.ask()
    world.clock.advance(timedelta(minutes=90))
    await world.until_quiet()
    run = await world.run()
    assert run.run_id == result.correlation_id
    mine = [each for each in spans() if each.name in ("mms.request", "mms.run", "mms.meeting")]
    assert {f"{each.context.trace_id:032x}" for each in mine} == {uuid.UUID(run.run_id).hex}
    assert sorted(each.name for each in mine) == ["mms.meeting"] * 3 + ["mms.request", "mms.run"]
    (run_span,) = [each for each in mine if each.name == "mms.run"]
    assert {each.parent.span_id for each in mine if each.name == "mms.meeting"} == {run_span.context.span_id}


async def test_a_call_to_graph_is_a_step_of_its_meeting_and_carries_the_runs_id(spans, monkeypatch):
    """The last span of the trace is the PATCH itself; a refused one is an error, and says its code."""
    import httpx

    from mms_core.adapters.graph import GraphTransport

    transport = GraphTransport(object(), base_url="https://graph.example/v1.0", scope="s")
    answers, sent = [httpx.Response(200, content=b"{}"), httpx.Response(503)], []

    async def send(info, **_):
        sent.append(info.headers.get("client-request-id"))
        return answers.pop(0)

    monkeypatch.setattr(transport, "_sent", send)
    run = "7f2c0000-0000-4000-8000-00000000abcd"
    info = transport.page("https://graph.example/v1.0/users/1/events/2")
    with tracing.span("meeting", correlation_id=run) as meeting:
        await transport.write(info)
        with pytest.raises(TemporaryError):
            await transport.write(transport.page("https://graph.example/v1.0/users/1/events/2"))
    await transport.close()
    done, refused = [each for each in spans() if each.name == "mms.graph"]
    for each in (done, refused):
        assert f"{each.context.trace_id:032x}" == uuid.UUID(run).hex
        assert each.parent.span_id == meeting.get_span_context().span_id
    assert sent == [{run}, {run}]
    assert (done.attributes["http.response.status_code"], done.status.is_ok) == ("200", True)
    assert refused.status.status_code is trace.StatusCode.ERROR
    assert refused.attributes["mms.code"] == "ServiceUnavailable"


async def test_two_runs_are_two_traces_even_in_one_worker(world, spans):
    """Nothing of the first leaks into the second."""
    for number in (1, 2):
        other = f"{number}2345678-0000-4000-8000-000000000009"
        world.tenant.add_user(other, f"user{number}@contoso.example")
        await world.ask(other)
    await world.until_quiet()
    assert len({each.context.trace_id for each in spans() if each.name == "mms.run"}) == 2


async def test_a_failed_meeting_is_an_error_with_its_code(world, spans):
    """So that no sampling drops it."""
    world.skype_meetings(1)
    world.tenant.on("update", PermanentError("the mailbox of somebody", code="MeetingRejected"))
    await world.ask()
    await world.until_quiet()
    (step,) = [each for each in spans() if each.name == "mms.meeting"]
    assert step.status.status_code is trace.StatusCode.ERROR
    assert step.attributes["mms.code"] == "MeetingRejected"
    assert step.events == ()


async def test_what_ended_is_counted_once(world, spans):
    """Runs by state, meetings by verdict and code; the time from trigger to done."""
    before = _numbers()
    world.skype_meetings(2)
    world.tenant.on("update", PermanentError(code="MeetingRejected"))
    await world.ask()
    await world.until_quiet()
    after = _numbers()
    change = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    assert change["mms.runs.ended", (("code", "MeetingRejected"), ("state", "Failed"))] == 1
    assert change["mms.meetings.ended", (("code", ""), ("verdict", "migrated"))] == 1
    assert change["mms.meetings.ended", (("code", "MeetingRejected"), ("verdict", "failed"))] == 1
    assert change["mms.run.elapsed", (("state", "Failed"),)] >= 90 * 60


async def test_the_oldest_overdue_request_is_measured_and_goes_back_to_nothing(world, spans):
    """A lost message shows; when it is found again, the number is zero."""
    await world.ask()
    world.queue.messages.clear()
    world.clock.advance(timedelta(minutes=90 + 20))
    await world.recovery.sweep()
    assert _numbers()["mms.due.oldest", ()] == 20 * 60
    await world.until_quiet()
    await world.recovery.sweep()
    assert _numbers()["mms.due.oldest", ()] == 0


# -- privacy ------------------------------------------------------------------------------------------------------------


FAILURES = (
    lambda text: PermanentError(text, code="MeetingRejected"),
    lambda text: TemporaryError(text, code="ServiceUnavailable"),
    OutcomeUnknown,
)
CALLS = (
    "user", "mailbox_kind", "configuration", "candidates", "series", "event", "create_or_get", "find", "update", "updated",
)  # fmt: skip
"""Every call that a run makes; ``updated`` is the answer of one that was carried out."""


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_personal_word_is_in_a_log_a_span_or_a_number(spans, caplog, data):
    """Whatever fails, wherever: marked names, subjects, texts, links and numbers come out nowhere."""
    mark = "MARK" + data.draw(st.text("ABCDEFGHJKLMNPQRSTUVWXYZ", min_size=6, max_size=6))
    caplog.clear()
    _EXPORTER.clear()
    world = World()
    world.start_services(sending_limits=True)
    await world.configure(MailboxRecipientsPerDay=4)
    world.tenant.add_user(USER, f"{mark}@contoso.example")
    event = skype_event(1, start=NOW + timedelta(days=1))
    marked = replace(
        event,
        subject=f"{mark} subject",
        body=event.body.replace("the agenda:", f"{mark} body"),
        attendees=(*people(2), replace(people(1)[0], address=f"{mark}@fabrikam.example")),
        locations=({"displayName": f"{mark} room"},),
    )
    world.tenant.add(marked, *world.skype_meetings(1))
    with caplog.at_level(logging.DEBUG):
        for call in data.draw(st.lists(st.sampled_from(CALLS), max_size=4)):
            possible = {"update": (*FAILURES, PreconditionLost), "updated": (OutcomeUnknown,)}.get(call, FAILURES)
            world.tenant.on(call, data.draw(st.sampled_from(possible))(f"{mark} was refused"))
        await world.ask(f"{mark}@contoso.example")
        await world.ask(f"sip:{mark}@contoso.example")
        await world.ask(f"{mark}-nobody@contoso.example", selection=Selection(subject=mark))
        await world.queue.send(
            TenantEvent(
                event_id=f"{mark}|1",
                type="mms.policy.granted",
                data={"user": f"{mark}@contoso.example", "policy": "TeamsUpgradePolicy", "mode": mark},
                actor="script",
            )
        )
        await world.recovery.poisoned(json.dumps({"kind": mark, "text": mark}))
        await world.until_quiet(within=timedelta(days=30))
        try:
            world.tenant.edit(marked.event_id, body=marked.body.replace(mark, f"{mark} again"))
            await world.queries.undo(USER, (), actor=mark)
        except MmsError:
            pass  # nothing was migrated: there is nothing to undo
        await world.until_quiet(within=timedelta(days=30))
    said = [record.getMessage() + repr(record.__dict__) for record in caplog.records]
    assert not [each for each in said if mark in each]
    assert not [each.to_json() for each in spans() if mark in each.to_json()]
    assert mark not in repr(_numbers())


async def test_a_run_that_crashes_is_logged_with_its_correlation_id_and_without_the_errors_text(world, caplog):
    """Whoever is called for its poisoned message finds the line by the id that status shows."""
    result = await world.ask()
    world.clock.advance(timedelta(minutes=90))
    world.tenant.on("user", ZeroDivisionError(NAME))
    (_, wake) = world.queue.messages.pop()
    with caplog.at_level(logging.INFO), pytest.raises(ZeroDivisionError):
        await world.dispatch(wake)
    (line,) = [each.getMessage() for each in caplog.records if each.getMessage().startswith("run_crashed")]
    assert f"correlation_id={result.correlation_id} error_type=ZeroDivisionError where=" in line
    assert NAME not in caplog.text


class _Credential:
    """Gives a token."""

    async def get_token(self, *_, **__):
        from azure.core.credentials import AccessToken

        return AccessToken("token", 2**40)


async def test_no_library_tells_the_name_that_stands_in_an_address(spans, monkeypatch, caplog):
    """The client logs each address, and Graph's SDK writes it into its spans; nothing of either leaves the app."""
    import httpx

    from mms_core.adapters.graph import GraphDirectory, GraphTransport
    from mms_core.adapters.monitor import keeps

    asked = []

    def answer(request):
        asked.append(str(request.url))
        return httpx.Response(200 if len(asked) == 1 else 400, json={"id": USER, "userPrincipalName": NAME})

    telemetry.quieten()
    transport = GraphTransport(_Credential(), base_url="https://graph.example/v1.0", scope="s")
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", lambda _, request: _later(answer(request)))
    with caplog.at_level(logging.DEBUG):
        directory = GraphDirectory(transport)
        assert (await directory.user(NAME)).user_id == USER
        with pytest.raises(MmsError):
            await directory.user(NAME)
    await transport.close()
    local = NAME.partition("@")[0]
    assert [each for each in asked if local in each] == asked != []
    said = [f"{each.getMessage()} {each.__dict__!r}" for each in caplog.records]
    assert [each for each in said if local in each] == []
    kept = [each for each in spans() if keeps(each, ratio=1)]
    assert [each.name for each in kept] == ["mms.graph", "mms.graph"]
    assert [each for each in kept if local in each.to_json()] == []
    assert [each for each in spans() if local in each.to_json()]


async def _later(value):
    return value


async def test_the_marks_would_be_found(world, caplog):
    """The search above can fail: a log line with a name in it is seen."""
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("mms").info("about %s", NAME)
    assert [record for record in caplog.records if NAME in record.getMessage()]
    assert KEY
