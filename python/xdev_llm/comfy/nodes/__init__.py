"""The nodes, a file each; `NODES` lists them in the order they are registered."""

from .chat import CHAT
from .chat_history import CHAT_HISTORY
from .doctor import DOCTOR
from .input_dev import INPUT_DEV
from .llm_compare import LLM_COMPARE
from .llm_load import LLM_LOAD
from .llm_unload import LLM_UNLOAD
from .models import MODELS
from .output_dev import OUTPUT_DEV
from .person_builder import PERSON_BUILDER
from .prompt_analyzer import PROMPT_ANALYZER
from .prompt_cleaner import PROMPT_CLEANER
from .prompt_combiner import PROMPT_COMBINER
from .prompt_matrix import PROMPT_MATRIX
from .prompt_weighter import PROMPT_WEIGHTER
from .prompt_wildcards import PROMPT_WILDCARDS
from .sampling import SAMPLING
from .server import SERVER
from .style_builder import STYLE_BUILDER
from .style_library import STYLE_LIBRARY

NODES = (
    CHAT, SERVER, MODELS, SAMPLING, CHAT_HISTORY, DOCTOR, LLM_LOAD, LLM_UNLOAD, LLM_COMPARE,
    PROMPT_COMBINER, PROMPT_MATRIX, PROMPT_WILDCARDS, PROMPT_WEIGHTER, PROMPT_CLEANER, PROMPT_ANALYZER,
    STYLE_BUILDER, PERSON_BUILDER, STYLE_LIBRARY,
    INPUT_DEV, OUTPUT_DEV,
)  # fmt: skip
