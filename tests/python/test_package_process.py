"""The package and its process: Ctrl-C, fork, threads, the interpreter's end, and the import."""

import signal
import sys
import threading
import time

import pytest
import xdev_llm

from conftest import PATIENCE, wait_until

from .support import closed_by_client

ASK = "import sys, xdev_llm\nrun = xdev_llm.Client().chat('Hello', server=sys.argv[1])\n"


@pytest.mark.parametrize("how", ["run.wait()", "list(run)", "import asyncio; asyncio.run(ask())"])
def test_ctrl_c_ends_a_wait_and_the_server_stops(python, slow, how):
    code = ASK + "async def ask(): return await run\nprint('waiting')\n"
    code += f"try:\n    {how}\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    child = python(code, slow.url)
    assert child.stdout.readline() == "waiting\n"
    time.sleep(0.2)
    pressed = time.monotonic()
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline() == "interrupted\n"
    took = time.monotonic() - pressed
    assert (child.wait(PATIENCE), child.stderr.read()) == (0, "")
    assert took < 1, took
    wait_until(lambda: closed_by_client(slow))


def test_other_threads_run_while_one_waits(client, slow):
    run = client.chat("Hello", server=slow.url)
    threading.Thread(target=run.wait, daemon=True)
    count = 0

    def count_up():
        nonlocal count
        while not run.done:
            count += 1

    counter = threading.Thread(target=count_up)
    counter.start()
    threading.Timer(0.5, run.cancel).start()
    with pytest.raises(xdev_llm.Interrupted):
        run.wait()
    counter.join()
    assert count > 1000


@pytest.mark.skipif(not hasattr(sys, "getswitchinterval") or sys.platform == "win32", reason="needs fork")
def test_a_forked_child_is_told_so(finished, server):
    code = """
import os, sys, warnings, xdev_llm
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, from 3.12 on: a process with threads forks
client = xdev_llm.Client()
run = client.chat("Hello", server=sys.argv[1])
run.wait()
child = os.fork()
if child == 0:
    try:
        client.chat("Hello", server=sys.argv[1])
    except RuntimeError as error:
        assert type(error) is RuntimeError and "fork" in str(error), error
        del run
        print("told")
        sys.exit(0)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(client.chat("Hello", server=sys.argv[1]).wait())
"""
    assert finished(code, server.url) == "told\nHello there, friend.\n"


def test_a_child_may_be_the_first_to_use_it(finished, server):
    code = """
import os, sys, xdev_llm
client = xdev_llm.Client()
child = os.fork()
# Both write to one pipe: a line in one piece.
os.write(1, f"{client.chat('Hello', server=sys.argv[1]).wait()}\\n".encode())
if child:
    os.waitpid(child, 0)
"""
    assert finished(code, server.url) == "Hello there, friend.\n" * 2


ENDINGS = {
    "a run in a global": "",
    "a listener": "run = xdev_llm.Client().chat('x', server=sys.argv[1], on_events=len, interval=0.001)",
    "a daemon thread that waits": "threading.Thread(target=wait, daemon=True).start()",
    "a daemon thread that iterates": "threading.Thread(target=iterate, daemon=True).start()",
    "a loop with a task": "asyncio.run(leave())",
    "a loop that was never closed": "loop = asyncio.new_event_loop(); loop.run_until_complete(leave())",
    "sys.exit": "sys.exit(0)",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_in_the_middle_of_a_run(finished, slow, ending):
    code = ASK.replace("import sys", "import asyncio, sys, threading, time")
    code += """
def wait():
    try: run.wait()
    except xdev_llm.Interrupted: pass
def iterate():
    try: list(run)
    except xdev_llm.Interrupted: pass
async def leave():
    global task
    task = asyncio.ensure_future(run)
    await asyncio.sleep(0.1)
while not run.text: time.sleep(0.01)
"""
    code += ENDINGS[ending] + "\ntime.sleep(0.1)\n"
    start = time.monotonic()
    finished(code, slow.url)
    assert time.monotonic() - start < 10
    wait_until(lambda: closed_by_client(slow))


def test_the_interpreter_ends_just_as_an_answer_came(finished, server):
    """The thread that brings the answer into the loop may still be inside; it took the process with it."""
    code = ASK + "import asyncio\nasync def ask(): return (await run).text\nprint(asyncio.run(ask()))"
    for _ in range(10):
        assert finished(code, server.url) == "Hello there, friend.\n"


def test_the_import_brings_nothing_with_it(finished, capsys):
    code = """
import sys, time
before = set(sys.modules)
start = time.perf_counter()
import xdev_llm
took = time.perf_counter() - start
print(sorted(set(sys.modules) - before))
print(f"{took * 1000:.1f} ms")
xdev_llm.Client().check("Hello")
print(sorted(set(sys.modules) - before))
"""
    modules, took, later = finished(code).splitlines()
    with capsys.disabled():
        print("\nimport of xdev_llm:", took)
    assert modules == later == "['xdev_llm', 'xdev_llm._native']"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Nothing"):
        xdev_llm.Nothing  # noqa: B018
    assert xdev_llm.Unreachable is xdev_llm.errors.Unreachable


def test_every_public_name_is_there(finished):
    assert all(getattr(xdev_llm, name) is not None for name in xdev_llm.__all__)
    assert finished("from xdev_llm import *; print(Error)") == "<class 'xdev_llm.errors.Error'>\n"
