"""The borders of every argument of the standard library: the last value that is taken, the first that is refused, and why.

A row is an item with {} for the value, the values that pass, those that do not, and a part of the message."""
from tests import need, test

IMAGE, LINE, VOLUME, ROWS = [3, 4, 5], [4, 6], [2, 3, 4, 5], [6]
HALF = "padding must be at most half of the kernel"

LAYERS = [
    ("linear: {}", ROWS, ["1"], ["0", "-1"], "out must be at least 1"),
    ("softplus: {{beta: {}}}", ROWS, ["0.1", "-1"], ["0"], "beta must not be 0"),
    ("celu: {}", ROWS, ["-1"], ["0"], "alpha must not be 0"),
    ("softshrink: {}", ROWS, ["0"], ["-0.1"], "lambd must be at least 0"),
    ("hardtanh: {{min_val: 0, max_val: {}}}", ROWS, ["0.1"], ["0", "-1"], "min_val must lie below max_val"),
    ("glu: {{dim: {}}}", [5, 4], ["1", "-1"], ["0", "-2"], "axis {} must have an even extent"),
    ("dropout: {}", ROWS, ["0", "1"], ["-0.1", "1.1"], "p must lie in 0..1"),
    ("dropout2d: {}", IMAGE, ["0", "1"], ["-0.1", "1.1"], "p must lie in 0..1"),
    ("stochastic_depth: {}", IMAGE, ["0", "1"], ["-0.1", "1.1"], "p must lie in 0..1"),
    ("flatten: {{start_dim: {}}}", IMAGE, ["0", "2", "-3"], ["3", "-4"], "are not in the shape"),
    ("flatten: {{start_dim: 1, end_dim: {}}}", IMAGE, ["1", "2", "-2"], ["0", "3", "-3"], "are not in the shape"),
    ("positions: {}", LINE, ["0"], ["-0.1"], "std must not be negative"),
    ("attention: {}", LINE, ["1", "6"], ["0", "-1", "4"], "do not divide 6 features"),
    ("cross_attention: {}, from: [in, in]", LINE, ["1", "6"], ["0", "-1", "4"], "do not divide 6 features"),
    ("transformer_block: {{heads: 2, mlp_ratio: {}}}", LINE, ["0.5"], ["0", "-1"], "mlp_ratio must be above 0"),
    ("transformer_block: {}", LINE, ["1", "6"], ["0", "4"], "do not divide 6 features"),
    ("group_norm: {}", LINE, ["1", "4"], ["0", "-1", "3"], "groups do not divide the 4 channels"),
    ("channel_shuffle: {}", LINE, ["1", "4"], ["0", "-1", "3"], "groups do not divide the 4 channels"),
    ("local_response_norm: {}", LINE, ["1"], ["0"], "size must be at least 1"),
    ("prelu: {}", LINE, ["1", "4"], ["2", "6"], "num_parameters must be 1 or the 4 channels"),
    ("pixel_shuffle: {}", [4, 2, 3], ["1", "2"], ["0"], "factor must be at least 1"),
    ("pixel_shuffle: {}", [4, 2, 3], [], ["3", "4"], "channels are no multiple of"),
    ("pixel_unshuffle: {}", [1, 4, 6], ["1", "2"], ["0"], "factor must be at least 1"),
    ("pixel_unshuffle: {}", [1, 4, 6], [], ["3", "4"], "4 by 6 is not divided by"),
    ("upsample: {}", IMAGE, ["1", "[1, 2]"], ["0", "[0, 2]"], "scale must be at least 1"),
    ("upsample: {}", IMAGE, [], ["[2]", "[1, 2, 1]"], "scale must be an integer or a list of 2"),
    ("upsample: {{size: {}}}", IMAGE, ["1", "[1, 9]"], ["0", "[0, 2]"], "size must be at least 1"),
    ("upsample: {{size: {}}}", IMAGE, [], ["[2]", "[1, 2, 1]"], "size must be an integer or a list of 2"),
    ("upsample: {{mode: nearest, {}}}", IMAGE, ["scale: 2", "size: 2"], ["align_corners: false", "scale: 2, size: 2"], "it needs one of scale and size"),
    ("batch_norm: {}", IMAGE, ["0", "0.9"], ["1", "-0.1"], "eps must lie in 0..1"),
    ("layer_norm: {}", IMAGE, ["0", "0.9"], ["1", "-0.1"], "eps must lie in 0..1"),
    ("rms_norm: {}", IMAGE, ["0", "0.9"], ["1", "-0.1"], "eps must lie in 0..1"),
    ("instance_norm: {}", IMAGE, ["0", "0.9"], ["1", "-0.1"], "eps must lie in 0..1"),
    ("clamp: {{{}}}", LINE, ["low: 0", "high: 0", "low: 0, high: 0"], ["low: none"], "it needs low or high"),
    ("upsample: {{scale: 2, mode: {}}}", IMAGE, ["nearest", "bilinear"], ["linear", "trilinear"], "is for other axes"),
    ("upsample: {{scale: 2, mode: {}}}", LINE, ["nearest", "linear"], ["bilinear", "trilinear"], "is for other axes"),
    ("upsample: {{scale: 2, mode: {}}}", VOLUME, ["nearest", "trilinear"], ["bilinear", "linear"], "is for other axes"),
    ("upsample: {{scale: 2, mode: {}, align_corners: true}}", IMAGE, ["bilinear"], ["nearest"], "align_corners needs a mode between neighbours"),
    ("adaptive_avg_pool2d: {}", IMAGE, ["1", "[1, 2]"], ["0", "[1, 0]"], "size must be at least 1"),
    ("adaptive_max_pool2d: {}", IMAGE, ["1", "[1, 2]"], ["[1]", "[1, 2, 3]"], "size must be an integer or a list of 2"),
    ("adaptive_avg_pool1d: {}", LINE, ["1"], ["0"], "size must be at least 1"),
    ("adaptive_max_pool1d: {}", LINE, ["1"], ["0"], "size must be at least 1"),
    ("embedding: {{num_embeddings: 5, embedding_dim: 2, padding_idx: {}}}", "indices", ["4", "-5"], ["5", "-6"], "padding_idx must lie in the table of 5 rows"),
]
POOLS = {"max_pool1d": LINE, "max_pool2d": IMAGE, "max_pool3d": VOLUME, "avg_pool1d": LINE, "avg_pool2d": IMAGE, "avg_pool3d": VOLUME}
for _name, _shape in POOLS.items():
    _n = len(_shape) - 1
    _wrong = [str([1] * (_n - 1)), str([1] * (_n + 1))]
    LAYERS += [(_name + ": {}", _shape, ["1", str([1] * _n), "2"], ["0", str([0] * _n)], "kernel must be at least 1"), (_name + ": {}", _shape, [], _wrong, f"kernel must be an integer or a list of {_n}"),
               (_name + ": {{kernel: 3, stride: {}}}", _shape, ["1", str([2] * _n)], ["0"], "stride must be at least 1"), (_name + ": {{kernel: 3, stride: {}}}", _shape, [], _wrong, f"stride must be an integer or a list of {_n}"),
               (_name + ": {{kernel: 3, padding: {}}}", _shape, ["0", "1", str([1] * _n)], ["-1", "2", *(str([0] * i + [2] + [0] * (_n - 1 - i)) for i in range(_n))], HALF),
               (_name + ": {{kernel: 3, padding: {}}}", _shape, [], _wrong, f"padding must be an integer or a list of {_n}")]
    if _name.startswith("max"):
        LAYERS.append((_name + ": {{kernel: 1, dilation: {}}}", _shape, ["1", str([2] * _n)], _wrong, f"dilation must be an integer or a list of {_n}"))
