"""Stand-in for comfy.model_management: the interrupt flag, and memory calls that have nothing to free."""

import threading


class InterruptProcessingException(Exception):
    """The user cancelled the prompt."""


_lock = threading.RLock()
_interrupted = False


def interrupt_current_processing(value=True):
    """Sets or clears the flag."""
    global _interrupted
    with _lock:
        _interrupted = value


def processing_interrupted():
    """Whether the flag is set; leaves it."""
    with _lock:
        return _interrupted


def throw_exception_if_processing_interrupted():
    """Raises once: the flag is cleared, so that whoever asks next sees nothing."""
    global _interrupted
    with _lock:
        if not _interrupted:
            return
        _interrupted = False
    raise InterruptProcessingException()


def unload_all_models():
    """Has nothing to unload."""


def soft_empty_cache(force=False):
    """Has no cache to empty."""
