"""The nodes, a file each; `NODES` lists them in the order they are registered."""

from .chat import CHAT
from .chat_history import CHAT_HISTORY
from .doctor import DOCTOR
from .models import MODELS
from .person_builder import PERSON_BUILDER
from .sampling import SAMPLING
from .server import SERVER
from .style_builder import STYLE_BUILDER
from .style_library import STYLE_LIBRARY

NODES = (CHAT, SERVER, MODELS, SAMPLING, CHAT_HISTORY, DOCTOR, STYLE_BUILDER, PERSON_BUILDER, STYLE_LIBRARY)