CONVOLUTIONS = {"conv1d": LINE, "conv2d": IMAGE, "conv3d": VOLUME, "conv_transpose1d": LINE, "conv_transpose2d": IMAGE, "conv_transpose3d": VOLUME}
for _name, _shape in CONVOLUTIONS.items():
    _n = len(_shape) - 1
    _wrong = [str([1] * (_n - 1)), str([1] * (_n + 1))]
    for _key in ("kernel", "stride", "dilation"):
        _rest = "" if _key == "kernel" else "kernel: 2, "
        LAYERS += [(_name + ": {{out: 2, " + _rest + _key + ": {}}}", _shape, ["1", str([1] * _n)], ["0", str([0] * _n)], f"{_key} must be at least 1"),
                   (_name + ": {{out: 2, " + _rest + _key + ": {}}}", _shape, [], _wrong, f"{_key} must be an integer or a list of {_n}")]
    LAYERS += [(_name + ": {{out: {}, kernel: 1}}", _shape, ["1"], ["0"], "out must be at least 1"), (_name + ": {{out: 12, kernel: 1, groups: {}}}", _shape, ["1", str(_shape[0])], ["0"], "groups must be at least 1"),
               (_name + ": {{out: 12, kernel: 1, groups: {}}}", _shape, [], [str(_shape[0] + 1)], f"do not divide the {_shape[0]} channels of the input"),
               (_name + ": {{out: {}, kernel: 1, groups: " + str(_shape[0]) + "}}", _shape, [], [str(_shape[0] + 1)], f"do not divide the {_shape[0] + 1} output channels")]
