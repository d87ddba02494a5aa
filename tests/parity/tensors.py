"""The safetensors format with the standard library only: an 8-byte length, a JSON header, raw little-endian data."""
import array
import json
import struct
from typing import NamedTuple

CODES = {"F32": "f", "F64": "d", "I32": "i", "I64": "q", "U8": "B", "BOOL": "B"}


class Tensor(NamedTuple):
    dtype: str
    shape: tuple
    values: array.array


def read(path):
    """Returns ({name: Tensor}, {metadata})."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = array.array(CODES[entry["dtype"]])
        values.frombytes(data[begin:end])
        tensors[name] = Tensor(entry["dtype"], tuple(entry["shape"]), values)
    return tensors, metadata


def write(path, tensors, metadata=None):
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, t in tensors.items():
        size = len(t.values) * t.values.itemsize
        header[name] = {"dtype": t.dtype, "shape": list(t.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            file.write(t.values.tobytes())
