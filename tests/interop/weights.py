"""Models of the same kind as a given GGUF file: under another name, or with its layers many times over.

Servers tell models apart by what is in the file, and a small model is loaded before anyone could see it loading.
Not here: where the first file comes from, which scripts/interop knows. Run as: weights.py FROM TO NAME [TIMES].
"""

import re
import struct
import sys
from pathlib import Path

# Bytes of each of the format's number types, by their numbers; 8 is a text, 9 an array.
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
TEXT, ARRAY, U32 = 8, 9, 4
ALIGNMENT = 32


class Reader:
    """The bytes of a file, taken from its front."""

    def __init__(self, data):
        self.data = data
        self.position = 0

    def take(self, length):
        self.position += length
        return self.data[self.position - length : self.position]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def text(self):
        return bytes(self.take(self.number("Q")))

    def skip_value(self, kind):
        """Passes over one value of metadata."""
        if kind == TEXT:
            self.text()
        elif kind == ARRAY:
            of, count = self.number("I"), self.number("Q")
            if of in WIDTHS:
                self.take(WIDTHS[of] * count)
            else:
                for _ in range(count):
                    self.skip_value(of)
        else:
            self.take(WIDTHS[kind])

    def metadata(self, count):
        """Each key with the type and the bytes of its value."""
        for _ in range(count):
            key, kind = self.text(), self.number("I")
            start = self.position
            self.skip_value(kind)
            yield key, kind, bytes(self.data[start : self.position])

    def tensors(self, count):
        """Each tensor's name, the bytes of its shape and type, and where its data begins."""
        for _ in range(count):
            name = self.text()
            start = self.position
            self.take(8 * self.number("I") + 4)
            yield name, bytes(self.data[start : self.position]), self.number("Q")


def aligned(position):
    return -position % ALIGNMENT + position


def packed(text):
    return struct.pack("<Q", len(text)) + text


def repeated(tensors, layers, times):
    """The tensors, those of layers once more for each time, numbered on."""
    for name, shape, begin, end in tensors:
        layer = re.fullmatch(rb"blk\.(\d+)\.(.*)", name)
        if layer is None:
            yield name, shape, begin, end
            continue
        for time in range(times):
            number = int(layer[1]) + time * layers
            yield b"blk.%d.%s" % (number, layer[2]), shape, begin, end


def derive(source, target, name, times=1):
    """Writes the model of `source` to `target` under another name, its layers `times` times one after the other."""
    data = memoryview(Path(source).read_bytes())
    reader = Reader(data)
    magic, version = bytes(reader.take(4)), reader.number("I")
    assert (magic, version) == (b"GGUF", 3), f"{source} is no GGUF file of version 3"
    tensor_count, key_count = reader.number("Q"), reader.number("Q")

    keys, layers = b"", 0
    for key, kind, value in reader.metadata(key_count):
        assert key != b"general.alignment", "only the usual alignment is handled"
        if key.endswith(b".block_count"):
            layers = struct.unpack("<I", value)[0]
            kind, value = U32, struct.pack("<I", layers * times)
        elif key == b"general.name":
            value = packed(name.encode())
        keys += packed(key) + struct.pack("<I", kind) + value

    found = sorted(reader.tensors(tensor_count), key=lambda tensor: tensor[2])
    base = aligned(reader.position)
    ends = [begin for _, _, begin in found[1:]] + [len(data) - base]
    spans = [(name, shape, begin, end) for (name, shape, begin), end in zip(found, ends)]
    spans = list(repeated(spans, layers, times))

    infos, offset = b"", 0
    for tensor, shape, begin, end in spans:
        infos += packed(tensor) + shape + struct.pack("<Q", offset)
        offset += aligned(end - begin)
    head = magic + struct.pack("<IQQ", version, len(spans), key_count) + keys + infos
    with open(target, "wb") as out:
        out.write(head.ljust(aligned(len(head)), b"\0"))
        for _, _, begin, end in spans:
            out.write(data[base + begin : base + end])
            out.write(b"\0" * (aligned(end - begin) - (end - begin)))


if __name__ == "__main__":
    derive(sys.argv[1], sys.argv[2], sys.argv[3], int((sys.argv + ["1"])[4]))
