"""Set-up, the directory of a stack, and the command line."""

import json
import os
import socket
import stat

import pytest

from mms_local import __main__ as command_line
from mms_local import node
from mms_local.ports import bypass_proxies
from mms_local.up import parse_arguments
from mms_local.workplace import RUNS, Workplace, WorkplaceError, write_atomically


def program(directory, name, text):
    """Write an executable shell script."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "major"), [("echo v20.20.2", 20), ("echo v9.0.0", 9), ("echo nonsense", 0), ("exit 1", 0)]
)
def test_asks_node_for_its_version(tmp_path, text, major):
    """Anything that is not a version is no Node."""
    assert node.node_major(str(program(tmp_path, "node", text))) == major
    assert node.node_major(str(tmp_path / "absent")) == 0


def test_set_up_is_quick_when_nothing_is_to_do(monkeypatch):
    """A second call installs nothing."""

    def refuse(*_, **__):
        raise AssertionError("it installs again")

    monkeypatch.setattr(node, "_run", refuse)
    node.set_up_azurite()
    assert command_line.main(["setup"]) == 0
    assert node.azurite_command()[1].endswith("azurite.js")


def test_an_old_node_is_replaced_by_the_one_from_pypi(tmp_path, monkeypatch):
    """The package is installed when the machine's Node is too old; without it set-up says what is missing."""
    program(tmp_path, "node", "echo v18.0.0")
    program(tmp_path, "npm", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(node, "_wheel_node", lambda: None)
    monkeypatch.setattr(node, "AZURITE_DIRECTORY", tmp_path)
    monkeypatch.setattr(node, "_ENTRY", tmp_path / "absent")
    (tmp_path / "package-lock.json").write_text("{}")
    commands = []
    monkeypatch.setattr(node, "_run", lambda command, **_: commands.append(command))
    with pytest.raises(node.SetupError, match="install Node 20 or newer"):
        node.set_up_azurite()
    assert [command[-1] for command in commands] == [node.WHEEL]
    with pytest.raises(node.SetupError, match="python -m mms_local setup"):
        node.azurite_command()


def test_a_failed_installation_says_what_npm_said(tmp_path, monkeypatch):
    """The end of its output is in the message."""
    npm = program(tmp_path, "npm", "echo no such registry; exit 7")
    monkeypatch.setattr(node, "AZURITE_DIRECTORY", tmp_path)
    monkeypatch.setattr(node, "_ENTRY", tmp_path / "absent")
    monkeypatch.setattr(node, "_npm", lambda: [str(npm)])
    (tmp_path / "package-lock.json").write_text("{}")
    with pytest.raises(node.SetupError, match="no such registry"):
        node.set_up_azurite()


def test_a_workplace_belongs_to_one_stack(tmp_path):
    """Two on the same data would spoil it."""
    first = Workplace(tmp_path, in_memory=False)
    with pytest.raises(WorkplaceError, match="another stack is running"):
        Workplace(tmp_path, in_memory=False)
    first.close()
    Workplace(tmp_path, in_memory=False).close()


def test_what_webhooks_repeat_survives_a_restart(tmp_path):
    """Subscriptions made before it would be refused otherwise; nobody else may read it."""
    first = Workplace(tmp_path, in_memory=False)
    first.close()
    second = Workplace(tmp_path, in_memory=True)
    assert second.secrets == first.secrets
    assert (second.storage, first.storage) == (None, tmp_path / "storage")
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    second.close()


def test_ports_survive_a_restart_unless_somebody_took_them(tmp_path):
    """Webhooks are registered with addresses."""
    workplace = Workplace(tmp_path, in_memory=True)
    first = workplace.ports("app", "graph")
    assert workplace.ports("app", "graph") == first
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", first["app"]))
        squatter.listen()
        second = workplace.ports("app", "graph")
    assert second["app"] != first["app"]
    assert second["graph"] == first["graph"]
    workplace.close()


def test_a_workplace_without_a_name_is_forgotten_but_for_its_logs(tmp_path, monkeypatch):
    """Old ones go when new ones come."""
    monkeypatch.chdir(tmp_path)
    for number in range(8):
        (tmp_path / RUNS / f"2020010{number}-000000-1").mkdir(parents=True)
    workplace = Workplace(None, in_memory=False)
    workplace.log("host").write_text("kept")
    workplace.close()
    assert [path.name for path in workplace.root.iterdir()] == ["logs"]
    assert (workplace.logs / "host.log").read_text() == "kept"
    assert len(list((tmp_path / RUNS).iterdir())) == 5


def test_the_ready_file_is_replaced_as_a_whole(tmp_path):
    """No reader sees half a file, and no temporary file stays."""
    path = tmp_path / "new" / "ready.json"
    write_atomically(path, {"n": 1})
    write_atomically(path, {"n": 2})
    assert json.loads(path.read_text()) == {"n": 2}
    assert list(path.parent.iterdir()) == [path]


def test_the_command_line_knows_its_commands(capsys):
    """Help goes to stdout, a mistake to stderr with exit code 2."""
    assert command_line.main(["--help"]) == 0
    assert "up " in capsys.readouterr().out
    assert command_line.main([]) == 2
    assert command_line.main(["fly"]) == 2
    assert "usage" in capsys.readouterr().err


def test_up_takes_the_contracts_options():
    """Those of the design, with free ports and an empty tenant by default."""
    arguments = parse_arguments([])
    assert (arguments.port, arguments.graph_port, arguments.latency_ms, arguments.throttle) == (0, 0, 0, "off")
    line = "--empty --settle-seconds 2 --port 1 --graph-port 2 --latency-ms 3 --throttle on --data d --ready-file r"
    arguments = parse_arguments([*line.split(), "--in-memory", "--set", "A=b=c"])
    assert arguments.settle_seconds == 2
    assert arguments.set == ["A=b=c"]


@pytest.mark.parametrize("line", ["--empty --tenant f", "--throttle maybe", "--set A", "--port x"])
def test_up_refuses_what_makes_no_sense(line, capsys):
    """Exit code 2 and a reason."""
    with pytest.raises(SystemExit) as refused:
        parse_arguments(line.split())
    assert refused.value.code == 2
    assert capsys.readouterr().err


def test_this_machine_is_reached_without_a_proxy(monkeypatch):
    """What was excepted before stays so, and nothing is listed twice."""
    monkeypatch.setenv("NO_PROXY", "example.com,localhost")
    monkeypatch.delenv("no_proxy", raising=False)
    bypass_proxies()
    bypass_proxies()
    assert os.environ["NO_PROXY"] == "example.com,localhost,127.0.0.1"
    assert os.environ["no_proxy"] == "127.0.0.1,localhost"
