"""Stand-in for comfy.model_management: the interrupt flag, and the memory of a device that holds what a test put there."""

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


# Bytes of the device: what is free while nothing is loaded, what models hold, and what only the cache of torch holds.
FREE = 8 * 2**30
HELD = {"models": 0, "cache": 0}


def get_torch_device():
    """The device that models run on."""
    return "cpu"


def get_free_memory(dev=None, torch_free_too=False):
    """What the device has free, in bytes."""
    return FREE - sum(HELD.values())


def unload_all_models():
    """Unloads all; torch still has the memory in its cache."""
    HELD.update(models=0, cache=sum(HELD.values()))


def soft_empty_cache(force=False):
    """Gives the cache back."""
    HELD["cache"] = 0
