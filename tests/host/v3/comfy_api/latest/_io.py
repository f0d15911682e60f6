"""Stand-in for comfy_api.latest.io: inputs, outputs, schema and base class of V3 nodes.

Parameter lists are those of ComfyUI 0.3.64, so that a pack that passes more fails here as it fails there.
Types that no test uses are left out.
"""

import inspect
from dataclasses import dataclass
from enum import Enum

from comfy_execution.graph_utils import ExecutionBlocker


class NumberDisplay(str, Enum):
    """How a number is drawn."""

    number = "number"
    slider = "slider"


class Hidden(str, Enum):
    """Values a node may ask for."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"
    auth_token_comfy_org = "AUTH_TOKEN_COMFY_ORG"
    api_key_comfy_org = "API_KEY_COMFY_ORG"


class HiddenHolder:
    """The hidden values of one call; those not asked for are None."""

    def __init__(self, values):
        for hidden in Hidden:
            setattr(self, hidden.name, (values or {}).get(hidden))


def _set_only(**options):
    return {name: value for name, value in options.items() if value is not None}


class _IoType(str):
    """A type's name; * fits every other."""

    def __ne__(self, other):
        return "*" not in (str(self), str(other)) and str(self) != str(other)


class _Slot:
    """What inputs and outputs share: the type, which is the class around them."""

    io_type = None


class Input(_Slot):
    """An input socket."""

    def __init__(self, id, display_name=None, optional=False, tooltip=None, lazy=None, extra_dict=None):
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.lazy = lazy
        self.extra_dict = extra_dict if extra_dict is not None else {}

    def as_dict(self):
        """The options in /object_info."""
        named = _set_only(display_name=self.display_name, tooltip=self.tooltip, lazy=self.lazy)
        return {**named, **_set_only(**self.extra_dict)}

    def get_io_type(self):
        """The type in /object_info."""
        return self.io_type


class WidgetInput(Input):
    """An input that has a widget."""

    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        socketless=None,
        widget_type=None,
        force_input=None,
        extra_dict=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, extra_dict)
        self.default = default
        self.socketless = socketless
        self.widget_type = widget_type
        self.force_input = force_input

    def as_dict(self):
        widget = _set_only(
            default=self.default,
            socketless=self.socketless,
            widgetType=self.widget_type,
            forceInput=self.force_input,
        )
        return {**super().as_dict(), **widget}

    def get_io_type(self):
        return self.io_type if self.widget_type is None else self.widget_type


class Output(_Slot):
    """An output socket."""

    def __init__(self, id=None, display_name=None, tooltip=None, is_output_list=False):
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list


def _type(name, widget=None):
    """A type with its Input and Output classes."""
    base, name = widget or Input, _IoType(name)
    members = {
        "io_type": name,
        "Input": type("Input", (base,), {"io_type": name}),
        "Output": type("Output", (Output,), {"io_type": name}),
    }
    return type(name.title().replace("_", ""), (), members)


def Custom(io_type):
    """A type of a pack's own."""
    return _type(io_type)


class _BooleanInput(WidgetInput):
    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        label_on=None,
        label_off=None,
        socketless=None,
        force_input=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input)
        self.label_on = label_on
        self.label_off = label_off

    def as_dict(self):
        return {**super().as_dict(), **_set_only(label_on=self.label_on, label_off=self.label_off)}


class _IntInput(WidgetInput):
    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        min=None,
        max=None,
        step=None,
        control_after_generate=None,
        display_mode=None,
        socketless=None,
        force_input=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input)
        self.min = min
        self.max = max
        self.step = step
        self.control_after_generate = control_after_generate
        self.display_mode = display_mode

    def as_dict(self):
        numbers = _set_only(
            min=self.min,
            max=self.max,
            step=self.step,
            control_after_generate=self.control_after_generate,
            display=self.display_mode.value if self.display_mode else None,
        )
        return {**super().as_dict(), **numbers}


class _FloatInput(WidgetInput):
    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        min=None,
        max=None,
        step=None,
        round=None,
        display_mode=None,
        socketless=None,
        force_input=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input)
        self.min = min
        self.max = max
        self.step = step
        self.round = round
        self.display_mode = display_mode

    def as_dict(self):
        numbers = _set_only(
            min=self.min, max=self.max, step=self.step, round=self.round, display=self.display_mode
        )
        return {**super().as_dict(), **numbers}