# Layers and functions of samples with certain axes: the ranks that pass among one to five.
RANKS = [("conv1d: {out: 1, kernel: 1}", {2}), ("conv2d: {out: 1, kernel: 1}", {3}), ("conv3d: {out: 1, kernel: 1}", {4}), ("conv_transpose1d: {out: 1, kernel: 1}", {2}), ("conv_transpose2d: {out: 1, kernel: 1}", {3}),
         ("conv_transpose3d: {out: 1, kernel: 1}", {4}), ("max_pool1d: 1", {2}), ("max_pool2d: 1", {3}), ("max_pool3d: 1", {4}), ("avg_pool1d: 1", {2}), ("avg_pool2d: 1", {3}), ("avg_pool3d: 1", {4}),
         ("adaptive_avg_pool2d: 1", {3}), ("adaptive_max_pool2d: 1", {3}), ("adaptive_avg_pool1d: 1", {2}), ("adaptive_max_pool1d: 1", {2}), ("global_avg_pool", {2, 3, 4, 5}), ("global_max_pool", {2, 3, 4, 5}),
         ("upsample: 2", {2, 3, 4}), ("pixel_shuffle: 1", {3}), ("pixel_unshuffle: 1", {3}), ("positions", {2}), ("attention: 2", {2}), ("transformer_block: 2", {2}), ("local_response_norm: 1", {2, 3, 4, 5}),
         ("instance_norm", {2, 3, 4, 5}), ("batch_norm", {1, 2, 3, 4, 5}), ("group_norm: 2", {1, 2, 3, 4, 5}), ("layer_norm", {1, 2, 3, 4, 5}), ("prelu", {1, 2, 3, 4, 5})]


def taken(c, layers, data, why, item):
    """Checks one model; `why`: part of the message that refuses it, nothing where it passes."""
    spec = c.write("spec.yaml", f"data: {data}\nmodel: [{layers}]\ntrain: {{epochs: 1, batch_size: 8, loss: cross_entropy, optimizer: sgd}}\n")
    judge(c, spec, why, item)


def judge(c, spec, why, item, *more):
    done = c.mlc("check", spec, *more, status=None)
    if why is None:
        need(done.status == 0, f"{item} is refused:\n{done.err}")
    else:
        need(done.status == 1 and why in done.err and done.err.count("error:") == 1, f"{item} should be refused by '{why}':\n{done.err or 'it is taken'}")


