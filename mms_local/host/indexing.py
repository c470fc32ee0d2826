"""Find the functions of ``function_app.py`` through the azure-functions library, with the worker's and host's rules."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from azure.functions import FunctionRegister

from mms_local.host.appsettings import queue_connection, resolve
from mms_local.host.configuration import ConfigurationError
from mms_local.host.routes import RouteTemplate, parse_template
from mms_local.host.schedules import parse_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

HTTP_TRIGGER: Final = "httpTrigger"
QUEUE_TRIGGER: Final = "queueTrigger"
TIMER_TRIGGER: Final = "timerTrigger"
TRIGGERS: Final = frozenset({HTTP_TRIGGER, QUEUE_TRIGGER, TIMER_TRIGGER})
_RETURN: Final = "$return"
_QUEUE_NAME: Final = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")
_FALSE: Final = frozenset({"", "false", "0"})


class IndexingError(Exception):
    """The app does not load: the real worker reports 0 functions."""


@dataclass(kw_only=True)
class IndexedFunction:
    """One function with what its decorators said."""

    name: str
    call: Callable[..., Any]
    trigger: Mapping[str, Any]
    """The trigger binding in function.json's words, expressions resolved."""
    raw_bindings: tuple[Mapping[str, Any], ...]
    """All bindings as declared, expressions and all."""
    is_async: bool
    wants_context: bool
    route: RouteTemplate | None = None
    """HTTP only, without the prefix."""
    methods: frozenset[str] | None = None
    """HTTP only, upper case; ``None`` means every method."""
    errors: list[str] = field(default_factory=list)
    """Why the host does not start it; empty when it does."""
    is_disabled: bool = False

    @property
    def is_running(self) -> bool:
        """Whether the host listens for it."""
        return not self.errors and not self.is_disabled

    @property
    def trigger_type(self) -> str:
        """``httpTrigger``, ``queueTrigger`` or ``timerTrigger``."""
        return str(self.trigger["type"])

    @property
    def parameter(self) -> str:
        """Name of the parameter that gets the trigger's value."""
        return str(self.trigger["name"])


def index_app(app_directory: Path, environment: Mapping[str, str]) -> list[IndexedFunction]:
    """Import ``function_app.py`` of *app_directory* and return its functions, those in error included.

    Errors: :class:`IndexingError` when the import fails, no or more than one app is defined, a name is used twice
    or a signature does not fit its bindings. The cause is chained.
    """
    if str(app_directory) not in sys.path:
        sys.path.insert(0, str(app_directory))
    script = environment.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    try:
        module = importlib.import_module(script.removesuffix(".py"))
        declared = _only_app(module, script).get_functions()
    except Exception as error:  # whatever the app's import raises, the host must say it and live
        raise IndexingError(f"{type(error).__name__}: {error}") from error
    functions = [_describe(function, environment) for function in declared]
    _find_route_conflicts(functions)
    return functions


def _only_app(module: object, script: str) -> FunctionRegister:
    apps = {id(value): value for value in vars(module).values() if isinstance(value, FunctionRegister)}
    if len(apps) != 1:
        raise IndexingError(f"{script} must define one function app at top level, it defines {len(apps)}")
    return next(iter(apps.values()))


def _describe(function: Any, environment: Mapping[str, str]) -> IndexedFunction:
    name, call = function.get_function_name(), function.get_user_function()
    raw: list[dict[str, Any]] = [json.loads(text) for text in function.get_raw_bindings()]
    trigger = next(item for item in raw if item["type"].lower().endswith("trigger"))
    described = IndexedFunction(
        name=name,
        call=call,
        trigger=trigger,
        raw_bindings=tuple(raw),
        is_async=inspect.iscoroutinefunction(call),
        wants_context=_check_signature(name, call, {item["name"] for item in raw} - {_RETURN}),
        is_disabled=environment.get(f"AzureWebJobs.{name}.Disabled", "").lower() not in _FALSE,
    )
    for setting in ("retry_policy",):
        if function.get_setting(setting) is not None:
            described.errors.append(f"this host does not know '{setting}'")
    for binding in raw:
        if binding["type"] not in TRIGGERS | {"http"}:
            described.errors.append(f"this host does not know bindings of type '{binding['type']}'")
    if not described.errors:
        _resolve_trigger(described, environment)
    return described


def _check_signature(name: str, call: Callable[..., Any], bound: set[str]) -> bool:
    """Compare parameters with bindings; return whether ``context`` is asked for."""
    try:
        annotations = typing.get_type_hints(call)
    except NameError as error:
        raise IndexingError(f"cannot load the {name} function: {error}") from error
    parameters = set(inspect.signature(call).parameters)
    wants_context = "context" in parameters - bound
    if wants_context:
        parameters.discard("context")
        annotation = annotations.get("context")
        if annotation is not None and getattr(annotation, "__name__", "") != "Context":
            raise IndexingError(f"cannot load the {name} function: 'context' must be an azure.functions.Context")
    if parameters != bound:
        wrong = ", ".join(sorted(parameters ^ bound))
        raise IndexingError(f"cannot load the {name} function: parameters and bindings differ in {wrong}")
    return wants_context


def _resolve_trigger(function: IndexedFunction, environment: Mapping[str, str]) -> None:
    try:
        trigger = {
            key: resolve(value, environment) if isinstance(value, str) and key not in {"name", "type"} else value
            for key, value in function.trigger.items()
        }
        function.trigger = trigger
        if function.trigger_type == HTTP_TRIGGER:
            _check_http(function)
        elif function.trigger_type == QUEUE_TRIGGER:
            queue_connection(trigger.get("connection") or "", environment)
            if _QUEUE_NAME.fullmatch(str(trigger["queueName"])) is None:
                function.errors.append(f"'{trigger['queueName']}' is not a queue name")
        else:
            parse_schedule(str(trigger["schedule"]))
    except (ConfigurationError, ValueError) as error:
        function.errors.append(str(error))


def _check_http(function: IndexedFunction) -> None:
    text = str(function.trigger.get("route") or function.name)
    function.route = parse_template(text)
    methods = function.trigger.get("methods")
    function.methods = None if methods is None else frozenset(method.upper() for method in methods)
    if text.strip("/").lower().split("/")[0] in {"admin", "runtime"}:
        function.errors.append("the specified route conflicts with one or more built in routes")


def _find_route_conflicts(functions: list[IndexedFunction]) -> None:
    """Two functions on the same route with a method in common: the later one does not start, as in the real host."""
    taken: list[IndexedFunction] = []
    for function in functions:
        if function.route is None or function.errors:
            continue
        route = function.route.text.strip("/").lower()
        for other in taken:
            same_route = other.route is not None and other.route.text.strip("/").lower() == route
            if same_route and (function.methods is None or other.methods is None or function.methods & other.methods):
                function.errors.append(f"the route conflicts with the route of function '{other.name}'")
        if not function.errors:
            taken.append(function)
