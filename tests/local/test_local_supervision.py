"""Parts that die are started again; a stack that ends leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient
from local_support import REPOSITORY, eventually

from mms_local.ports import free_ports, is_free
from mms_local.storage import SAVE_INTERVAL_SECONDS, Azurite, StoragePorts, storage_answers, storage_command
from mms_local.supervision import PartError, PartPlan, Supervisor

SERVER = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()
"""


def is_alive(pid):
    """Tell whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def plan(tmp_path):
    """Plan a part that runs Python code with a port of its own."""

    def make(code=SERVER, name="part", **more):
        (port,) = free_ports(1)

        async def answers():
            return not is_free(port)

        command = [sys.executable, "-c", code, str(port)]
        return PartPlan(
            **{"name": name, "command": command, "log": tmp_path / f"{name}.log", "answers": answers} | more
        )

    return make


@pytest.fixture
async def supervisor():
    """A supervisor that remembers restarts."""
    made = Supervisor(on_restart=lambda part: made.restarted.append((part.plan.name, part.pid, time.monotonic())))
    made.restarted = []
    yield made
    await made.stop()


async def test_a_killed_part_is_back_within_two_seconds_on_its_port(supervisor, plan):
    """SIGKILL, then a new process that answers where the old one did."""
    await supervisor.start(plan(), patience_seconds=60)
    part = supervisor.parts["part"]
    old, killed = part.pid, time.monotonic()
    os.kill(old, signal.SIGKILL)
    async with asyncio.timeout(60):
        while not supervisor.restarted:
            await asyncio.sleep(0.02)
    ((name, pid, at),) = supervisor.restarted
    assert (name, pid) == ("part", part.pid)
    assert pid != old
    assert at - killed < 2
    await part.wait_until_it_answers(patience_seconds=60)


async def test_a_part_that_keeps_ending_is_given_up_at_start(supervisor, plan):
    """With its last words."""

    async def never():
        return False

    broken = plan("import sys; sys.exit('no such tenant')", answers=never)
    with pytest.raises(PartError, match=r"part keeps ending\n  no such tenant"):
        await supervisor.start(broken, patience_seconds=60)


async def test_a_command_that_does_not_exist_is_reported(supervisor, plan):
    """Not a traceback."""
    with pytest.raises(PartError, match="part cannot be started"):
        await supervisor.start(plan(command=["./there-is-no-such-program"]), patience_seconds=60)


async def test_a_part_that_never_answers_is_reported(supervisor, plan):
    """After the patience given."""

    async def never():
        return False

    with pytest.raises(PartError, match=r"does not answer after 0\.2 s"):
        await supervisor.start(plan(answers=never), patience_seconds=0.2)


async def test_parts_stop_in_reverse_order_and_stubborn_ones_are_killed(supervisor, plan):
    """Each part is gone before the next is asked; SIGTERM alone does not save anybody."""
    stubborn = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True)" + SERVER
    await supervisor.start(plan(name="first"), plan(stubborn, name="second", grace_seconds=0.3), patience_seconds=60)
    pids = {name: part.pid for name, part in supervisor.parts.items()}
    stopping = asyncio.create_task(supervisor.stop())
    while is_alive(pids["second"]):
        assert is_alive(pids["first"])
        await asyncio.sleep(0.02)
    await stopping
    assert not is_alive(pids["first"])
    assert not supervisor.restarted


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells children of their parent's death")
def test_a_killed_supervisor_takes_its_parts_along(tmp_path):
    """Also when it had no chance to say so."""
    code = f"""
import asyncio, sys
from pathlib import Path
from mms_local.supervision import PartPlan, Supervisor

async def main():
    supervisor = Supervisor(on_restart=print)
    async def answers(): return True
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    await supervisor.start(PartPlan(name="x", command=command, log=Path({str(tmp_path / "log")!r}), answers=answers), patience_seconds=9)
    print(supervisor.parts["x"].pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        pid = int(process.stdout.readline())
        assert is_alive(pid)
        process.kill()
    eventually(lambda: not is_alive(pid))


async def test_storage_keeps_its_data_and_ports_when_killed(supervisor, tmp_path):
    """What was saved before the SIGKILL is there after it; the emulator saves every 5 s."""
    ports = StoragePorts.free()

    async def answers():
        return await asyncio.to_thread(storage_answers, ports)

    data = tmp_path / "data"
    data.mkdir()
    plan = PartPlan(name="storage", command=storage_command(ports, data), log=tmp_path / "log", answers=answers)
    await supervisor.start(plan, patience_seconds=60)

    def use(work):
        with QueueClient.from_connection_string(ports.connection_string, "kept") as queue:
            return work(queue)

    def fill(queue):
        queue.create_queue()
        queue.send_message("hello")

    await asyncio.to_thread(use, fill)
    saved = time.time() + SAVE_INTERVAL_SECONDS + 1
    part = supervisor.parts["storage"]
    while time.time() < saved:
        await asyncio.sleep(0.1)
    os.kill(part.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while not supervisor.restarted:
            await asyncio.sleep(0.02)
    await part.wait_until_it_answers(patience_seconds=60)
    message = await asyncio.to_thread(use, lambda queue: queue.receive_message())
    assert message.content == "hello"


def test_storage_alone_survives_a_stop(tmp_path):
    """SIGTERM writes everything; the same object starts again on the same ports."""
    azurite = Azurite(tmp_path / "data")
    with azurite:
        before = azurite.connection_string
        with QueueClient.from_connection_string(before, "kept") as queue:
            queue.create_queue()
    with azurite:
        assert azurite.connection_string == before
        with QueueClient.from_connection_string(before, "kept") as queue:
            assert queue.get_queue_properties().name == "kept"
    assert azurite.pid is None


def test_free_ports_are_different_and_outside_the_ephemeral_range():
    """An outgoing connection cannot sit on a part's port while it restarts."""
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)
    if sys.platform == "linux":
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
        assert not any(low <= port <= high for port in ports) or low < 15500