def synthetic(shape):
    return f"{{reader: synthetic, train: {{rows: 16, x: {shape}, y: 3}}}}"


@test
def layers_end_at_their_borders(c):
    count = 0
    for item, shape, good, bad, why in LAYERS:
        for value in good + bad:
            layer = item.format(value)
            front = "" if shape != "indices" else "{expr: 'argmax(x, dim=0)'}, "
            taken(c, f"{front}{{{layer}}}, flatten, {{linear: 3}}", synthetic(LINE if front else shape), why.format(value) if value in bad else None, layer)
            count += 1
    return f"{count} values"


@test
def layers_take_their_ranks(c):
    for item, ranks in RANKS:
        for rank in range(1, 6):
            layer = item if ":" not in item else f"{{{item}}}"
            taken(c, f"{layer}, flatten, {{linear: 3}}", synthetic([4, 2, 2, 2, 2][:rank]), None if rank in ranks else "needs", f"{item} on {rank} axes")


@test
def convolutions_take_no_indices(c):
    for name, shape in CONVOLUTIONS.items():
        taken(c, f"{{expr: 'cast(x, i32)'}}, {{{name}: {{out: 3, kernel: 1}}}}, flatten, {{linear: 3}}", synthetic(shape), f"{name} needs numbers, not indices", name)


FORMULAS = [
    ("pairwise_distance(h, 0, {})", ["0.5", "inf"], ["0", "-1"], "p must be above 0"),
    ("sum(rotary(reshape(h, [2, {}])))", ["-1"], [], ""), ("sum(rotary(reshape(h, [4, 3])))", [], [""], "an even number of features per head, not 3"),
    ("clamp(h, {})", ["0", "high=1"], ["none"], "it needs low or high"),
    ("sum(warp(reshape(h, {}), reshape(slice(h, 0, 0, 6), [2, 3])))", ["[1, 3, 4]"], ["[3, 4]", "[1, 1, 3, 4]"], "the image must be [channels, height, width]"),
    ("sum(warp(reshape(h, [1, 3, 4]), reshape(slice(h, 0, 0, 6), {})))", ["[2, 3]"], ["[3, 2]", "[6]"], "the matrix must be [2, 3]"),
    ("sum(affine_grid(reshape(slice(h, 0, 0, 6), {}), [1, 2, 2]))", ["[2, 3]"], ["[3, 2]", "[6]"], "theta must be [2, 3]"),
    ("sum(affine_grid(reshape(slice(h, 0, 0, 6), [2, 3]), {}))", ["[1, 2, 2]"], ["[2, 2]", "[1, 1, 2, 2]"], "size must be [channels, height, width]"),
    ("sum(grid_sample(reshape(h, {}), reshape(h, [3, 2, 2])))", ["[1, 3, 4]"], ["[3, 4]", "[1, 1, 3, 4]"], "the image must be [channels, height, width]"),
    ("sum(grid_sample(reshape(h, [1, 3, 4]), reshape(h, {})))", ["[3, 2, 2]", "[1, 6, 2]"], ["[6, 2]", "[2, 2, 3]", "[3, 2, 2, 1]"], "the grid must be [height, width, 2]"),
]


@test
def functions_end_at_their_borders(c):
    for formula, good, bad, why in FORMULAS:
        for value in good + bad:
            text = formula.format(value)
            taken(c, f"{{linear: 12, as: h}}, {{expr: '{text} * h'}}, {{linear: 3}}", synthetic(ROWS), why if value in bad else None, text)


