"""Every failure of xdev_llm as an exception: what happened, where, the server's own words, and the cure.

One class for each kind in docs/errors.md, with the same code. The native module raises them and finds them in
`CLASSES` by their code. Not here: the meanings, messages and hints, which come from the Rust library.
"""

__all__ = [
    "Busy",
    "ConfigError",
    "ConnectTimeout",
    "ContextOverflow",
    "CutOff",
    "DeadlineTimeout",
    "EmptyAnswer",
    "EngineError",
    "Error",
    "FirstEventTimeout",
    "Interrupted",
    "InvalidInput",
    "Loading",
    "NoModel",
    "ProtocolError",
    "ServerError",
    "SilenceTimeout",
    "StoreError",
    "Timeout",
    "Unauthorized",
    "Unreachable",
    "Unsupported",
]


class Error(Exception):
    """A failure of xdev_llm; raised itself only for a fault in this library.

    message says what happened and where, said holds the server's own words, hint what to do, status the HTTP
    status, server the address, and partial what had arrived of an answer (a ChatReply).
    """

    code = "internal"

    def __init__(self, message, *, said=None, hint=None, status=None, server=None, partial=None):
        super().__init__(message)
        self.message = message
        self.said = said
        self.hint = hint
        self.status = status
        self.server = server
        self.partial = partial

    def __str__(self):
        text = self.message
        if self.server and self.server not in text:
            text += f" (at {self.server})"
        if self.said:
            text += f' The server said: "{self.said}"'
        if self.hint:
            text += f" {self.hint}"
        return text


class InvalidInput(Error, ValueError):
    """A value you gave is wrong."""

    code = "invalid_input"


class ConfigError(Error, ValueError):
    """The configuration is wrong, or forbids what was asked."""

    code = "config"


class Unreachable(Error, ConnectionError):
    """Nothing answers at the address."""

    code = "unreachable"


class Timeout(Error, TimeoutError):
    """A clock ran out; the subclasses say which."""

    code = "timeout"


class ConnectTimeout(Timeout):
    """The connection was not accepted in time."""

    code = "timeout_connect"


class FirstEventTimeout(Timeout):
    """The server took the request and then sent nothing."""

    code = "timeout_first_event"


class SilenceTimeout(Timeout):
    """The server began to answer and then fell silent."""

    code = "timeout_silence"


class DeadlineTimeout(Timeout):
    """The whole answer took longer than the deadline."""

    code = "timeout_deadline"


class Unauthorized(Error, PermissionError):
    """The server wants a key, or refused the one it got."""

    code = "unauthorized"


class NoModel(Error, LookupError):
    """The model is not there, or none is loaded."""

    code = "no_model"


class Loading(Error, RuntimeError):
    """The server is still loading its model."""

    code = "loading"


class ContextOverflow(Error, ValueError):
    """The prompt is longer than the model's context."""

    code = "context_overflow"


class Unsupported(Error, RuntimeError):
    """The server or the model cannot do what was asked."""

    code = "unsupported"


class Busy(Error, RuntimeError):
    """The server has too much to do."""

    code = "busy"


class ServerError(Error, RuntimeError):
    """The server failed."""

    code = "server"


class ProtocolError(Error, RuntimeError):
    """What came back is not what the protocol promises."""

    code = "protocol"


class CutOff(Error, ConnectionError):
    """The answer ended before its end; partial holds what had arrived."""

    code = "cut_off"


class EmptyAnswer(Error, RuntimeError):
    """The answer has no text; the message says why."""

    code = "empty_answer"


class Interrupted(Error):
    """The run was cancelled; partial holds what had arrived."""

    code = "interrupted"


class StoreError(Error, OSError):
    """A file could not be read or written."""

    code = "store"


class EngineError(Error, RuntimeError):
    """The built-in engine could not be installed, started or kept alive."""

    code = "engine"


CLASSES = {kind.code: kind for kind in (globals()[name] for name in __all__)}
