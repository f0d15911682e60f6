"""Checks a prompt before it is queued, with the verdicts and the shapes of ComfyUI 0.3.64.

Traps kept: bounds and choices are not checked for inputs that the node's own validation names, choices of V3
combos not at all, and linked inputs reach that validation as None.
"""

import inspect
import logging
import sys
import traceback

import nodes
from comfy_execution.graph_utils import ExecutionBlocker

from contract_host import classes
from contract_host.calls import call_mapped, settle

CONVERSIONS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
LONGEST_LIST = 20  # longer lists of choices are not sent back


def type_name(kind):
    """A class's name with its module, but for built-in ones."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def problem(kind, message, details="", **extra):
    """One entry of an error list."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def fits(received, wanted):
    """Whether an output of one type may be linked to an input of another; types may be lists with commas."""
    if not received != wanted:
        return True
    if not isinstance(received, str) or not isinstance(wanted, str):
        return False
    return bool({part.strip() for part in received.split(",")} & {part.strip() for part in wanted.split(",")})


class Validator:
    """The check of one prompt; remembers the verdict on each node."""

    def __init__(self, prompt_id, prompt):
        self.prompt_id = prompt_id
        self.prompt = prompt
        self.verdicts = {}

    async def check(self, node_id):
        """The verdict on a node and on what it is linked to: whether it is fine, and its own errors."""
        if node_id not in self.verdicts:
            self.verdicts[node_id] = await self._check(node_id)
        return self.verdicts[node_id]

    async def _check(self, node_id):
        inputs = self.prompt[node_id]["inputs"]
        node_class = nodes.NODE_CLASS_MAPPINGS[self.prompt[node_id]["class_type"]]
        declared = node_class.INPUT_TYPES()
        method = classes.method_name(node_class, "VALIDATE_INPUTS", "validate_inputs")
        signature = inspect.getfullargspec(getattr(node_class, method)) if method else None
        own = OwnChecks(method, signature.args if signature else [], bool(signature and signature.varkw))

        errors, received, linked_fine = [], {}, True
        for category in ("required", "optional"):
            for name, entry in declared.get(category, {}).items():
                config = (entry[0], entry[1] if len(entry) > 1 else {})
                if name not in inputs:
                    if category == "required":
                        errors.append(
                            problem(
                                "required_input_missing", "Required input is missing", name, input_name=name
                            )
                        )
                elif isinstance(inputs[name], list):
                    error, fine = await self._check_link(name, inputs[name], config, own, received)
                    linked_fine = linked_fine and fine
                    errors += [error] if error else []
                else:
                    error = check_value(inputs, name, config, own)
                    errors += [error] if error else []
        errors += await self._ask_node(node_id, node_class, own, received)
        return not errors and linked_fine, errors

    async def _check_link(self, name, link, config, own, received):
        extra = {"input_name": name, "input_config": config}
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return problem("bad_linked_input", message, name, **extra, received_value=link), True
        source_class = nodes.NODE_CLASS_MAPPINGS[self.prompt[link[0]]["class_type"]]
        received[name] = source_class.RETURN_TYPES[link[1]]
        if "input_types" not in own.names and not fits(received[name], config[0]):
            message = "Return type mismatch between linked nodes"
            details = f"{name}, received_type({received[name]}) mismatch input_type({config[0]})"
            return problem(
                "return_type_mismatch",
                message,
                details,
                **extra,
                received_type=received[name],
                linked_node=link,
            ), True
        try:
            fine, _ = await self.check(link[0])
            return None, fine
        except Exception as error:
            self.verdicts[link[0]] = (
                False,
                [
                    exception_problem(
                        "exception_during_inner_validation",
                        "Exception when validating inner node",
                        error,
                        **extra,
                        exception_message=str(error),
                        linked_node=link,
                    )
                ],
            )
            return None, False

    async def _ask_node(self, node_id, node_class, own, received):
        if not own.names and not own.takes_all:
            return []
        values, hidden = classes.gather_inputs(self.prompt[node_id], node_id, node_class)
        asked = {name: items for name, items in values.items() if own.covers(name)}
        if "input_types" in own.names:
            asked["input_types"] = [received]
        answers = await settle(
            await call_mapped(self.prompt_id, node_id, node_class, asked, own.method, hidden=hidden)
        )
        errors = []
        for name in asked:
            for answer in answers:
                if answer is not True and not isinstance(answer, ExecutionBlocker):
                    details = name if answer is False else f"{name} - {answer}"
                    errors.append(
                        problem(
                            "custom_validation_failed",
                            "Custom validation failed for node",
                            details,
                            input_name=name,
                        )
                    )
        return errors


