"""Every way to cancel a chat ends it with what had arrived, and the server sees the connection close."""

import asyncio
import gc
import threading
import weakref

import pytest
import xdev_llm

from conftest import wait_until

from .support import chats, closed_by_client


def first_text(run):
    """Waits until some text has arrived."""
    wait_until(lambda: run.text)


def test_cancel_from_another_thread(client, slow):
    run = client.chat("Hello", server=slow.url)

    def cancel():
        first_text(run)
        run.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(xdev_llm.Interrupted) as raised:
        run.wait()
    thread.join()
    assert raised.value.partial.text == run.text != ""
    assert raised.value.partial.server["url"] == slow.url
    assert run.done
    wait_until(lambda: closed_by_client(slow))


def test_cancel_before_anything_came(client, mock):
    server = mock("--personality", "lmstudio", "--first-token-delay", "60000")
    run = client.chat("Hello", server=server.url)
    wait_until(lambda: chats(server))
    run.cancel()
    with pytest.raises(xdev_llm.Interrupted):
        run.wait()
    wait_until(lambda: closed_by_client(server))


def test_cancel_while_it_waits_for_its_turn(sandbox, slow):
    client = xdev_llm.Client(concurrency=1)
    first = client.chat("First", server=slow.url)
    first_text(first)
    second = client.chat("Second", server=slow.url)
    second.cancel()
    with pytest.raises(xdev_llm.Interrupted):
        second.wait()
    assert len(chats(slow)) == 1 and not first.done


def test_cancel_after_the_end_changes_nothing(client, server):
    run = client.chat("Hello", server=server.url)
    run.wait()
    run.cancel()
    assert run.wait().text == "Hello there, friend."


def test_a_dropped_run_is_cancelled(client, slow):
    run = client.chat("Hello", server=slow.url)
    first_text(run)
    del run
    wait_until(lambda: closed_by_client(slow))


def test_an_iteration_that_is_left_cancels(client, slow):
    for event in client.chat("Hello", server=slow.url):
        if event.kind == "text":
            break
    del event
    wait_until(lambda: closed_by_client(slow))


def test_a_cancelled_task_cancels_the_run(client, slow):
    async def main():
        run = client.chat("Hello", server=slow.url)

        async def ask():
            return await run

        task = asyncio.create_task(ask())
        while not run.text:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(xdev_llm.Interrupted):
            await run

    asyncio.run(main())
    wait_until(lambda: closed_by_client(slow))


def test_a_cancelled_iteration_cancels_the_run(client, mock):
    server = mock("--personality", "lmstudio", "--first-token-delay", "60000")

    async def main():
        async def read():
            async for event in client.chat("Hello", server=server.url):
                raise AssertionError(event)

        task = asyncio.create_task(read())
        while not chats(server):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    wait_until(lambda: closed_by_client(server))


def test_a_timeout_of_asyncio_cancels_the_run(client, slow):
    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.chat("Hello", server=slow.url), 0.2)

    asyncio.run(main())
    wait_until(lambda: closed_by_client(slow))


def test_cancel_inside_a_task_is_no_cancelled_error(client, slow):
    """A CancelledError that nobody asked for would end ComfyUI's worker for good."""

    async def main():
        run = client.chat("Hello", server=slow.url)
        asyncio.get_running_loop().call_later(0.1, run.cancel)
        with pytest.raises(xdev_llm.Interrupted):
            await run

    asyncio.run(main())


def test_a_loop_that_is_left_behind_does_no_harm(client, slow, capfd):
    run = client.chat("Hello", server=slow.url)

    async def leave():
        asyncio.ensure_future(run)
        await asyncio.sleep(0.1)

    asyncio.run(leave())
    with pytest.raises(xdev_llm.Interrupted):
        run.wait()
    loop = asyncio.new_event_loop()
    other = client.chat("Hello", server=slow.url)
    loop.run_until_complete(asyncio.wait([asyncio.ensure_future(other, loop=loop)], timeout=0.1))
    loop.close()
    other.cancel()
    with pytest.raises(xdev_llm.Interrupted):
        other.wait()


@pytest.mark.parametrize("answer", [None, True, 0, "", []])
def test_only_false_stops_the_run(client, server, answer):
    assert client.chat("Hello", server=server.url, on_events=lambda events: answer, interval=0.01).wait().text


def test_on_events_that_returns_false_stops_the_run(client, slow):
    calls = []

    def listen(events):
        calls.append(events)
        return not any(event.kind == "text" for event in events)

    with pytest.raises(xdev_llm.Interrupted) as raised:
        client.chat("Hello", server=slow.url, on_events=listen).wait()
    assert raised.value.partial.text and raised.value.__cause__ is None
    wait_until(lambda: closed_by_client(slow))
    count = len(calls)
    assert [event.kind for event in calls[-1]].count("text") == 1
    assert len(calls) == count


def test_on_events_that_raises_stops_the_run(client, slow):
    def listen(events):
        raise KeyError("mine")

    with pytest.raises(xdev_llm.Interrupted) as raised:
        client.chat("Hello", server=slow.url, on_events=listen).wait()
    assert isinstance(raised.value.__cause__, KeyError) and raised.value.__cause__.args == ("mine",)
    wait_until(lambda: closed_by_client(slow))


def test_a_refusal_of_the_last_events_counts(client, server):
    def listen(events):
        return not any(event.kind == "finished" for event in events)

    with pytest.raises(xdev_llm.Interrupted) as raised:
        client.chat("Hello", server=server.url, on_events=listen).wait()
    assert raised.value.partial.text == "Hello there, friend."


def test_the_rest_is_delivered_before_a_failure_is_published(client, mock):
    server = mock("--personality", "lmstudio", "--tokens", "20", "--fault", "cut-mid-event:5")
    seen = []
    run = client.chat("Hello", server=server.url, on_events=seen.extend, interval=30)
    with pytest.raises(xdev_llm.CutOff) as raised:
        run.wait()
    text = "".join(event.text for event in seen if event.kind == "text")
    assert text == raised.value.partial.text != ""


def test_a_circle_of_run_and_listener_is_collected_and_cancelled(client, slow):
    class Owner:
        def listen(self, events):
            pass

    owner = Owner()
    owner.run = client.chat("Hello", server=slow.url, on_events=owner.listen, interval=0.2)
    first_text(owner.run)
    gone = weakref.ref(owner)
    del owner

    def collected():
        gc.collect()
        return gone() is None

    # While the listener is being called the circle is in use.
    wait_until(collected)
    wait_until(lambda: closed_by_client(slow))


def test_a_call_can_be_cancelled(client, mock):
    server = mock("--personality", "silent")
    call = client.server(server.url)
    call.cancel()
    with pytest.raises(xdev_llm.Interrupted):
        call.wait()
    assert call.done
