"""Binary files of data: those that are not what they should be are refused by name, with what is wrong; all element types are read."""
import gzip
import json
import struct

from tests import need, test


def idx(kind, extents, data, dims=None):
    return bytes([0, 0, kind, len(extents) if dims is None else dims]) + b"".join(struct.pack(">I", n) for n in extents) + data


def npy(header, data=b"", version=1):
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + data


def safetensors(header, data=b"", size=None):
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def tensor(dtype="F32", shape=(4,), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HEAD = "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }"
FILES = {
    "idx": [
        (b"", "not an IDX file"), (idx(8, [2, 2, 2], b"", 9), "not an IDX file"), (idx(13, [2, 2, 2], bytes(32)), "IDX elements of type 13; only unsigned bytes (8) are supported"),
        (idx(8, [2, 2], b"", 3), "the IDX header ends too early"), (idx(8, [2, 0, 2], b""), "the IDX header has an impossible extent of 0"), (idx(8, [2**31, 2**31, 2], b""), "the IDX header has an impossible extent of"),
        (idx(8, [2, 2, 2], bytes(7)), "the file ends 1 bytes too early"), (idx(8, [2, 2, 2], bytes(9)), "the file goes on behind its last element"), (gzip.compress(idx(8, [2, 2, 2], bytes(9))), "the file goes on behind its last element"),
    ],
    "npy": [
        (b"\x93NUMPX", "is not a .npy file"), (b"\x93NUMPY\x01", "is cut off"), (npy(HEAD % ("<f4", "False", "2, 2"), bytes(16))[:40], "is cut off"), (npy(HEAD % ("<f4", "False", "2, 2"), bytes(16), 4), "is of an unknown version of the .npy format"),
        (npy(HEAD % ("<f4", "True", "2, 2"), bytes(16)), "is stored in Fortran order"), (npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", bytes(8)), "holds records; save each field"),
        (npy(HEAD % ("<c8", "False", "2,"), bytes(16)), "holds elements of the NumPy type '<c8'"), (npy(HEAD % ("<f4", "False", "2, 2"), bytes(15)), "shape [2, 2] needs 16 bytes and the file has 15"),
        (npy(HEAD % ("<f4", "False", "4611686018427387904, 4"), b""), "has the impossible shape [4611686018427387904, 4]"), (npy("{'descr': '<f4'}"), "the header of this .npy file is damaged"), (npy(HEAD % ("<f4", "Maybe", "2,")), "the header of this .npy file is damaged"),
        (npy(HEAD % ("<f4", "False", "two,")), "the header of this .npy file is damaged"), (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}"), "the header of this .npy file is damaged"),
        (npy(HEAD % ("<f4", "False", "2,") + " x", bytes(8)), "the header of this .npy file is damaged"), (npy(HEAD % ("<u8", "False", "2, 2"), b"\xff" * 32), "holds numbers beyond 64-bit signed integers"),
    ],
    "safetensors": [
        (b"\x01", "is too short for a safetensors file"), (safetensors({"x": tensor()}, bytes(16), 10**6), "its header should have 1000000 bytes"), (safetensors("[1]"), "its header is not a JSON object"), (safetensors("{"), "its header is not a JSON object"),
        (safetensors('{"x": 1}'), "tensor 'x' is not described by an object"), (safetensors({"x": {"shape": [4], "data_offsets": [0, 16]}}, bytes(16)), "tensor 'x' has no dtype"), (safetensors({"x": tensor("F8")}, bytes(16)), "tensor 'x' has the unknown dtype F8"),
        (safetensors({"x": {"dtype": "F32", "data_offsets": [0, 16]}}, bytes(16)), "tensor 'x' has no shape"), (safetensors({"x": tensor(shape=[-4])}, bytes(16)), "tensor 'x' has an impossible shape"), (safetensors({"x": tensor(shape=[2**61, 16])}, bytes(16)), "tensor 'x' has an impossible shape"),
        (safetensors({"x": {"dtype": "F32", "shape": [4]}}, bytes(16)), "tensor 'x' has no data_offsets of two positions"), (safetensors({"x": tensor(offsets=[0, 16, 32])}, bytes(32)), "tensor 'x' has no data_offsets of two positions"),
        (safetensors({"x": tensor()}, bytes(15)), "tensor 'x' lies at bytes 0..16 of 15"), (safetensors({"x": tensor(offsets=[16, 0])}, bytes(16)), "tensor 'x' lies at bytes 16..0 of 16"), (safetensors({"x": tensor(shape=[3])}, bytes(16)), "tensor 'x' of shape [3] needs 12 bytes and has 16"),
        (safetensors({"x": tensor(), "z": tensor(offsets=[8, 24])}, bytes(24)), "tensors 'x' and 'z' overlap"), (safetensors('{"x": %s, "x": %s}' % (json.dumps(tensor()), json.dumps(tensor())), bytes(16)), "tensor 'x' comes twice"),
        (safetensors({"__metadata__": 1, "x": tensor()}, bytes(16)), "__metadata__ is not an object"), (safetensors({"__metadata__": {"a": 1}, "x": tensor()}, bytes(16)), "__metadata__ holds something else than text at 'a'"),
        (safetensors({"x": tensor("U64", [2], [0, 16])}, b"\xff" * 16), "tensor 'x' holds numbers beyond 64-bit signed integers"),
        (safetensors({"x": tensor(shape=[], offsets=[0, 4])}, bytes(4)), "'x' has no first axis to be the batch"), (safetensors({"x": tensor()}, bytes(16)), "the file has no tensor 'y'"), (safetensors({"x": tensor(), "y": tensor(shape=[3], offsets=[16, 28])}, bytes(28)), "rows where others have"),
    ],
}


@test
def damaged_files_are_refused(c):
    count = 0
    for reader, files in FILES.items():
        for data, why in files:
            name = f"data.{reader}"
            with open(c.path(name), "wb") as file:
                file.write(data)
            source = f"{{path: {name}, x: x, y: y}}" if reader == "safetensors" else f"{{x: {name}}}"
            spec = c.write("spec.yaml", f"data: {{reader: {reader}, train: {source}}}\nmodel: [flatten, {{linear: 1}}]\ntrain: {{epochs: 1, loss: mean(output), optimizer: sgd}}\n")
            done = c.run(spec, "--quiet", status=None)
            need(done.status == 1 and name in done.err and why in done.err and done.err.count("error:") == 1, f"{reader} file of {len(data)} bytes should be refused by '{why}':\n{done.err or 'it is taken'}")
            count += 1
    return f"{count} files"


# Every element type of both formats holds the same numbers.
SIGNED, UNSIGNED = [-3, 2, 4, 9], [0, 1, 4, 7]
TYPES = {"F32": ("f", "f4"), "F64": ("d", "f8"), "F16": ("e", "f2"), "BF16": (None, None), "I64": ("q", "i8"), "I32": ("i", "i4"), "I16": ("h", "i2"), "I8": ("b", "i1"), "U64": ("Q", "u8"), "U32": ("I", "u4"), "U16": ("H", "u2"),
         "U8": ("B", "u1"), "BOOL": ("?", "b1")}


@test
def numbers_are_read_in_every_format(c):
    for dtype, (code, descr) in TYPES.items():
        values = [v + 0.5 for v in SIGNED] if "F" in dtype else [False, True, True, True] if dtype == "BOOL" else SIGNED if dtype[0] == "I" else UNSIGNED
        expected = sum(values) / 4
        files = []
        for order in "<>":
            data = b"".join(struct.pack("<f", v)[2:] for v in values) if code is None else struct.pack(order + "4" + code, *values)
            if order == "<":
                files.append(("data.safetensors", safetensors({"x": tensor(dtype, [4, 1], [0, len(data)])}, data), "{path: data.safetensors, x: x}"))
            if descr:
                files.append(("data.npy", npy(HEAD % ((order if descr[1] != "1" else "|") + descr, "False", "4, 1"), data), "{x: data.npy}"))
        for name, content, source in files:
            with open(c.path(name), "wb") as file:
                file.write(content)
            spec = c.write("spec.yaml", f"data: {{reader: {name[5:]}, train: {source}}}\nmodel: [{{expr: 'cast(x, f32)'}}, {{linear: 1}}]\n"
                           "train: {steps: 1, batch_size: 4, loss: 'mean(cast(x, f32)) + 0 * mean(output)', optimizer: sgd}\n")
            loss = c.run(spec, "--json").summary["train_loss"]
            need(abs(loss - expected) < 1e-6, f"{dtype} in {name}: the mean is {loss} instead of {expected}")
