"""The prompts that wait, the one that runs, and the history; and the thread that works through them."""

import copy
import heapq
import threading


class PromptQueue:
    """Prompts as (number, prompt id, prompt, extra data, outputs); the lowest number runs first.

    Packs read `currently_running`, where the prompt that runs stands under a number that counts up.
    """

    def __init__(self, server):
        self.server = server
        self.condition = threading.Condition(threading.RLock())
        self.waiting = []
        self.currently_running = {}
        self.task_counter = 0
        self.history = {}
        self.flags = {}

    def put(self, item):
        """Adds a prompt."""
        with self.condition:
            heapq.heappush(self.waiting, item)
            self.server.queue_updated()
            self.condition.notify()

    def get(self, timeout):
        """Takes a prompt to run; None when none came, or a flag was set."""
        with self.condition:
            if not self.waiting:
                self.condition.wait(timeout)
            if not self.waiting:
                return None
            item = heapq.heappop(self.waiting)
            task = self.task_counter
            self.currently_running[task] = copy.deepcopy(item)
            self.task_counter += 1
            self.server.queue_updated()
            return item, task

    def task_done(self, task, result, status):
        """Moves a prompt into the history."""
        with self.condition:
            item = self.currently_running.pop(task)
            self.history[item[1]] = {
                "prompt": item,
                "outputs": {},
                "status": status,
                **result,
            }
            self.server.queue_updated()

    def get_tasks_remaining(self):
        """How many wait or run."""
        with self.condition:
            return len(self.waiting) + len(self.currently_running)

    def get_current_queue(self):
        """(running, waiting)."""
        with self.condition:
            return list(self.currently_running.values()), sorted(self.waiting)

    def delete(self, ids):
        """Removes waiting prompts; all of them for None."""
        with self.condition:
            self.waiting = [] if ids is None else [item for item in self.waiting if item[1] not in ids]
            heapq.heapify(self.waiting)
            self.server.queue_updated()

    def delete_history(self, ids):
        """Forgets finished prompts; all of them for None."""
        with self.condition:
            self.history = (
                {} if ids is None else {id: entry for id, entry in self.history.items() if id not in ids}
            )

    def set_flag(self, name, value):
        """Asks the worker for something between prompts."""
        with self.condition:
            self.flags[name] = value
            self.condition.notify()

    def take_flags(self):
        """What was asked for."""
        with self.condition:
            flags, self.flags = self.flags, {}
            return flags


def prompt_worker(queue, server, executor):
    """Runs prompts for ever; an exception that is not an Exception ends it, and with it all work."""
    while True:
        taken = queue.get(timeout=1000.0)
        if taken is not None:
            item, task = taken
            _, prompt_id, prompt, extra_data, outputs = item
            server.last_prompt_id = prompt_id
            executor.run(prompt_id, prompt, extra_data, outputs)
            status = {
                "status_str": "success" if executor.success else "error",
                "completed": executor.success,
                "messages": executor.messages,
            }
            queue.task_done(task, executor.result, copy.deepcopy(status))
            if server.client_id is not None:
                server.send_sync("executing", {"node": None, "prompt_id": prompt_id}, server.client_id)
        if queue.take_flags().get("free_memory"):
            executor.reset()
