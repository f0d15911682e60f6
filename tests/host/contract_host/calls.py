"""Calls a node's method for each item of its inputs, and puts what it returned together.

Not here: which node is next, and what is remembered.
"""

import asyncio
import contextlib
import inspect

import nodes
from comfy_execution.graph_utils import ExecutionBlocker

from contract_host import classes

# Versions before async nodes: a coroutine is a value like any other, and nobody knows which node runs.
ASYNC_NODES = True


def _context(prompt_id, node_id, index):
    if not ASYNC_NODES:
        return contextlib.nullcontext()
    from comfy_execution.utils import current_node

    return current_node(prompt_id, node_id, index)


async def _run(function, values, prompt_id, node_id, index):
    with _context(prompt_id, node_id, index):
        return await function(**values)


async def call_mapped(prompt_id, node_id, target, input_data_all, name, executing=False, on_block=None, hidden=None):
    """One result for each item; of an async method that needs longer than a turn of the loop, its task.

    A node finds out which item it is by `input_data_all` and `results`, local variables of these names.
    """
    results = []
    if getattr(target, "INPUT_IS_LIST", False):
        items = [input_data_all]
    else:
        count = max((len(values) for values in input_data_all.values()), default=0)
        # A shorter list repeats its last item; without inputs the method is called once.
        items = [
            {key: values[min(index, len(values) - 1)] for key, values in input_data_all.items()}
            for index in range(count)
        ] or [{}]
    for index, values in enumerate(items):
        if executing:
            nodes.before_node_execution()
        blocker = _find_blocker(values)
        if blocker is not None:
            results.append(on_block(blocker) if on_block else blocker)
            continue
        function = classes.bind(target, name, hidden)
        if ASYNC_NODES and inspect.iscoroutinefunction(function):
            task = asyncio.create_task(_run(function, values, prompt_id, node_id, index))
            await asyncio.sleep(0)  # a task that has nothing to wait for is done after this
            results.append(task.result() if task.done() else task)
        else:
            with _context(prompt_id, node_id, index):
                results.append(function(**values))
    return results


def _find_blocker(values):
    for value in values.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ExecutionBlocker):
                return item
    return None


async def settle(results):
    """The results, once all tasks among them have ended; raises what a task raised."""
    waiting = [result for result in results if isinstance(result, asyncio.Task) and not result.done()]
    if waiting:
        await asyncio.wait(waiting)
    return [result.result() if isinstance(result, asyncio.Task) else result for result in results]


def collect(returned, node_class):
    """(outputs, each a list of items; what to show) of all calls of a node."""
    rows, shown = [], []
    width = len(node_class.RETURN_TYPES)
    for entry in returned:
        if isinstance(entry, dict):
            if "ui" in entry:
                shown.append(entry["ui"])
            if "result" in entry:
                rows.append(_spread(entry["result"], width))
        elif hasattr(entry, "block_execution"):  # a V3 NodeOutput
            if entry.ui is not None:
                shown.append(entry.ui if isinstance(entry.ui, dict) else entry.ui.as_dict())
            # Without values nothing is blocked either: what comes after gets None.
            if entry.result is not None:
                blocked = entry.block_execution is not None
                rows.append(
                    _spread(ExecutionBlocker(entry.block_execution), width) if blocked else entry.result
                )
        else:
            rows.append(_spread(entry, width))
    # The first call says what is shown of every call.
    merged = {key: [item for ui in shown for item in ui[key]] for key in shown[0]} if shown else {}
    return _join(rows, node_class) if rows else [], merged


def _spread(result, width):
    return (result,) * width if isinstance(result, ExecutionBlocker) else result


def _join(rows, node_class):
    are_lists = getattr(node_class, "OUTPUT_IS_LIST", [False] * len(rows[0]))
    outputs = []
    for index, is_list in zip(range(len(rows[0])), are_lists):
        column = [row[index] for row in rows]
        if is_list:
            column = [
                item
                for value in column
                for item in ([value] if isinstance(value, ExecutionBlocker) else value)
            ]
        outputs.append(column)
    return outputs
