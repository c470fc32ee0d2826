"""The command ``python -m mms_simulator`` as a process: ready file, restart, SIGKILL."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import httpx
import pytest
from simulator_support import enc, meeting

from mms_simulator.journal import Journal


async def start(ready: Path, *options: str) -> tuple[asyncio.subprocess.Process, dict]:
    """Start the command and wait for its ready file."""
    ready.unlink(missing_ok=True)  # noqa: ASYNC240 - nothing else runs in this loop
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mms_simulator", "--ready-file", str(ready), *options, stderr=asyncio.subprocess.DEVNULL
    )
    for _ in range(400):
        if ready.exists():  # noqa: ASYNC240
            return process, json.loads(ready.read_text())  # noqa: ASYNC240
        await asyncio.sleep(0.025)
    pytest.fail("the simulator did not start")


async def test_everything_answered_survives_sigkill(tmp_path):
    """Users, events, mail, meetings, switches, faults, delta rounds and keys are there after the process was killed and started again."""
    data = ("--data", str(tmp_path / "data"))
    process, ready = await start(tmp_path / "ready.json", *data)
    headers = {"Authorization": f"Bearer {ready['tokens']['graph']}"}
    async with httpx.AsyncClient(headers=headers) as client:
        user = (await client.post(f"{ready['tenant']}/users", json={"userPrincipalName": "ada@contoso.example"})).json()
        await client.patch(f"{ready['tenant']}/switches", json={"blobMode": "alternate"})
        base = f"{ready['graph']}/users/{user['id']}"
        event = (await client.post(f"{base}/events", json=meeting())).json()
        first = await client.post(f"{base}/onlineMeetings/createOrGet", json={"externalId": "k"})
        fault = {"path": "/mailboxSettings", "status": 503, "times": 2}
        await client.post(f"{ready['tenant']}/faults", json=fault)
        assert (await client.get(f"{base}/mailboxSettings")).status_code == 503
        view = f"{base}/calendarView/delta?startDateTime=2027-01-01&endDateTime=2027-02-01"
        view = (await client.get(view)).json()["@odata.deltaLink"]
        process.send_signal(signal.SIGKILL)
        await process.wait()
        port = ready["base"].rpartition(":")[2]
        process, again = await start(tmp_path / "ready.json", *data, "--port", port)
        assert again["base"] == ready["base"]
        assert again["pid"] != ready["pid"]
        found = await client.get(f"{base}/events/{enc(event['id'])}")
        assert found.json()["body"] == event["body"]
        assert found.json()["@odata.etag"] == event["@odata.etag"]
        second = await client.post(f"{base}/onlineMeetings/createOrGet", json={"externalId": "k"})
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json()["id"] == second.json()["id"]
        assert len((await client.get(f"{ready['tenant']}/outbox")).json()["value"]) == 1
        assert (await client.get(f"{ready['tenant']}/switches")).json()["blobMode"] == "alternate"
        assert (await client.get(f"{base}/mailboxSettings")).status_code == 503, "what is left of the fault"
        assert (await client.get(f"{base}/mailboxSettings")).status_code == 200
        assert (await client.get(view)).json()["value"] == []
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_no_acknowledged_write_is_lost_in_a_storm(tmp_path):
    """Killed in the middle of many writes: what was answered is there, and mail and event agree."""
    data = ("--data", str(tmp_path / "data"))
    process, ready = await start(tmp_path / "ready.json", *data)
    acknowledged: list[str] = []
    headers = {"Authorization": f"Bearer {ready['tokens']['graph']}"}
    async with httpx.AsyncClient(headers=headers) as client:
        user = (await client.post(f"{ready['tenant']}/users", json={"userPrincipalName": "ada@contoso.example"})).json()
        base = f"{ready['graph']}/users/{user['id']}/events"

        async def write(number: int) -> None:
            for turn in range(1000):
                answer = await client.post(base, json=meeting(subject=f"{number}-{turn}"))
                acknowledged.append(answer.json()["id"])

        writers = [asyncio.create_task(write(number)) for number in range(4)]
        await asyncio.sleep(0.7)
        process.send_signal(signal.SIGKILL)
        await asyncio.gather(*writers, return_exceptions=True)
        await process.wait()
        process, ready = await start(tmp_path / "ready.json", *data, "--port", ready["base"].rpartition(":")[2])
        found = (await client.get(f"{base}?$top=1000&$select=id")).json()["value"]
        mails = (await client.get(f"{ready['tenant']}/outbox")).json()["value"]
    assert len(acknowledged) > 20
    assert set(acknowledged) <= {row["id"] for row in found}
    assert {mail["eventId"] for mail in mails} == {row["id"] for row in found}
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


def test_a_transaction_that_was_cut_short_is_forgotten(tmp_path):
    """Whole transactions only; deleted records stay deleted; the rewritten journal says the same."""
    journal = Journal(tmp_path)
    journal.rewrite([])
    for key, value in (("a", b"1"), ("b", b"2"), ("a", b"")):
        journal.put("item", key, value)
    journal.commit()
    journal.put("item", "c", b"3")
    journal.close()
    with (tmp_path / "tenant.journal").open("ab") as torn:
        torn.write(b"item\td\t4\nitem\te")
    again = Journal(tmp_path)
    tables = again.load()
    assert tables == {"item": {"b": b"2", "c": b"3"}}
    again.rewrite(("item", key, value) for key, value in tables["item"].items())
    again.close()
    assert Journal(tmp_path).load() == tables


async def test_tenant_file_seeds_an_empty_tenant(tmp_path):
    """``--tenant`` brings users, their events and switches; the ready file says where everything is."""
    seed = tmp_path / "tenant.json"
    ada = {"userPrincipalName": "ada@contoso.example", "events": [meeting(), meeting()]}
    seed.write_text(json.dumps({"users": [ada], "switches": {"maxTop": 5}}))
    process, ready = await start(tmp_path / "ready.json", "--in-memory", "--tenant", str(seed))
    async with httpx.AsyncClient() as client:
        assert len((await client.get(f"{ready['tenant']}/users")).json()["value"]) == 1
        assert (await client.get(f"{ready['tenant']}/switches")).json()["maxTop"] == 5
        overview = (await client.get(ready["tenant"])).json()
        assert (overview["events"], overview["outbox"]) == (2, 0)
    assert ready.keys() == {"base", "graph", "tenant", "tenantId", "pid", "tokens"}
    assert ready["tokens"].keys() == {"operator", "reader", "graph"}
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
