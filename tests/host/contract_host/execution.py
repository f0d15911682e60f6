"""Runs prompts one after the other, in a thread of its own and each in a new event loop.

Only `Exception` is caught around a node, as in ComfyUI: a CancelledError that a node lets out ends the
thread, and no prompt ever runs again.
"""

import asyncio
import logging
import sys
import time
import traceback
from enum import Enum

import comfy.model_management
import nodes
from comfy_execution.graph import DynamicPrompt, ExecutionBlocker, is_link

from contract_host import calls, classes
from contract_host.caching import Cache
from contract_host.validation import type_name


class Outcome(Enum):
    """How a turn at a node ended."""

    DONE = 0
    FAILED = 1
    PENDING = 2


class Schedule:
    """The nodes still to run, and what each waits for. Packs find it as `execution_list` where the prompt runs."""

    def __init__(self, dynprompt, is_cached):
        self.dynprompt = dynprompt
        self.prompt = dynprompt.original_prompt
        self.is_cached = is_cached
        self.pendingNodes = {}  # node -> ids of nodes that must end first; in the order nodes were found
        self.running = set()
        self.released = asyncio.Event()

    def add(self, node_id):
        """Adds a node and all before it that is not cached."""
        todo = [node_id]
        while todo:
            current = todo.pop()
            if current in self.pendingNodes:
                continue
            sources = [value[0] for value in self.prompt[current]["inputs"].values() if is_link(value)]
            self.pendingNodes[current] = {source for source in sources if not self.is_cached(source)}
            todo += [source for source in sources if not self.is_cached(source)]

    async def next(self):
        """The node to turn to; async nodes and those that show something come first."""
        while True:
            ready = [
                node for node, sources in self.pendingNodes.items() if not sources and node not in self.running
            ]
            if ready:
                return self._pick(ready)
            if not self.running:
                raise RuntimeError("Dependency cycle detected")
            await self.released.wait()
            self.released.clear()

    def _pick(self, ready):
        def is_kind(node, *tests):
            node_class = nodes.NODE_CLASS_MAPPINGS[self.prompt[node]["class_type"]]
            return any(test(node_class) for test in tests)

        def after(node):
            return [other for other, sources in self.pendingNodes.items() if node in sources]

        is_async = classes.is_async if calls.ASYNC_NODES else lambda node_class: False
        for node in ready:
            if is_kind(node, classes.is_output, is_async):
                return node
        for node in ready:
            if any(is_kind(other, classes.is_output) for other in after(node)):
                return node
        for node in ready:
            if any(is_kind(third, classes.is_output) for other in after(node) for third in after(other)):
                return node
        return ready[0]

    def hold(self, node_id, tasks):
        """Sets a node aside until its tasks have ended."""
        self.running.add(node_id)

        async def release():
            await asyncio.gather(*tasks, return_exceptions=True)
            self.running.discard(node_id)
            self.released.set()

        self.releasing = asyncio.create_task(release())

    def finish(self, node_id):
        """Takes a node out."""
        del self.pendingNodes[node_id]
        for sources in self.pendingNodes.values():
            sources.discard(node_id)


class Executor:
    """The machine of the worker thread; keeps what earlier prompts left in the cache."""

    def __init__(self, server):
        self.server = server
        self.cache = Cache()
        self.messages = []
        self.success = True
        self.result = {}

    def reset(self):
        """Forgets all outputs."""
        self.cache = Cache()

    def run(self, prompt_id, prompt, extra_data, outputs):
        """Runs one prompt to its end."""
        work = Run(self, prompt_id, prompt, extra_data).run(outputs)
        if calls.ASYNC_NODES:
            asyncio.run(work)
            return
        try:  # without async nodes nothing is ever awaited, and there was no event loop in this thread
            work.send(None)
        except StopIteration:
            return

    def add_message(self, event, data, broadcast=False):
        """Sends a message and keeps it for the history, with the time."""
        data = {**data, "timestamp": int(time.time() * 1000)}
        self.messages.append((event, data))
        if self.server.client_id is not None or broadcast:
            self.server.send_sync(event, data, self.server.client_id)