class _StringInput(WidgetInput):
    def __init__(
        self,
        id,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        multiline=False,
        placeholder=None,
        default=None,
        dynamic_prompts=None,
        socketless=None,
        force_input=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, default, socketless, None, force_input)
        self.multiline = multiline
        self.placeholder = placeholder
        self.dynamic_prompts = dynamic_prompts

    def as_dict(self):
        text = _set_only(
            multiline=self.multiline, placeholder=self.placeholder, dynamicPrompts=self.dynamic_prompts
        )
        return {**super().as_dict(), **text}


class _ComboInput(WidgetInput):
    def __init__(
        self,
        id,
        options=None,
        display_name=None,
        optional=False,
        tooltip=None,
        lazy=None,
        default=None,
        control_after_generate=None,
        upload=None,
        image_folder=None,
        remote=None,
        socketless=None,
    ):
        super().__init__(id, display_name, optional, tooltip, lazy, default, socketless)
        self.multiselect = False
        self.options = options
        self.control_after_generate = control_after_generate
        self.upload = upload
        self.image_folder = image_folder
        self.remote = remote

    def as_dict(self):
        choice = _set_only(
            multiselect=self.multiselect,
            options=self.options,
            control_after_generate=self.control_after_generate,
        )
        return {**super().as_dict(), **choice}


Boolean = _type("BOOLEAN", _BooleanInput)
Int = _type("INT", _IntInput)
Float = _type("FLOAT", _FloatInput)
String = _type("STRING", _StringInput)
Combo = _type("COMBO", _ComboInput)
Image = _type("IMAGE")
Mask = _type("MASK")
AnyType = _type("*")


@dataclass
class Schema:
    """The definition of a node."""

    node_id: str
    display_name: str = None
    category: str = "sd"
    inputs: list = None
    outputs: list = None
    hidden: list = None
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_api_node: bool = False
    not_idempotent: bool = False
    enable_expand: bool = False

    def validate(self):
        """Refuses ids that occur twice, also between inputs and outputs."""
        ids = [slot.id for slot in (self.inputs or []) + (self.outputs or [])]
        twice = sorted({id for id in ids if ids.count(id) > 1})
        if twice:
            raise ValueError(f"Ids must be unique, but {twice} are not.")

    def finalize(self):
        """Adds the hidden values an output node gets, and ids for outputs without."""
        if self.is_output_node:
            self.hidden = self.hidden or []
            self.hidden += [
                hidden for hidden in (Hidden.prompt, Hidden.extra_pnginfo) if hidden not in self.hidden
            ]
        for index, output in enumerate(self.outputs or []):
            if output.id is None:
                output.id = f"_{index}_{output.io_type}_"

    def input_types(self):
        """The inputs in the form of a V1 class."""
        inputs = {"required": {}}
        for entry in self.inputs or []:
            category = "optional" if entry.optional else "required"
            inputs.setdefault(category, {})[entry.id] = (entry.get_io_type(), entry.as_dict())
        for hidden in self.hidden or []:
            inputs.setdefault("hidden", {})[hidden.name] = (hidden.value,)
        return inputs


class _FromSchema:
    """A V1 class attribute that is read from the schema."""

    def __init__(self, read):
        self.read = read

    def __get__(self, instance, owner):
        return self.read(owner.GET_SCHEMA())


class NodeOutput:
    """What a node returns: values for its outputs, what to show, or a reason to block."""

    def __init__(self, *args, ui=None, expand=None, block_execution=None):
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    @property
    def result(self):
        """The values, or None where there are none."""
        return self.args or None

    def __getitem__(self, index):
        return self.args[index]


def _normalize(returned):
    if returned is None:
        return NodeOutput()
    if isinstance(returned, NodeOutput):
        return returned
    if isinstance(returned, tuple):
        return NodeOutput(*returned)
    if isinstance(returned, ExecutionBlocker):
        return NodeOutput(block_execution=returned.message)
    if isinstance(returned, dict):  # which ComfyUI 0.3.64 means to take, and fails to
        raise TypeError("NodeOutput.__init__() got an unexpected keyword argument 'args'")
    raise Exception(f"Invalid return type from node: {type(returned)}")


