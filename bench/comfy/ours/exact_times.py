"""Writes into the host's messages of a prompt's start and end when they were made.

The host itself tells whole milliseconds.
"""

import time

from server import PromptServer

EVENTS = ("execution_start", "execution_success", "execution_interrupted")


def write_exact_times():
    """From now on the data of these messages have `exact`, in seconds."""
    server = PromptServer.instance
    send = server.send_sync

    def send_sync(event, data, sid=None):
        if event in EVENTS:
            data = {**data, "exact": time.time()}
        send(event, data, sid)

    server.send_sync = send_sync
