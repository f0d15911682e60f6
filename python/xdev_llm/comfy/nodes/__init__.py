"""The nodes, a file each; `NODES` lists them in the order they are registered."""

from .chat import CHAT
from .chat_history import CHAT_HISTORY
from .doctor import DOCTOR
from .models import MODELS
from .prompt_analyzer import PROMPT_ANALYZER
from .sampling import SAMPLING
from .server import SERVER

NODES = (CHAT, SERVER, MODELS, SAMPLING, CHAT_HISTORY, DOCTOR, PROMPT_ANALYZER)
