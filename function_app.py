"""The functions: each decodes, makes one call, encodes. Nothing else happens here, and nothing at import.

Names of queues and schedules are ``%SETTING%`` expressions: the host resolves them, this module reads no environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import azure.functions as func

from mms_core import wiring

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
# Anonymous for the host: function keys are for development. Every handler checks its own proof (see docs of the API).


async def _answer(handler: Callable[[Any], Awaitable[Any]], req: func.HttpRequest) -> func.HttpResponse:
    answer = await handler(
        wiring.api_request(
            method=req.method,
            url=req.url,
            route=req.route_params,
            query=req.params,
            headers=req.headers,
            body=req.get_body(),
        )
    )
    headers = dict(answer.headers)
    if answer.body:
        headers["Content-Type"] = answer.content_type
    return func.HttpResponse(answer.body, status_code=int(answer.status), headers=headers)


# -- what the tenant calls ------------------------------------------------------------------------------------------


@app.function_name("graph_notifications")
@app.route(route="graph/notifications", methods=["POST"])
async def graph_notifications(req: func.HttpRequest) -> func.HttpResponse:
    """Graph change notifications and their handshake."""
    return await _answer(wiring.app().webhooks.notifications, req)


@app.function_name("graph_lifecycle")
@app.route(route="graph/lifecycle", methods=["POST"])
async def graph_lifecycle(req: func.HttpRequest) -> func.HttpResponse:
    """Graph lifecycle notifications and their handshake."""
    return await _answer(wiring.app().webhooks.lifecycle, req)


@app.function_name("events")
@app.route(route="events", methods=["POST", "OPTIONS"])
async def events(req: func.HttpRequest) -> func.HttpResponse:
    """CloudEvents."""
    return await _answer(wiring.app().webhooks.events, req)


@app.function_name("activity")
@app.route(route="activity", methods=["POST"])
async def activity(req: func.HttpRequest) -> func.HttpResponse:
    """Office 365 Management Activity notifications and their validation."""
    return await _answer(wiring.app().webhooks.activity, req)


# -- what administrators call -----------------------------------------------------------------------------------------


@app.function_name("health")
@app.route(route="health", methods=["GET"])
async def health(req: func.HttpRequest) -> func.HttpResponse:
    """Whether the app and its storage answer."""
    return await _answer(wiring.app().health.health, req)


@app.function_name("migrations")
@app.route(route="migrations", methods=["GET", "POST"])
async def migrations(req: func.HttpRequest) -> func.HttpResponse:
    """Status of runs; start of migrations."""
    return await _answer(wiring.app().admin.migrations, req)


@app.function_name("migration")
@app.route(route="migrations/{userId}", methods=["GET"])
async def migration(req: func.HttpRequest) -> func.HttpResponse:
    """A user's newest run."""
    return await _answer(wiring.app().admin.migration, req)


@app.function_name("meetings")
@app.route(route="migrations/{userId}/meetings", methods=["GET"])
async def meetings(req: func.HttpRequest) -> func.HttpResponse:
    """A user's meetings and what became of them."""
    return await _answer(wiring.app().admin.meetings, req)


@app.function_name("blocks")
@app.route(route="migrations/{userId}/blocks", methods=["GET"])
async def blocks(req: func.HttpRequest) -> func.HttpResponse:
    """A meeting, with its block before and after."""
    return await _answer(wiring.app().admin.blocks, req)


@app.function_name("cancel")
@app.route(route="migrations/{userId}/cancel", methods=["POST"])
async def cancel(req: func.HttpRequest) -> func.HttpResponse:
    """Cancel what waits, stop what runs."""
    return await _answer(wiring.app().admin.cancel, req)


@app.function_name("retry")
@app.route(route="migrations/{userId}/retry", methods=["POST"])
async def retry(req: func.HttpRequest) -> func.HttpResponse:
    """Start a run that is over afresh."""
    return await _answer(wiring.app().admin.retry, req)


@app.function_name("retries")
@app.route(route="retries", methods=["POST"])
async def retries(req: func.HttpRequest) -> func.HttpResponse:
    """Start a whole group of failures afresh."""
    return await _answer(wiring.app().admin.retries, req)


@app.function_name("undo")
@app.route(route="migrations/{userId}/undo", methods=["POST"])
async def undo(req: func.HttpRequest) -> func.HttpResponse:
    """Restore the original invitations."""
    return await _answer(wiring.app().admin.undo, req)


@app.function_name("previews")
@app.route(route="previews", methods=["POST"])
async def previews(req: func.HttpRequest) -> func.HttpResponse:
    """Ask for a dry run."""
    return await _answer(wiring.app().admin.previews, req)


@app.function_name("preview")
@app.route(route="previews/{id}", methods=["GET"])
async def preview(req: func.HttpRequest) -> func.HttpResponse:
    """A dry run: the plan of each meeting."""
    return await _answer(wiring.app().admin.preview, req)


@app.function_name("apply")
@app.route(route="previews/{id}/apply", methods=["POST"])
async def apply(req: func.HttpRequest) -> func.HttpResponse:
    """Carry a dry run out as it stands."""
    return await _answer(wiring.app().admin.apply, req)


