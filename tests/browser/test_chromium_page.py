"""The tests' own browser goes as it came: what it left open would fail whichever test runs when it is collected."""

from __future__ import annotations

import asyncio
import gc

import pytest
from chromium_page import Browser, Page, PageError


@pytest.fixture
def started(monkeypatch) -> list[asyncio.subprocess.Process]:
    """The processes that a test starts."""
    processes: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def remember(*arguments: str, **more: int) -> asyncio.subprocess.Process:
        processes.append(await start(*arguments, **more))
        return processes[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", remember)
    return processes


async def test_a_closed_browser_leaves_no_connection_task_or_process(started):
    """Its complaint came in the middle of another test, and only on some runs."""
    asyncio.get_running_loop().set_debug(True)  # else aiohttp tells of an unclosed answer only now and then
    before = asyncio.all_tasks()
    async with Browser() as page:
        assert await page.run("1 + 1") == 2
    assert asyncio.all_tasks() == before
    assert [each.returncode is None for each in started] == [False]
    del page
    gc.collect()  # what is unclosed complains here, and a complaint is an error


async def test_a_browser_that_cannot_be_opened_is_closed_as_well(started, monkeypatch):
    """A failed start must not leave a Chromium behind."""

    async def refuse(page: Page, method: str, **_: object) -> None:
        raise PageError(method)

    before = asyncio.all_tasks()
    monkeypatch.setattr(Page, "send", refuse)
    with pytest.raises(PageError):
        async with Browser():
            pass
    assert asyncio.all_tasks() == before
    assert [each.returncode is None for each in started] == [False]