TRANSFORMS = [
    ("random_flip: {{horizontal: {}}}", ["0", "1"], ["-0.1", "1.1"], "horizontal must lie in 0..1"), ("random_flip: {{vertical: {}}}", ["0", "1"], ["-0.1", "1.1"], "vertical must lie in 0..1"),
    ("random_rotation: {}", ["0", "[-5, 5]"], ["-1"], "degrees must not be negative"), ("random_rotation: {{degrees: 1, mode: {}}}", ["nearest", "bilinear"], ["bicubic"], "mode"),
    ("random_affine: {}", ["0", "[-5, 5]"], ["-1"], "degrees must not be negative"), ("random_affine: {{degrees: 0, mode: {}}}", ["nearest", "bilinear"], ["bicubic"], "mode"),
    ("random_affine: {{degrees: 0, translate: {}}}", ["[0, 0.1]"], ["[0.1]", "[0.1, 0.1, 0.1]"], "translate must be two shares"), ("random_affine: {{degrees: 0, scale: {}}}", ["[1, 2]"], ["[1]", "[1, 2, 3]"], "scale must be a range"),
    ("random_affine: {{degrees: 0, shear: {}}}", ["3", "[1, 2]", "[1, 2, 3, 4]"], ["[1]", "[1, 2, 3]"], "shear must be a number, or a list of 2 or 4"),
    ("center_crop: {}", ["1", "4", "[4, 5]", "[1, 5]"], ["0", "5", "[0, 1]", "[1, 0]", "[5, 1]", "[1, 6]"], "does not fit an image of [3, 4, 5]"),
    ("random_crop: {{size: {}, padding: 1}}", ["1", "6", "[6, 7]"], ["0", "7", "[0, 1]", "[1, 0]", "[7, 1]", "[1, 8]"], "does not fit an image of [3, 4, 5] with padding 1"),
    ("random_crop: {{size: 2, padding: {}}}", ["0"], ["-1"], "padding must not be negative"),
    ("grayscale: {}", ["1", "3"], ["0", "2"], "num_output_channels must be 1 or 3"), ("color_jitter: {{hue: {}}}", ["0", "0.5"], ["-0.1", "0.6"], "hue must lie in 0..0.5"),
    ("random_erasing: {{p: {}}}", ["0", "1"], ["-0.1", "1.1"], "p must lie in 0..1"), ("random_erasing: {{scale: {}}}", ["[0, 0]", "[0.1, 0.2]"], ["[0.1]", "[-0.1, 0.2]", "[0.3, 0.2]", "[0.1, 0.2, 0.3]"], "scale must be [low, high]"),
    ("random_erasing: {{ratio: {}}}", ["[1, 1]", "[0.1, 2]"], ["[1]", "[0, 1]", "[2, 1]", "[1, 2, 3]"], "ratio must be [low, high] of positive numbers"),
    ("normalize: {{mean: {}, std: 1}}", ["0", "[0]", "[1, 2, 3]"], ["[1, 2]", "[1, 2, 3, 4]"], "mean must be one number or one per channel, of 3"),
    ("normalize: {{mean: 0, std: {}}}", ["0.1", "[1]", "[1, 2, 3]"], ["[1, 2]", "[1, 2, 3, 4]"], "std must be one number or one per channel, of 3"), ("normalize: {{mean: 0, std: {}}}", [], ["0", "-1", "[1, 0, 1]"], "std must be above 0"),
]


@test
def transforms_end_at_their_borders(c):
    for item, good, bad, why in TRANSFORMS:
        for value in good + bad:
            transform = item.format(value)
            data = synthetic(IMAGE)[:-1] + f", transforms: [{{{transform}}}, global_avg_pool]}}"
            taken(c, "{linear: 3}", data, why if value in bad else None, transform)
    for transform in ("random_flip: {}", "random_rotation: 1", "random_affine: 1", "center_crop: 1", "random_crop: 1", "random_erasing: {}", "grayscale: 1", "color_jitter: {}"):
        for shape in ([6], [4, 5], [1, 3, 4, 5]):
            taken(c, "flatten, {linear: 3}", synthetic(shape)[:-1] + f", transforms: [{{{transform}}}]}}", "", f"{transform} of {shape}")
    taken(c, "{linear: 3}", synthetic(IMAGE)[:-1] + ", transforms: [{grayscale: 3}, grayscale, global_avg_pool]}", None, "three equal channels")
    for transform in ("grayscale: 1", "color_jitter: {}"):
        taken(c, "flatten, {linear: 3}", synthetic([1, 4, 5])[:-1] + f", transforms: [{{{transform}}}]}}", "it needs three channels, not 1", transform)


