"""The nodes, a file each; `NODES` lists them in the order they are registered."""

from .chat import CHAT
from .chat_history import CHAT_HISTORY
from .doctor import DOCTOR
from .models import MODELS
from .prompt_cleaner import PROMPT_CLEANER
from .prompt_combiner import PROMPT_COMBINER
from .prompt_weighter import PROMPT_WEIGHTER
from .sampling import SAMPLING
from .server import SERVER

NODES = (CHAT, SERVER, MODELS, SAMPLING, CHAT_HISTORY, DOCTOR, PROMPT_COMBINER, PROMPT_WEIGHTER, PROMPT_CLEANER)
