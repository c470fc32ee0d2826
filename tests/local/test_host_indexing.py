"""Which functions an app has, and which of them start."""

import pytest

from mms_local.host.indexing import IndexingError, index_app

HEAD = "import azure.functions as func\napp = func.FunctionApp()\n"
HTTP = """
@app.route(route="{route}", methods={methods})
async def {name}(req: func.HttpRequest) -> func.HttpResponse: ...
"""


@pytest.fixture
def index(tmp_path, queue_name):
    """Index a source text under a module name of its own."""

    def run(source, **environment):
        module = f"app_{queue_name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source)
        return index_app(tmp_path, {"PYTHON_SCRIPT_FILE_NAME": f"{module}.py", **environment})

    return run


def test_describes_all_three_kinds(index):
    """Triggers come out in function.json's words, with expressions resolved."""
    http, queue, timer = index(
        HEAD
        + HTTP.format(route="a/{id}", methods='["GET", "PATCH"]', name="web")
        + """
@app.queue_trigger(arg_name="message", queue_name="%Q%-x", connection="Store")
def work(message: func.QueueMessage, context: func.Context) -> None: ...

@app.timer_trigger(arg_name="timer", schedule="%WHEN%", run_on_startup=True)
async def tick(timer: func.TimerRequest) -> None: ...
""",
        Q="some",
        Store="text",
        WHEN="0 0 * * * *",
    )
    assert (http.name, http.trigger_type, http.methods) == ("web", "httpTrigger", {"GET", "PATCH"})
    assert (queue.trigger["queueName"], queue.parameter, queue.is_async) == ("some-x", "message", False)
    assert queue.wants_context
    assert not http.wants_context
    assert (timer.trigger["schedule"], timer.trigger["runOnStartup"]) == ("0 0 * * * *", True)
    assert timer.raw_bindings[0]["schedule"] == "%WHEN%"
    assert all(function.is_running for function in (http, queue, timer))


@pytest.mark.parametrize(
    ("decorator", "error"),
    [
        ('queue_trigger(arg_name="x", queue_name="%NOPE%", connection="Store")', "%NOPE%"),
        ('queue_trigger(arg_name="x", queue_name="q-1", connection="Gone")', "'Gone' does not exist"),
        ('queue_trigger(arg_name="x", queue_name="No_Queue", connection="Store")', "not a queue name"),
        ('timer_trigger(arg_name="x", schedule="whenever")', "was not recognized"),
        ('route(route="a/{id", trigger_arg_name="x")', "braces"),
        ('route(route="admin/x", trigger_arg_name="x")', "built in routes"),
        ('blob_trigger(arg_name="x", path="a/b", connection="Store")', "blobTrigger"),
    ],
)
def test_a_function_that_cannot_start_is_in_error_and_alone(index, decorator, error):
    """The others start all the same."""
    bad, good = index(
        HEAD + f"@app.{decorator}\ndef bad(x) -> None: ...\n" + HTTP.format(route="ok", methods="None", name="good"),
        Store="text",
    )
    assert error in "; ".join(bad.errors)
    assert not bad.is_running
    assert good.is_running


def test_the_same_route_twice_is_a_conflict_only_with_a_method_in_common(index):
    """The function declared later does not start."""
    functions = index(
        HEAD
        + HTTP.format(route="a", methods='["GET"]', name="one")
        + HTTP.format(route="A/", methods='["POST"]', name="two")
        + HTTP.format(route="a", methods='["POST", "PUT"]', name="three")
        + HTTP.format(route="a", methods="None", name="four")
    )
    assert [function.is_running for function in functions] == [True, True, False, False]


def test_a_disabled_function_does_not_start(index):
    """AzureWebJobs.NAME.Disabled switches it off."""
    (function,) = index(
        HEAD + HTTP.format(route="a", methods="None", name="web"), **{"AzureWebJobs.web.Disabled": "true"}
    )
    assert function.is_disabled
    assert not function.is_running


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError('at import')",
        "import there_is_no_such_module",
        "x = 1",
        HEAD + "other = func.FunctionApp()\n",
        HEAD + HTTP.format(route="a", methods="None", name="web") * 2,
        HEAD + "@app.route(route='a')\ndef web(wrong: func.HttpRequest) -> str: ...\n",
        HEAD + "@app.route(route='a')\ndef web(req: func.HttpRequest, more: int) -> str: ...\n",
        HEAD + "@app.route(route='a')\ndef web(req: func.HttpRequest, context: int) -> str: ...\n",
    ],
)
def test_an_app_that_does_not_load_has_no_functions_at_all(index, source):
    """As in Azure, one mistake at import or in a signature makes every function vanish."""
    with pytest.raises(IndexingError):
        index(source)


def test_one_app_under_two_names_is_one_app(index):
    """An alias is not a second app."""
    (function,) = index(HEAD + "alias = app\n" + HTTP.format(route="a", methods="None", name="web"))
    assert function.name == "web"