NOT_NEGATIVE = {"lr": "lr must not be negative", "weight_decay": "weight_decay must not be negative", "eps": "eps must not be negative"}
OPTIMIZERS = {"sgd": ["lr", "weight_decay", "momentum"], "adam": ["lr", "weight_decay", "eps", "betas"], "adamw": ["lr", "weight_decay", "eps", "betas"], "nadam": ["lr", "weight_decay", "eps", "betas", "momentum_decay"],
              "radam": ["lr", "weight_decay", "eps", "betas"], "adamax": ["lr", "weight_decay", "eps", "betas"], "rmsprop": ["lr", "weight_decay", "eps", "alpha", "momentum"],
              "adagrad": ["lr", "weight_decay", "eps", "lr_decay", "initial_accumulator_value"], "adadelta": ["lr", "weight_decay", "eps", "rho"], "lion": ["lr", "weight_decay", "betas"], "lamb": ["lr", "weight_decay", "eps", "betas"]}
SPEC = "data: {reader: synthetic, train: {rows: 16, x: [6], y: 3}}\nmodel: [{linear: 3}]\ntrain: {epochs: 10, batch_size: 8, loss: cross_entropy, optimizer: sgd}\n"


@test
def optimizers_end_at_their_borders(c):
    spec = c.write("spec.yaml", SPEC)
    for name, arguments in OPTIMIZERS.items():
        for argument in arguments:
            good, bad, why = ["0", "1"], ["-0.1"], f"{argument} must not be negative"
            if argument == "betas":
                good, bad, why = ["[0, 0]", "[0.99, 0.5]"], ["[-0.1, 0]", "[0, -0.1]", "[1, 0]", "[0, 1]", "[0]", "[0, 0, 0]"], "betas must be two numbers from 0 to below 1"
            if argument == "rho":
                bad, why = ["-0.1", "1.1"], "rho must lie in 0..1"
            for value in good + bad:
                judge(c, spec, why if value in bad else None, f"{name}, {argument}: {value}", "--set", f"train.optimizer={{type: {name}, {argument}: {value}}}")
    for settings, why in (("momentum: 0.1", None), ("momentum: 0", ""), ("momentum: 0.1, dampening: 0.1", "")):
        judge(c, spec, why if why is None else "nesterov needs momentum and no dampening", settings, "--set", f"train.optimizer={{type: sgd, nesterov: true, {settings}}}")


LOSSES = [
    ("cross_entropy", "label_smoothing", ["0", "1"], ["-0.1", "1.1"], "label_smoothing must lie in 0..1"), ("cross_entropy", "weight", ["[1, 2, 3]"], ["[1, 2]", "[1, 2, 3, 4]"], "weight must hold one number for each of the 3 classes"),
    ("nll", "weight", ["[1, 2, 3]"], ["[1, 2]", "[1, 2, 3, 4]"], "weight must hold one number for each of the 3 classes"), ("huber", "delta", ["0.1"], ["0", "-1"], "delta must be above 0"), ("smooth_l1", "beta", ["0"], ["-0.1"], "beta must not be negative"),
    ("focal", "gamma", ["0"], ["-0.1"], "gamma must not be negative"), ("focal", "alpha", ["0", "1", "-1", "none"], ["1.1"], "alpha must lie in 0..1"), ("dice", "smooth", ["0"], ["-0.1"], "smooth must not be negative"), ("dice", "dim", ["0", "[0]", "none"], ["1"], "dim"),
    ("triplet", "margin", ["0.1"], ["0", "-1"], "margin must be above 0"), ("cosine_embedding", "margin", ["-1", "1"], ["-1.1", "1.1"], "margin must lie in -1..1"),
]
CLASSES, NUMBERS = ("cross_entropy", "nll"), ("mse", "l1", "huber", "smooth_l1", "kl_div", "bce", "bce_with_logits", "focal", "dice", "hinge")


