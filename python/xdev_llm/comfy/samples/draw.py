"""Random numbers that a seed decides, the same on every platform and in every version of Python.

SplitMix64, as the engine has it. Not here: the numbers of tensors, which PyTorch draws with a generator of its own.
"""

_MASK = (1 << 64) - 1


class Draw:
    """`Draw` draws numbers; whoever else draws, globally or from another seed, changes nothing."""

    def __init__(self, seed):
        self._state = seed & _MASK

    def _next(self):
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((self._state ^ (self._state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def below(self, count):
        """A whole number from 0 to `count - 1`."""
        return (self._next() * count) >> 64

    def share(self):
        """A number from 0 to 1, without 1."""
        return (self._next() >> 11) / (1 << 53)

    def one_of(self, choices):
        """One of a sequence."""
        return choices[self.below(len(choices))]
