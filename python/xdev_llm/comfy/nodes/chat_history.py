"""Chat History: adds a message to a conversation, keeps it within a budget, and shows it.

Not here: how a conversation is read and cut (the engine).
"""

import xdev_llm

from ..schema import Input, Node, Outcome, Output
from . import shared


INPUTS = (
    Input(
        "message_history",
        "STRING",
        "The conversation so far, as JSON; empty begins a new one. Link full_conversation of a chat here.",
        default="",
        options=shared.TEXT,
    ),
    Input("role", "COMBO", "Who says the message.", default="user", choices=["user", "assistant", "system"]),
    Input("content", "STRING", "The message to add; empty adds none.", default="", options=shared.TEXT),
    Input(
        "max_tokens",
        "INT",
        "Leave out the oldest messages until about this many tokens remain (estimated). The system message and the last "
        "user message always stay. 0: keep all.",
        default=0,
        optional=True,
        options={"min": 0, "max": 1_000_000},
    ),
)


def run(node_id, **values):
    """Gives the conversation as JSON for a chat, and as text for people."""
    history = values["message_history"].strip() or "[]"
    if values["content"].strip():
        history = xdev_llm.append_history(history, [{"role": values["role"], "content": values["content"]}])
    if values.get("max_tokens"):
        history = xdev_llm.trim_history(history, values["max_tokens"])
    chat = [{"role": message["role"], "content": _in_words(message)} for message in xdev_llm.parse_history(history)]
    text = "\n\n".join(f"{message['role']}: {message['content']}" for message in chat)
    return Outcome((history, text, len(chat), xdev_llm.count_tokens(history)), {"chat": chat})


def _in_words(message):
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or f"[{part.get('type')}]" for part in content)


def check(**values):
    """Says where a conversation is not one."""
    problems = shared.keys_in(values)
    history = values.get("message_history")
    if history and history.strip() and not problems:
        try:
            xdev_llm.parse_history(history)
        except xdev_llm.InvalidInput as error:
            problems.append(("message_history", error.message))
    return shared.in_words(problems)


CHAT_HISTORY = Node(
    node_id="XDEV_ChatHistory",
    name="Chat History (XDev)",
    description="Adds a message to a conversation, keeps it within a budget of tokens, and shows it as a chat.",
    inputs=INPUTS,
    outputs=(
        Output("message_history", "STRING", "The conversation as JSON, for message_history of a chat."),
        Output("chat", "STRING", "The conversation as plain text."),
        Output("messages", "INT", "How many messages it has."),
        Output("tokens", "INT", "About how many tokens it has (estimated)."),
    ),
    run=run,
    check=check,
)