@test
def losses_end_at_their_borders(c):
    called = {"triplet": "triplet(output, 2 * output, y, {})", "cosine_embedding": "cosine_embedding(output, y, 1, {})"}
    for loss, argument, good, bad, why in LOSSES:
        for value in good + bad:
            setting = f"{{type: {loss}, {argument}: {value}}}" if loss not in called else called[loss].format(f"{argument}={value}")
            spec = c.write("spec.yaml", SPEC.replace("y: 3", "y: " + ("3" if loss in CLASSES else "[3]")))
            judge(c, spec, why if value in bad else None, setting, "--set", f"train.loss={setting}")


@test
def losses_take_their_targets_and_words(c):
    for loss in CLASSES + NUMBERS:
        for y in ("3", "[3]"):
            spec = c.write("spec.yaml", SPEC.replace("y: 3", f"y: {y}"))
            fits = (y == "3") == (loss in CLASSES)
            for reduction in ("mean", "sum", *(["batchmean"] if loss == "kl_div" else [])):
                judge(c, spec, None if fits else "", f"{loss} of y: {y}, reduction {reduction}", "--set", f"train.loss={{type: {loss}, reduction: {reduction}}}")
            judge(c, spec, "reduction", f"{loss} of y: {y}", "--set", f"train.loss={{type: {loss}, reduction: none}}")


SCHEDULES = [
    ("one_cycle, pct_start: {}", ["0", "0.99"], ["-0.1", "1"], "pct_start must lie in 0..1"), ("cosine, t_max: {}", ["1 step"], ["0 steps"], "it needs its own t_max"),
    ("linear, total_iters: {}", ["1 step"], ["0 steps"], "it needs its own total_iters"), ("polynomial, total_iters: {}", ["1 step"], ["0 steps"], "it needs its own total_iters"), ("wsd, decay: {}", ["20 steps", "100%", "1 step"], ["0 steps", "21 steps"], "'decay' must be longer than nothing and no longer than the training"),
    ("cyclic, max_lr: 1, mode: {}", ["triangular", "triangular2", "exp_range"], ["square"], "mode"), ("wsd, shape: {}", ["linear", "cosine", "sqrt"], ["round"], "shape"),
]


@test
def schedules_end_at_their_borders(c):
    spec = c.write("spec.yaml", SPEC)
    for text, good, bad, why in SCHEDULES:
        for value in good + bad:
            setting = f"{{type: {text.format(value)}}}"
            judge(c, spec, why if value in bad else None, setting, "--set", f"train.schedule={setting}")
    for name in ("one_cycle", "wsd, decay: 1 step", "cosine", "linear", "polynomial", "step, step_size: 1 step"):
        judge(c, spec, None, f"{name} for a step", "--set", "train.epochs=none", "--set", "train.steps=1", "--set", f"train.schedule={{type: {name}}}")
    spec = c.write("timed.yaml", SPEC.replace("epochs: 10", "time: 1 s"))
    for name, length in (("one_cycle", None), ("wsd", None), ("cosine", "t_max"), ("linear", "total_iters"), ("polynomial", "total_iters")):
        judge(c, spec, f"it needs its own {length}" if length else "it needs the length of the training", f"{name} without a length", "--set", f"train.schedule={name}")
        if length:
            judge(c, spec, None, f"{name} of its own length", "--set", f"train.schedule={{type: {name}, {length}: 5 steps}}")