class OwnChecks:
    """The node's own validation: its name, and the inputs it takes on itself."""

    def __init__(self, method, names, takes_all):
        self.method = method
        self.names = names
        self.takes_all = takes_all

    def covers(self, name):
        """Whether the host leaves this input to the node."""
        return self.takes_all or name in self.names


def check_value(inputs, name, config, own):
    """Converts a constant in place and checks it; the error, or None."""
    kind, options = config
    value = inputs[name]
    try:
        if isinstance(value, dict) and "__value__" in value:
            value = inputs[name] = value["__value__"]
        if isinstance(kind, str) and kind in CONVERSIONS:
            value = inputs[name] = CONVERSIONS[kind](value)
    except Exception as error:
        return problem(
            "invalid_input_type",
            f"Failed to convert an input value to a {kind} value",
            f"{name}, {value}, {error}",
            input_name=name,
            input_config=config,
            received_value=value,
            exception_message=str(error),
        )
    if own.covers(name):
        return None
    extra = {"input_name": name, "input_config": config, "received_value": value}
    if "min" in options and value < options["min"]:
        message = f"Value {value} smaller than min of {options['min']}"
        return problem("value_smaller_than_min", message, name, **extra)
    if "max" in options and value > options["max"]:
        message = f"Value {value} bigger than max of {options['max']}"
        return problem("value_bigger_than_max", message, name, **extra)
    if isinstance(kind, list) and value not in kind:
        too_long = len(kind) > LONGEST_LIST
        choices = f"(list of length {len(kind)})" if too_long else str(kind)
        extra["input_config"] = None if too_long else config
        return problem(
            "value_not_in_list", "Value not in list", f"{name}: '{value}' not in {choices}", **extra
        )
    return None


def exception_problem(kind, message, error, **extra):
    """The entry for a check that raised."""
    trace = traceback.format_tb(sys.exc_info()[2])
    return problem(kind, message, str(error), **extra, exception_type=type_name(type(error)), traceback=trace)


async def validate_prompt(prompt_id, prompt, only_outputs=None):
    """(fine, error, outputs that can run, errors by node); it is fine when at least one output can run."""
    outputs = []
    for node_id, node in prompt.items():
        details = f"Node ID '#{node_id}'"
        if "class_type" not in node:
            message = "Cannot execute because a node is missing the class_type property."
            return False, problem("invalid_prompt", message, details), [], {}
        node_class = nodes.NODE_CLASS_MAPPINGS.get(node["class_type"])
        if node_class is None:
            message = f"Cannot execute because node {node['class_type']} does not exist."
            return False, problem("invalid_prompt", message, details), [], {}
        if classes.is_output(node_class) and (only_outputs is None or node_id in only_outputs):
            outputs.append(node_id)
    if not outputs:
        return False, problem("prompt_no_outputs", "Prompt has no outputs"), [], {}

    validator = Validator(prompt_id, prompt)
    good, failures, node_errors = [], [], {}
    for output in outputs:
        try:
            fine, reasons = await validator.check(output)
        except Exception as error:
            reasons = [
                exception_problem("exception_during_validation", "Exception when validating node", error)
            ]
            fine = False
            validator.verdicts[output] = (False, reasons)
        if fine:
            good.append(output)
            continue
        failures += reasons
        for node_id, (node_fine, node_reasons) in validator.verdicts.items():
            if not node_fine and node_reasons:
                entry = node_errors.setdefault(
                    node_id,
                    {
                        "errors": node_reasons,
                        "dependent_outputs": [],
                        "class_type": prompt[node_id]["class_type"],
                    },
                )
                entry["dependent_outputs"].append(output)
                for reason in node_reasons:
                    logging.error(
                        "%s %s: %s: %s", node_id, entry["class_type"], reason["message"], reason["details"]
                    )
    if good:
        return True, None, good, node_errors
    details = "\n".join(f"{reason['message']}: {reason['details']}" for reason in failures)
    message = "Prompt outputs failed validation"
    return False, problem("prompt_outputs_failed_validation", message, details), [], node_errors