class ComfyNode:
    """The base class of V3 nodes. All methods are class methods; the class is locked while it runs."""

    RELATIVE_PYTHON_MODULE = None
    SCHEMA = None
    hidden = None

    @classmethod
    def define_schema(cls):
        raise NotImplementedError

    @classmethod
    def execute(cls, **kwargs):
        raise NotImplementedError

    @classmethod
    def validate_inputs(cls, **kwargs):
        raise NotImplementedError

    @classmethod
    def fingerprint_inputs(cls, **kwargs):
        raise NotImplementedError

    @classmethod
    def check_lazy_status(cls, **kwargs):
        return [name for name, value in kwargs.items() if value is None]

    @classmethod
    def VALIDATE_CLASS(cls):
        """Refuses a class that lacks what every node needs."""
        for name in ("define_schema", "execute"):
            if getattr(cls, name).__func__ is getattr(ComfyNode, name).__func__:
                raise Exception(f"No {name} function was defined for node class {cls.__name__}.")

    @classmethod
    def FINALIZE_SCHEMA(cls):
        """The schema, defined anew."""
        schema = cls.define_schema()
        schema.finalize()
        return schema

    @classmethod
    def GET_SCHEMA(cls):
        """The schema, defined anew and checked."""
        cls.VALIDATE_CLASS()
        schema = cls.FINALIZE_SCHEMA()
        schema.validate()
        return schema

    @classmethod
    def INPUT_TYPES(cls):
        """The inputs in the form of a V1 class."""
        return cls.FINALIZE_SCHEMA().input_types()

    @classmethod
    def GET_NODE_INFO_V1(cls):
        """The class's entry in /object_info."""
        schema = cls.GET_SCHEMA()
        inputs = schema.input_types()
        outputs = schema.outputs or []
        return {
            "input": inputs,
            "input_order": {category: list(entries) for category, entries in inputs.items()},
            "output": [output.io_type for output in outputs],
            "output_is_list": [output.is_output_list for output in outputs],
            "output_name": [output.display_name or output.io_type for output in outputs],
            "output_tooltips": [output.tooltip or None for output in outputs],
            "name": schema.node_id,
            "display_name": schema.display_name,
            "description": schema.description,
            "python_module": cls.RELATIVE_PYTHON_MODULE or "nodes",
            "category": schema.category,
            "output_node": schema.is_output_node,
            "deprecated": schema.is_deprecated,
            "experimental": schema.is_experimental,
            "api_node": schema.is_api_node,
        }

    @classmethod
    def EXECUTE_NORMALIZED(cls, **kwargs):
        """Runs a sync node."""
        return _normalize(cls.execute(**kwargs))

    @classmethod
    async def EXECUTE_NORMALIZED_ASYNC(cls, **kwargs):
        """Runs an async node."""
        return _normalize(await cls.execute(**kwargs))

    class _Function:
        def __get__(self, instance, owner):
            return (
                "EXECUTE_NORMALIZED_ASYNC"
                if inspect.iscoroutinefunction(owner.execute)
                else "EXECUTE_NORMALIZED"
            )

    FUNCTION = _Function()
    RETURN_TYPES = _FromSchema(lambda schema: [output.io_type for output in schema.outputs or []])
    RETURN_NAMES = _FromSchema(
        lambda schema: [output.display_name or output.io_type for output in schema.outputs or []]
    )
    OUTPUT_IS_LIST = _FromSchema(lambda schema: [output.is_output_list for output in schema.outputs or []])
    OUTPUT_NODE = _FromSchema(lambda schema: schema.is_output_node)
    INPUT_IS_LIST = _FromSchema(lambda schema: schema.is_input_list)
    NOT_IDEMPOTENT = _FromSchema(lambda schema: schema.not_idempotent)
    CATEGORY = _FromSchema(lambda schema: schema.category)
    DESCRIPTION = _FromSchema(lambda schema: schema.description)


class _Locked(type):
    def __setattr__(cls, name, value):
        raise AttributeError(f"Cannot modify class attribute '{name}' on locked class '{cls.__name__}'")


def clone_and_lock(node_class, hidden):
    """A class like this one for a single call: with its hidden values, and nothing can be set on it."""
    return _Locked(f"{node_class.__name__}Clone", (node_class,), {"hidden": HiddenHolder(hidden)})
