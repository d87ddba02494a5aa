"""What a training program draws: random transforms and dropout, seen row by row.

The gradient of sum(kept * x) by row r of a table `kept` is the sample r as the training program has it: one step of a rate that undoes
the mean over the batch leaves minus that in the checkpoint. A share that is drawn may be off by five standard errors."""
import colorsys
import json
import math
import struct
from array import array

from tests import need, tensors_of, test

ROWS = 1024


def write_rows(path, shape, values, rows):
    x, row = array("f", list(values) * rows).tobytes(), array("i", range(rows)).tobytes()
    header = json.dumps({"x": {"dtype": "F32", "shape": [rows, *shape], "data_offsets": [0, len(x)]},
                         "row": {"dtype": "I32", "shape": [rows], "data_offsets": [len(x), len(x) + len(row)]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + x + row)


def seen(c, shape, values, transforms="[]", layers=(), into=None, rows=ROWS, seed=0):
    """`rows` copies of a sample behind the transforms, of shape `into`, and the layers, each a flat list of numbers."""
    size = math.prod(into or shape)
    write_rows(c.path("rows.safetensors"), shape, values, rows)
    lines = ["data:", "  reader: safetensors", "  train: {path: rows.safetensors, x: x, row: row}", f"  transforms: {{x: {transforms}}}",
             "model:", f"  inputs: {{x: {list(into or shape)}, row: []}}", "  layers:", "    - {identity: {}, from: x}", *(f"    - {layer}" for layer in layers), "    - {flatten: {}, as: sample}",
             f"    - {{embedding: {{num_embeddings: {rows}, embedding_dim: {size}}}, from: row, as: kept, init: {{weight: 0}}}}", "    - expr: kept * sample",
             f"train: {{steps: 1, batch_size: {rows}, shuffle: false, loss: sum(output), optimizer: {{type: sgd, lr: {rows}}}}}"]
    c.run(c.write("spec.yaml", "\n".join(lines) + "\n"), "--quiet", "--seed", str(seed))
    found = array("f", tensors_of(c.checkpoint())["kept.weight"])
    need(len(found) == rows * size, f"{len(found)} numbers instead of {rows} rows of {size}")
    return [[-v for v in found[r * size:(r + 1) * size]] for r in range(rows)]


def need_share(found, of, expected, what):
    need(abs(found / of - expected) <= 5 * math.sqrt(expected * (1 - expected) / of), f"{what}: {found} of {of}, a share of {expected} is drawn")


def need_uniform(values, low, high, what):
    """Draws from [low, high], that reach both ends and have the mean of it."""
    width = high - low
    need(low - 1e-4 * width <= min(values) and max(values) <= high + 1e-4 * width, f"{what}: {min(values)} to {max(values)} is not within {low}..{high}")
    need(min(values) < low + 0.02 * width and max(values) > high - 0.02 * width, f"{what}: {min(values)} to {max(values)} does not fill {low}..{high}")
    need(abs(sum(values) / len(values) - (low + high) / 2) < 5 * width / math.sqrt(12 * len(values)), f"{what}: mean {sum(values) / len(values)} of {low}..{high}")


def near(a, b, tolerance=1e-4):
    return all(abs(x - y) <= tolerance for x, y in zip(a, b, strict=True))


# Dropout --------------------------------------------------------------------------------------------------------------------
@test
def dropout_zeroes_its_share(c):
    for item, p in (("dropout: 0.3", 0.3), ("dropout", 0.5)):
        rows = seen(c, [40], [1.0] * 40, layers=[item], rows=256)
        kept = [v for row in rows for v in row if v]
        need_share(len(kept), 40 * 256, 1 - p, item)
        need(near(kept, [1 / (1 - p)] * len(kept), 1e-6), f"{item}: what is kept becomes {kept[0]}")
        need(len({tuple(row) for row in rows}) == 256, f"{item}: two samples have one mask")


@test
def dropout2d_zeroes_channels(c):
    for item, p in (("dropout2d: 0.2", 0.2), ("dropout2d", 0.5)):
        rows = seen(c, [20, 2, 3], [1.0] * 120, layers=[item], rows=256)
        channels = [row[k:k + 6] for row in rows for k in range(0, 120, 6)]
        need(all(near(ch, [ch[0]] * 6, 0) for ch in channels), f"{item}: a channel is dropped in part")
        kept = [ch[0] for ch in channels if ch[0]]
        need_share(len(kept), len(channels), 1 - p, item)
        need(near(kept, [1 / (1 - p)] * len(kept), 1e-6), f"{item}: what is kept becomes {kept[0]}")
        need(len({tuple(row) for row in rows}) > 200, f"{item}: samples share their masks")


@test
def stochastic_depth_drops_samples(c):
    rows = seen(c, [2, 3], [1.0] * 6, layers=["stochastic_depth: {p: 0.3, mode: row}"])
    need(all(near(row, [row[0]] * 6, 0) and (row[0] == 0 or abs(row[0] - 1 / 0.7) < 1e-6) for row in rows), "a sample is dropped in part")
    need_share(sum(row[0] != 0 for row in rows), ROWS, 0.7, "stochastic_depth")
    drawn = [seen(c, [2], [1.0] * 2, layers=["stochastic_depth: {p: 0.5, mode: batch}"], rows=4, seed=seed) for seed in range(24)]
    need(all(batch == [batch[0]] * 4 for batch in drawn), "mode batch drops single samples")
    need(2 < sum(batch[0] == [2, 2] for batch in drawn) < 22, "mode batch drops always or never")


# Mirrors, parts, holes --------------------------------------------------------------------------------------------------------
@test
def flips_have_their_probabilities(c):
    image = [float(v) for v in range(24)]
    pixels = lambda f: tuple(image[k * 12 + f(i, j)] for k in range(2) for i in range(3) for j in range(4))
    kinds = {pixels(lambda i, j: i * 4 + j): (0, 0), pixels(lambda i, j: i * 4 + 3 - j): (1, 0), pixels(lambda i, j: (2 - i) * 4 + j): (0, 1), pixels(lambda i, j: (2 - i) * 4 + 3 - j): (1, 1)}
    for item, horizontal, vertical in (("random_flip: {horizontal: 0.3, vertical: 0.6}", 0.3, 0.6), ("random_flip: {}", 0.5, 0), ("random_flip: {horizontal: 1, vertical: 0}", 1, 0)):
        rows = seen(c, [2, 3, 4], image, f"[{{{item}}}]")
        need(all(tuple(row) in kinds for row in rows), f"{item}: no mirror image")
        found = [kinds[tuple(row)] for row in rows]
        for n, p, what in ((sum(h for h, _ in found), horizontal, "horizontal"), (sum(v for _, v in found), vertical, "vertical"), (sum(h * v for h, v in found), horizontal * vertical, "both")):
            need_share(n, ROWS, p, f"{item}: {what}")


@test
def crops_begin_anywhere(c):
    image = [float(v) for v in range(1, 31)]
    for item, high, wide, pad in (("{size: [3, 4], padding: 1}", 3, 4, 1), ("4", 4, 4, 0), ("{size: [5, 6]}", 5, 6, 0)):
        pixel = lambda i, j: image[(i - pad) * 6 + j - pad] if pad <= i < 5 + pad and pad <= j < 6 + pad else 0.0
        kinds = {tuple(pixel(top + i, left + j) for i in range(high) for j in range(wide)): (top, left)
                 for top in range(5 + 2 * pad - high + 1) for left in range(6 + 2 * pad - wide + 1)}
        rows = seen(c, [1, 5, 6], image, f"[{{random_crop: {item}}}, {{center_crop: [{high}, {wide}], on: eval}}]", into=[1, high, wide])
        need(all(tuple(row) in kinds for row in rows), f"random_crop {item}: no part of the image")
        for place in kinds:
            need_share(sum(tuple(row) == place for row in rows), ROWS, 1 / len(kinds), f"random_crop {item}: part at {kinds[place]}")


@test
def holes_have_their_area(c):
    high, wide = 30, 20
    for item, p, scale, ratio, value in (("{p: 0.7, scale: [0.1, 0.3], ratio: [0.4, 0.8], value: 7}", 0.7, (0.1, 0.3), (0.4, 0.8), 7), ("{}", 0.5, (0.02, 0.33), (0.3, 3.3), 0)):
        rows = seen(c, [2, high, wide], [1.0] * (2 * high * wide), f"[{{random_erasing: {item}}}]")
        holes, places = [], []
        for row in rows:
            gone = [(k // wide, k % wide) for k in range(high * wide) if row[k] != 1]
            need(row[:high * wide] == row[high * wide:], f"random_erasing {item}: channels differ")
            if not gone:
                continue
            (top, left), (bottom, right) = gone[0], gone[-1]
            h, w = bottom - top + 1, right - left + 1
            need(len(gone) == h * w and set(row) <= {1.0, float(value)}, f"random_erasing {item}: no rectangle of {value}")
            holes.append((h, w))
            places.append((top / (high - h) if h < high else 0.5, left / (wide - w) if w < wide else 0.5))
        need_share(len(holes), ROWS, p, f"random_erasing {item}")
        for h, w in holes:   # sides are rounded, and no longer than the image's
            need((h - 0.5) * (w - 0.5) <= scale[1] * high * wide and ((h + 0.5) * (w + 0.5) >= scale[0] * high * wide or w == wide), f"random_erasing {item}: a hole of {h} by {w}")
            need((h - 0.5) / (w + 0.5) <= ratio[1] and ((h + 0.5) / (w - 0.5) >= ratio[0] or h == high), f"random_erasing {item}: a hole of {h} by {w}")
        shares = [h * w / (high * wide) for h, w in holes]
        need(abs(sum(shares) / len(shares) - sum(scale) / 2) < 0.1 * sum(scale), f"random_erasing {item}: holes take {sum(shares) / len(shares)} in the mean")
        logs = [math.log(h / w) for h, w in holes if w < wide]
        need(min(logs) < math.log(ratio[0]) + 0.3 and max(logs) > math.log(ratio[1]) - 0.3, f"random_erasing {item}: ratios {math.exp(min(logs))} to {math.exp(max(logs))}")
        for axis in (0, 1):
            need(abs(sum(p[axis] for p in places) / len(places) - 0.5) < 0.1 and min(p[axis] for p in places) == 0 and max(p[axis] for p in places) == 1, f"random_erasing {item}: places of axis {axis}")


# Turns, scales and shears: an image whose pixels say where they stand ---------------------------------------------------------
SIDE, MIDDLE = 21, 10


def matrices(c, item):
    """Of each sample the matrix [[a, b], [c, d]] from the image to the result and the translation, in pixels from the centre."""
    ramps = [float(j - MIDDLE) for i in range(SIDE) for j in range(SIDE)] + [float(i - MIDDLE) for i in range(SIDE) for j in range(SIDE)]
    out = []
    for row in seen(c, [2, SIDE, SIDE], ramps, f"[{{{item}}}]"):
        source = lambda x, y: [row[k * SIDE * SIDE + (MIDDLE + y) * SIDE + MIDDLE + x] for k in range(2)]
        o, right, below = source(0, 0), source(1, 0), source(0, 1)
        a, b, cc, d = right[0] - o[0], below[0] - o[0], right[1] - o[1], below[1] - o[1]
        det = a * d - b * cc
        forward = [[d / det, -b / det], [-cc / det, a / det]]
        out.append((forward, [-(forward[i][0] * o[0] + forward[i][1] * o[1]) for i in (0, 1)]))
    return out


@test
def rotations_turn_counter_clockwise(c):
    """And affine maps clockwise, as in torchvision."""
    image = [float(v) for v in range(1, 10)]
    row = seen(c, [1, 3, 3], image, "[{random_rotation: {degrees: [90, 90]}}]", rows=1)[0]
    need(near(row, [3, 6, 9, 2, 5, 8, 1, 4, 7]), f"a quarter turn gives {row}")
    for item, low, high in (("random_rotation: {degrees: 40, mode: bilinear}", -40, 40), ("random_rotation: {degrees: [20, 50], mode: bilinear}", 20, 50),
                            ("random_affine: {degrees: 40, mode: bilinear}", -40, 40), ("random_affine: {degrees: [20, 50], mode: bilinear}", -50, -20)):
        angles = []
        for (first, second), shift in matrices(c, item):
            need(near([*first, *shift], [second[1], -second[0], 0, 0]) and abs(math.hypot(*first) - 1) < 1e-4, f"{item}: no turn about the centre")
            angles.append(math.degrees(math.atan2(first[1], first[0])))   # y grows downwards
        need_uniform(angles, low, high, item)


@test
def translations_are_whole_pixels(c):
    found = matrices(c, "random_affine: {degrees: 0, translate: [0.1, 0.3], mode: bilinear}")
    need(all(near(m[0] + m[1], [1, 0, 0, 1]) for m, _ in found), "the image does not keep its size")
    for axis, most in ((0, 2), (1, 6)):                                    # of 2.1 and 6.3 pixels
        shifts = [t[axis] for _, t in found]
        need(near(shifts, [round(v) for v in shifts]), f"axis {axis} moves by parts of pixels")
        need({round(v) for v in shifts} == set(range(-most, most + 1)), f"axis {axis} moves by {sorted({round(v) for v in shifts})}")
        need(abs(sum(shifts) / ROWS) < 5 * most / math.sqrt(3 * ROWS), f"axis {axis} moves by {sum(shifts) / ROWS} in the mean")


@test
def translations_are_shares_of_their_axis(c):
    rows = seen(c, [2, 4, 40], [float(j) for i in range(4) for j in range(40)] + [float(i) for i in range(4) for j in range(40)], "[{random_affine: {degrees: 0, translate: [0.1, 0.25]}}]", rows=256)
    found = [{20 - row[2 * 40 + 20] for row in rows}, {2 - row[4 * 40 + 2 * 40 + 20] for row in rows}]
    need(found == [set(range(-4, 5)), {-1, 0, 1}], f"the image moves by {found}")


@test
def translations_come_behind_turns(c):
    for _, t in matrices(c, "random_affine: {degrees: [30, 30], translate: [0.1, 0.2], scale: [1.25, 1.25], mode: bilinear}"):
        need(near(t, [round(v) for v in t], 1e-3) and abs(t[0]) < 2.1 and abs(t[1]) < 4.1, f"a turned image moves by {t}")


@test
def scales_and_shears_fill_their_ranges(c):
    found = matrices(c, "random_affine: {degrees: 0, scale: [0.8, 1.25], mode: bilinear}")
    need(all(near([*m[0], *m[1], *t], [m[0][0], 0, 0, m[0][0], 0, 0]) for m, t in found), "a scale does more")
    need_uniform([m[0][0] for m, _ in found], 0.8, 1.25, "scale")
    for shear, x, y in (("20", (-20, 20), None), ("[5, 15]", (5, 15), None), ("[5, 15, -30, -20]", (5, 15), (-30, -20))):
        found = matrices(c, f"random_affine: {{degrees: 0, shear: {shear}, mode: bilinear}}")
        angles = [(-math.degrees(math.atan(m[0][1])), -math.degrees(math.atan(m[1][0]))) for m, _ in found]
        need_uniform([a for a, _ in angles], *x, f"shear {shear} along x")
        if y:
            need_uniform([b for _, b in angles], *y, f"shear {shear} along y")
        need(y or near([b for _, b in angles], [0] * ROWS), f"shear {shear} along y")
        need(all(abs(m[1][1] - 1 - m[0][1] * m[1][0]) < 1e-4 and abs(m[0][0] - 1) < 1e-4 for m, _ in found), f"shear {shear}")


# Colours ----------------------------------------------------------------------------------------------------------------------
@test
def colours_are_drawn_from_their_ranges(c):
    image = [[0.4, 0.1, 0.3], [0.2, 0.5, 0.3], [0.25, 0.35, 0.45]]          # pixels of a column of three
    grey = lambda p: 0.2989 * p[0] + 0.587 * p[1] + 0.114 * p[2]
    flat = [p[k] for k in range(3) for p in image]
    mean = sum(map(grey, image)) / 3
    mixed = {"brightness": lambda p, k: 0.0, "contrast": lambda p, k: mean, "saturation": lambda p, k: grey(p)}
    for name, other in mixed.items():
        for value, low, high in (("0.4", 0.6, 1.4), ("[0.5, 0.8]", 0.5, 0.8)):
            rows = seen(c, [3, 3, 1], flat, f"[{{color_jitter: {{{name}: {value}}}}}]")
            rest = [other(p, k) for k in range(3) for p in image]
            factors = [(row[0] - rest[0]) / (flat[0] - rest[0]) for row in rows]
            need(all(near(row, [f * v + (1 - f) * r for v, r in zip(flat, rest)]) for row, f in zip(rows, factors)), f"{name}: {value} is no factor")
            need_uniform(factors, low, high, f"{name}: {value}")
    shifts = []
    for row in seen(c, [3, 3, 1], flat, "[{color_jitter: {hue: 0.2}}]"):
        turn = None
        for i, p in enumerate(image):
            h, s, v = colorsys.rgb_to_hsv(*p)
            h2, s2, v2 = colorsys.rgb_to_hsv(*(row[k * 3 + i] for k in range(3)))
            need(near([s, v], [s2, v2]), f"the hue changes {p} to {row[i::3]}")
            now = (h2 - h + 0.5) % 1 - 0.5
            need(turn is None or abs(now - turn) < 1e-4, "pixels turn by different hues")
            turn = now
        shifts.append(turn)
    need_uniform(shifts, -0.2, 0.2, "hue")
    # Values end at the range, a factor below 0 does not exist.
    rows = seen(c, [3, 1, 1], [200.0, 100.0, 50.0], "[{color_jitter: {brightness: [2, 2], range: 255}}]", rows=1)
    need(near(rows[0], [255, 200, 100]), f"brightness beyond the range: {rows[0]}")
    need(min(v for row in seen(c, [3, 1, 1], [0.2, 0.1, 0.1], "[{color_jitter: {brightness: 3}}]") for v in row) >= 0, "brightness below 0")