@app.function_name("config")
@app.route(route="config", methods=["GET", "PATCH"])
async def config(req: func.HttpRequest) -> func.HttpResponse:
    """The tenant's settings."""
    return await _answer(wiring.app().admin.config, req)


@app.function_name("decisions")
@app.route(route="decisions", methods=["GET"])
async def decisions(req: func.HttpRequest) -> func.HttpResponse:
    """Who or what asked for what, and what was decided."""
    return await _answer(wiring.app().journal.decisions, req)


@app.function_name("discovery")
@app.route(route="discovery", methods=["GET"])
async def discovery(req: func.HttpRequest) -> func.HttpResponse:
    """Users who need a migration and have none."""
    return await _answer(wiring.app().journal.discovery, req)


# -- what anybody may read --------------------------------------------------------------------------------------------


@app.function_name("openapi")
@app.route(route="openapi.json", methods=["GET"])
async def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """The description of this API."""
    return await _answer(wiring.app().pages.openapi, req)


@app.function_name("dashboard")
@app.route(route="dashboard", methods=["GET"])
async def dashboard(req: func.HttpRequest) -> func.HttpResponse:
    """The web page's shell."""
    return await _answer(wiring.app().pages.dashboard, req)


# -- what the queues and the clock call --------------------------------------------------------------------------------


@app.function_name("on_trigger")
@app.queue_trigger(arg_name="msg", queue_name="%MMS_TRIGGER_QUEUE%", connection="AzureWebJobsStorage")
async def on_trigger(msg: func.QueueMessage) -> None:
    """Something happened: find out what, decide, file requests."""
    await wiring.done(wiring.app().triage.message(msg.get_body().decode()))


@app.function_name("on_run")
@app.queue_trigger(arg_name="msg", queue_name="%MMS_RUN_QUEUE%", connection="AzureWebJobsStorage")
async def on_run(msg: func.QueueMessage) -> None:
    """A user's run may be due."""
    await wiring.done(wiring.app().runs.message(msg.get_body().decode()))


@app.function_name("on_trigger_poison")
@app.queue_trigger(arg_name="msg", queue_name="%MMS_TRIGGER_QUEUE%-poison", connection="AzureWebJobsStorage")
async def on_trigger_poison(msg: func.QueueMessage) -> None:
    """A message failed five times: make it visible."""
    await wiring.done(wiring.app().recovery.poisoned(msg.get_body().decode(errors="replace")))


@app.function_name("on_run_poison")
@app.queue_trigger(arg_name="msg", queue_name="%MMS_RUN_QUEUE%-poison", connection="AzureWebJobsStorage")
async def on_run_poison(msg: func.QueueMessage) -> None:
    """A wake-up failed five times: make it visible."""
    await wiring.done(wiring.app().recovery.poisoned(msg.get_body().decode(errors="replace")))


@app.function_name("recover")
@app.timer_trigger(arg_name="timer", schedule="%MMS_RECOVERY_SCHEDULE%")
async def recover(timer: func.TimerRequest) -> None:
    """Wake what should be at work and is not."""
    del timer
    await wiring.done(wiring.app().recovery.sweep())


@app.function_name("housekeep")
@app.timer_trigger(arg_name="timer", schedule="%MMS_HOUSEKEEPING_SCHEDULE%")
async def housekeep(timer: func.TimerRequest) -> None:
    """Export and purge what is old, and count again."""
    del timer
    await wiring.done(wiring.app().retention.night())


@app.function_name("subscribe")
@app.timer_trigger(arg_name="timer", schedule="%MMS_SUBSCRIPTION_SCHEDULE%", run_on_startup=True)
async def subscribe(timer: func.TimerRequest) -> None:
    """Make sure that the tenant tells us what happens."""
    del timer
    await wiring.done(wiring.app().recovery.subscriptions())


@app.function_name("reconcile")
@app.timer_trigger(arg_name="timer", schedule="%MMS_SWEEP_SCHEDULE%")
async def reconcile(timer: func.TimerRequest) -> None:
    """Find what webhooks should have told."""
    del timer
    await wiring.done(wiring.app().triage.sweep())


@app.function_name("catch_up")
@app.timer_trigger(arg_name="timer", schedule="%MMS_DELTA_SCHEDULE%")
async def catch_up(timer: func.TimerRequest) -> None:
    """Find at little cost what a webhook should have told since the last look."""
    del timer
    await wiring.done(wiring.app().triage.catch_up())


@app.function_name("digest")
@app.timer_trigger(arg_name="timer", schedule="%MMS_DIGEST_SCHEDULE%")
async def digest(timer: func.TimerRequest) -> None:
    """Tell administrators what has failed, by cause."""
    del timer
    await wiring.done(wiring.app().noticing.digest())


@app.function_name("discover")
@app.timer_trigger(arg_name="timer", schedule="%MMS_DISCOVERY_SCHEDULE%")
async def discover(timer: func.TimerRequest) -> None:
    """Find users who need a migration and have none."""
    del timer
    await wiring.done(wiring.app().triage.discover())