class Run:
    """One prompt that runs."""

    def __init__(self, executor, prompt_id, prompt, extra_data):
        self.executor = executor
        self.server = executor.server
        self.cache = executor.cache
        self.prompt_id = prompt_id
        self.prompt = prompt
        self.dynprompt = DynamicPrompt(prompt)
        self.extra_data = extra_data
        self.executed = []
        self.pending = {}

    async def run(self, outputs):
        """Runs what the outputs need."""
        nodes.interrupt_processing(False)
        self.server.client_id = self.extra_data.get("client_id")
        self.executor.messages = []
        self.executor.success = True
        self.executor.add_message("execution_start", {"prompt_id": self.prompt_id})
        self._reset_progress()
        await self.cache.begin(self.prompt_id, self.prompt)
        cached = [node_id for node_id in self.prompt if self.cache.output(node_id) is not None]
        self.executor.add_message("execution_cached", {"nodes": cached, "prompt_id": self.prompt_id})

        execution_list = Schedule(self.dynprompt, lambda node_id: self.cache.output(node_id) is not None)
        for node_id in outputs:
            execution_list.add(node_id)
        while execution_list.pendingNodes:
            node_id = await execution_list.next()
            outcome = await self._turn(node_id, execution_list)
            self.executor.success = outcome is not Outcome.FAILED
            if outcome is Outcome.FAILED:
                break
            if outcome is Outcome.DONE:
                execution_list.finish(node_id)
        else:
            self.executor.add_message("execution_success", {"prompt_id": self.prompt_id})

        shown = {id: self.cache.shown[key] for id, key in self.cache.keys.items() if key in self.cache.shown}
        self.executor.result = {
            "outputs": {node_id: entry["output"] for node_id, entry in shown.items()},
            "meta": {node_id: entry["meta"] for node_id, entry in shown.items()},
        }
        self.server.last_node_id = None

    def _reset_progress(self):
        if calls.ASYNC_NODES:
            from comfy_execution import progress

            progress.reset_progress_state(self.prompt_id, self.dynprompt, self.server)

    def _progress(self, step, node_id):
        if calls.ASYNC_NODES:
            from comfy_execution import progress

            getattr(progress.get_progress_state(), step)(node_id)

    def _show(self, node_id, output):
        if self.server.client_id is not None:
            data = {"node": node_id, "display_node": node_id, "output": output, "prompt_id": self.prompt_id}
            self.server.send_sync("executed", data, self.server.client_id)

    async def _turn(self, node_id, execution_list):
        node = self.prompt[node_id]
        node_class = nodes.NODE_CLASS_MAPPINGS[node["class_type"]]
        key = self.cache.keys[node_id]
        if self.cache.output(node_id) is not None:
            self._show(node_id, self.cache.shown.get(key, {}).get("output"))
            self._progress("finish_progress", node_id)
            return Outcome.DONE
        inputs = None
        try:
            if node_id in self.pending:
                returned = [
                    result.result() if isinstance(result, asyncio.Task) else result
                    for result in self.pending.pop(node_id)
                ]
            else:
                self._progress("start_progress", node_id)
                inputs, hidden = classes.gather_inputs(
                    node, node_id, node_class, self.cache.output, self.prompt, self.extra_data
                )
                returned = await self._call(node_id, node, node_class, inputs, hidden)
                tasks = [result for result in returned if isinstance(result, asyncio.Task)]
                if any(not task.done() for task in tasks):
                    self.pending[node_id] = returned
                    execution_list.hold(node_id, tasks)
                    return Outcome.PENDING
                returned = [
                    result.result() if isinstance(result, asyncio.Task) else result for result in returned
                ]
            outputs, shown = calls.collect(returned, node_class)
            if shown:
                meta = {
                    "node_id": node_id,
                    "display_node": node_id,
                    "parent_node": None,
                    "real_node_id": node_id,
                }
                self.cache.shown[key] = {"meta": meta, "output": shown}
                self._show(node_id, shown)
            self.cache.outputs[key] = outputs
        except comfy.model_management.InterruptProcessingException:
            logging.info("Processing interrupted")
            self.executor.add_message("execution_interrupted", self._about(node_id), broadcast=True)
            return Outcome.FAILED
        except Exception as error:
            logging.error("!!! Exception during processing !!! %s\n%s", error, traceback.format_exc())
            self._report(node_id, error, sys.exc_info()[2], inputs or {})
            return Outcome.FAILED
        self._progress("finish_progress", node_id)
        self.executed.append(node_id)
        return Outcome.DONE

    async def _call(self, node_id, node, node_class, inputs, hidden):
        if self.server.client_id is not None:
            self.server.last_node_id = node_id
            data = {"node": node_id, "display_node": node_id, "prompt_id": self.prompt_id}
            self.server.send_sync("executing", data, self.server.client_id)

        def on_block(blocker):
            if blocker.message is None:
                return blocker
            details = {
                "exception_message": f"Execution Blocked: {blocker.message}",
                "exception_type": "ExecutionBlocked",
                "traceback": [],
                "current_inputs": [],
                "current_outputs": [],
            }
            # Sent, but not kept for the history.
            self.server.send_sync(
                "execution_error", {**self._about(node_id), **details}, self.server.client_id
            )
            return ExecutionBlocker(None)

        target = self.cache.object(node_id, node["class_type"])
        return await calls.call_mapped(
            self.prompt_id,
            node_id,
            target,
            inputs,
            node_class.FUNCTION,
            executing=True,
            on_block=on_block,
            hidden=hidden,
        )

    def _about(self, node_id):
        return {
            "prompt_id": self.prompt_id,
            "node_id": node_id,
            "node_type": self.prompt[node_id]["class_type"],
            "executed": list(self.executed),
        }

    def _report(self, node_id, error, trace, inputs):
        plain = (int, float, bool, str, type(None))
        self.executor.add_message(
            "execution_error",
            {
                **self._about(node_id),
                "exception_message": f"{error}\n",
                "exception_type": type_name(type(error)),
                "traceback": traceback.format_tb(trace),
                # All inputs are shown: a reason why no secret may be one.
                "current_inputs": {
                    name: [value if isinstance(value, plain) else str(value) for value in values]
                    for name, values in inputs.items()
                },
                "current_outputs": list(self.cache.keys),
            },
        )
