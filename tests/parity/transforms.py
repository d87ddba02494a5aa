"""Parity cases of transforms that draw nothing: torchvision's on tensors, and fitted statistics."""
import math

import torch
import torch.nn as nn
import torchvision.transforms.functional as T

from cases import Net, case, linear, normal


def pixels(*shape):
    return lambda: torch.rand(shape).mul(1000).round().div(1000)


def transform_case(name, transforms, f, x, inputs, **rest):
    case("transform_" + name, "- flatten\n- linear: 3", lambda: Net(f, nn.Flatten(), linear(inputs, 3)), x=x, transforms=transforms, predict=True, **rest)


class OnlyInTraining(nn.Module):
    def forward(self, x):
        return 2 * x if self.training else x


ROWS = (torch.arange(60).reshape(12, 5).float() * 7 % 11 - 3) * torch.tensor([1, 0.5, 2, 4, 0])   # the last feature is constant


def standardized(x):
    rows = ROWS.to(x.dtype)
    deviation = rows.std(0, unbiased=False)
    return (x - rows.mean(0)) / torch.where(deviation > 0, deviation, 1)


transform_case("normalize", "[{normalize: {mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4]}}]", lambda x: T.normalize(x, [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]), pixels(12, 3, 4, 5), 60)
transform_case("normalize_number", "[{normalize: {mean: 0.5, std: 0.25}}]", lambda x: (x - 0.5) / 0.25, pixels(12, 2, 3), 6)
transform_case("scale", "[{scale: 1/3}]", lambda x: x / 3, normal(12, 5), 5)
transform_case("grayscale", "[grayscale]", lambda x: T.rgb_to_grayscale(x), pixels(12, 3, 4, 5), 20)
transform_case("grayscale_three", "[{grayscale: 3}]", lambda x: T.rgb_to_grayscale(x, 3), pixels(12, 3, 4, 5), 60)
transform_case("center_crop", "[{center_crop: [3, 4]}]", lambda x: T.center_crop(x, [3, 4]), pixels(12, 2, 6, 7), 24)
transform_case("center_crop_even", "[{center_crop: 2}]", lambda x: T.center_crop(x, 2), pixels(12, 1, 5, 4), 4)
transform_case("center_crop_wide", "[{center_crop: [2, 5]}]", lambda x: T.center_crop(x, [2, 5]), pixels(12, 1, 6, 7), 10)
transform_case("in_order", "[{scale: 2}, {normalize: {mean: 0.5, std: 0.25}}, flatten]", lambda x: ((2 * x - 0.5) / 0.25).flatten(1), pixels(12, 2, 3), 6)
transform_case("on_train", "[{scale: 2, on: train}]", ("on", OnlyInTraining()), normal(12, 5), 5)
transform_case("standardize", "[standardize]", standardized, lambda: ROWS, 5)


# What is drawn from a range of one number: in training only, as the images of `predict` show.
def drawn_case(name, transform, f, shape=(2, 9, 7)):
    class Drawn(nn.Module):
        def forward(self, x):
            return f(x) if self.training else x

    transform_case(name, f"[{{{transform}}}]", ("drawn", Drawn()), pixels(12, *shape), math.prod(shape))


BILINEAR = T.InterpolationMode.BILINEAR
drawn_case("rotation", "random_rotation: {degrees: [25, 25]}", lambda x: T.rotate(x, 25.0))
drawn_case("rotation_bilinear", "random_rotation: {degrees: [-40, -40], mode: bilinear}", lambda x: T.rotate(x, -40.0, BILINEAR))
drawn_case("affine", "random_affine: {degrees: [20, 20], scale: [1.3, 1.3], shear: [12, 12, -5, -5]}", lambda x: T.affine(x, 20.0, [0, 0], 1.3, [12.0, -5.0]))
drawn_case("affine_bilinear", "random_affine: {degrees: [-35, -35], scale: [0.7, 0.7], shear: [8, 8], mode: bilinear}", lambda x: T.affine(x, -35.0, [0, 0], 0.7, [8.0, 0.0], BILINEAR))
drawn_case("flips", "random_flip: {horizontal: 1, vertical: 1}", lambda x: x.flip(2, 3))
drawn_case("jitter", "color_jitter: {brightness: [1.6, 1.6], contrast: [0.7, 0.7], saturation: [1.5, 1.5]}",
           lambda x: T.adjust_saturation(T.adjust_contrast(T.adjust_brightness(x, 1.6), 0.7), 1.5), (3, 5, 4))
drawn_case("jitter_beyond", "color_jitter: {contrast: [2.5, 2.5], saturation: [3, 3]}", lambda x: T.adjust_saturation(T.adjust_contrast(x, 2.5), 3.0), (3, 5, 4))
