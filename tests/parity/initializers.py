"""The starting values of layers, and of the initialisers by name: bounds and moments as torch.nn.init states them."""
import array
import json
import math
import os

import tensors

WIDTH, OUT = 300, 200  # of the layer that is looked at


def uniform(bound):
    return {"bound": bound, "mean": 0.0, "std": bound / math.sqrt(3)}


def normal(std):
    return {"mean": 0.0, "std": std}


def constant(value):
    return {"bound": abs(value), "mean": value, "std": 0.0}


LINEAR = f"- linear: {OUT}"
BIAS = uniform(1 / math.sqrt(WIDTH))


def linear(initializer):
    return f"- linear: {OUT}\n    init: {{weight: {initializer}}}"


CASES = {
    "init_linear": (LINEAR, {"linear1.weight": uniform(1 / math.sqrt(WIDTH)), "linear1.bias": BIAS}),
    "init_xavier_uniform": (linear("xavier_uniform"), {"linear1.weight": uniform(math.sqrt(6 / (WIDTH + OUT))), "linear1.bias": BIAS}),
    "init_xavier_normal": (linear("xavier_normal"), {"linear1.weight": normal(math.sqrt(2 / (WIDTH + OUT)))}),
    "init_kaiming_uniform": (linear("kaiming_uniform"), {"linear1.weight": uniform(math.sqrt(6 / WIDTH))}),
    "init_kaiming_normal": (linear("kaiming_normal"), {"linear1.weight": normal(math.sqrt(2 / WIDTH))}),
    "init_normal": (linear("{normal: {std: 0.3}}"), {"linear1.weight": normal(0.3)}),
    "init_uniform": (linear("{uniform: 0.25}"), {"linear1.weight": uniform(0.25)}),
    "init_constant": (f"- linear: {OUT}\n    init: {{weight: 0.5, bias: 0}}", {"linear1.weight": constant(0.5), "linear1.bias": constant(0.0)}),
    "init_embedding": (f"- embedding: {{num_embeddings: {WIDTH}, embedding_dim: {OUT}}}\n  - flatten\n  - linear: {OUT}", {"embedding1.weight": normal(1.0)}),
    "init_norms": (f"- layer_norm\n  - rms_norm\n  - batch_norm\n  - linear: {OUT}",
                   {"layer_norm1.weight": constant(1.0), "layer_norm1.bias": constant(0.0), "rms_norm1.weight": constant(1.0),
                    "batch_norm1.weight": constant(1.0), "batch_norm1.bias": constant(0.0)}),
}
IMAGE, END = "- reshape: [6, 10, 5]\n  ", f"\n  - flatten\n  - linear: {OUT}"
CASES |= {
    "init_conv": (IMAGE + "- conv2d: {out: 40, kernel: [3, 2], groups: 2}" + END, {f"conv2d1.{n}": uniform(1 / math.sqrt(3 * 6)) for n in ("weight", "bias")}),
    "init_conv_transpose": (IMAGE + "- conv_transpose2d: {out: 80, kernel: [3, 2], groups: 2}" + END, {f"conv_transpose2d1.{n}": uniform(1 / math.sqrt(40 * 6)) for n in ("weight", "bias")}),
    "init_positions": ("- reshape: [6, 50]\n  - positions\n  - positions: 0.5" + END, {"positions1.weight": normal(0.02), "positions2.weight": normal(0.5)}),
    "init_norms_of_images": (IMAGE + "- group_norm: 2\n  - instance_norm: {affine: true}\n  - prelu: 6\n  - prelu: {start: 0.1}" + END,
                             {"group_norm1.weight": constant(1.0), "group_norm1.bias": constant(0.0), "instance_norm1.weight": constant(1.0), "instance_norm1.bias": constant(0.0),
                              "prelu1.weight": constant(0.25), "prelu2.weight": constant(0.1)}),
}


DATA = "init.safetensors"


def write_initializers(folder):
    """A rate of 0 keeps the starting values; the data, of 4 rows, are zeros."""
    zeros = lambda dtype, *shape: tensors.Tensor(dtype, shape, array.array(tensors.CODES[dtype], [0] * math.prod(shape)))
    tensors.write(os.path.join(folder, DATA), {"x": zeros("F32", 4, WIDTH), "index": zeros("I32", 4, 1), "y": zeros("F32", 4, OUT)})
    for name, (layers, expected) in CASES.items():
        x = "index" if "embedding" in name else "x"
        spec = (f"name: {name}\ndata:\n  reader: safetensors\n  train: {{path: {DATA}, x: {x}, y: y}}\nmodel:\n  {layers}\n"
                "train: {steps: 1, batch_size: 4, loss: mse, optimizer: {type: sgd, lr: 0}}\n")
        with open(os.path.join(folder, name + ".yaml"), "w", encoding="utf-8") as file:
            file.write(spec)
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
            json.dump(expected, file, indent=1)
            file.write("\n")
