"""Parity cases of images: convolutions, pools, norms over channels, and a small residual network."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from cases import Net, Residual, case, index, linear, normal


def conv(name, *args, d=2, **options):
    return (name, getattr(nn, f"Conv{d}d")(*args, **options))


def flat(x):
    return x.flatten(1)


def image_case(name, layer, make, shape, target, **rest):
    """A layer whose output is compared with targets of its shape."""
    case(name, layer, make, x=normal(6, *shape), y=normal(6, *target), batch=rest.pop("batch", 3), steps=4, **rest)


# Convolutions ---------------------------------------------------------------------------------------------------------
image_case("conv2d", "- conv2d: {out: 3, kernel: 3}", lambda: Net(conv("conv2d1", 2, 3, 3)), (2, 6, 5), (3, 4, 3), predict=True)
image_case("conv2d_same", "- conv2d: {out: 3, kernel: [3, 4], padding: same}", lambda: Net(conv("conv2d1", 2, 3, (3, 4), padding="same")), (2, 6, 5), (3, 6, 5))
image_case("conv2d_strided", "- conv2d: {out: 5, kernel: 3, stride: [2, 3], padding: [1, 2]}",
           lambda: Net(conv("conv2d1", 3, 5, 3, stride=(2, 3), padding=(1, 2))), (3, 7, 8), (5, 4, 4))
image_case("conv2d_before_after", "- conv2d: {out: 2, kernel: 3, stride: 2, padding: [[0, 2], [1, 0]]}",
           lambda: Net(lambda x: F.pad(x, (1, 0, 0, 2)), conv("conv2d1", 3, 2, 3, stride=2)), (3, 7, 8), (2, 4, 4))
image_case("conv2d_dilated", "- conv2d: {out: 4, kernel: [2, 3], dilation: [3, 2], padding: 2}",
           lambda: Net(conv("conv2d1", 2, 4, (2, 3), dilation=(3, 2), padding=2)), (2, 7, 6), (4, 8, 6))
image_case("conv2d_stride_and_dilation", "- conv2d: {out: 2, kernel: 3, stride: 4, dilation: 2, padding: 3}",
           lambda: Net(conv("conv2d1", 2, 2, 3, stride=4, dilation=2, padding=3)), (2, 9, 11), (2, 3, 4))
image_case("conv2d_groups", "- conv2d: {out: 6, kernel: 3, groups: 2, bias: false}", lambda: Net(conv("conv2d1", 4, 6, 3, groups=2, bias=False)), (4, 5, 5), (6, 3, 3))
image_case("conv2d_depthwise", "- conv2d: {out: 4, kernel: 3, groups: 4, padding: 1}\n- conv2d: {out: 3, kernel: 1}",
           lambda: Net(conv("conv2d1", 4, 4, 3, groups=4, padding=1), conv("conv2d2", 4, 3, 1)), (4, 5, 5), (3, 5, 5))
image_case("conv2d_deep", "- conv2d: {out: 9, kernel: 3, padding: 1}\n- tanh\n- conv2d: {out: 20, kernel: 3, stride: 2}\n- tanh\n- conv2d: {out: 2, kernel: 2}",
           lambda: Net(conv("conv2d1", 3, 9, 3, padding=1), torch.tanh, conv("conv2d2", 9, 20, 3, stride=2), torch.tanh, conv("conv2d3", 20, 2, 2)),
           (3, 8, 9), (2, 2, 3), batch=5)
image_case("conv1d", "- conv1d: {out: 4, kernel: 5, stride: 2, padding: 2, dilation: 2}\n- tanh\n- conv1d: {out: 2, kernel: 3, groups: 2}",
           lambda: Net(conv("conv1d1", 3, 4, 5, d=1, stride=2, padding=2, dilation=2), torch.tanh, conv("conv1d2", 4, 2, 3, d=1, groups=2)), (3, 20), (2, 6))
image_case("conv3d", "- conv3d: {out: 3, kernel: [2, 3, 2], stride: [1, 2, 1], padding: [1, 1, 0]}",
           lambda: Net(conv("conv3d1", 2, 3, (2, 3, 2), d=3, stride=(1, 2, 1), padding=(1, 1, 0))), (2, 4, 5, 3), (3, 5, 3, 2))
# What stands in the padding.
image_case("conv2d_reflect", "- conv2d: {out: 3, kernel: 3, padding: [2, 1], padding_mode: reflect}",
           lambda: Net(conv("conv2d1", 2, 3, 3, padding=(2, 1), padding_mode="reflect")), (2, 6, 5), (3, 8, 5), predict=True)
image_case("conv2d_replicate", "- conv2d: {out: 4, kernel: 3, stride: 2, dilation: 2, padding: 3, padding_mode: replicate, groups: 2}",
           lambda: Net(conv("conv2d1", 2, 4, 3, stride=2, dilation=2, padding=3, padding_mode="replicate", groups=2)), (2, 6, 5), (4, 4, 4))
image_case("conv2d_circular_same", "- conv2d: {out: 3, kernel: [3, 4], padding: same, padding_mode: circular}",
           lambda: Net(conv("conv2d1", 2, 3, (3, 4), padding="same", padding_mode="circular")), (2, 6, 5), (3, 6, 5))
image_case("conv1d_reflect", "- conv1d: {out: 3, kernel: 4, padding: 2, padding_mode: reflect}", lambda: Net(conv("conv1d1", 2, 3, 4, d=1, padding=2, padding_mode="reflect")), (2, 9), (3, 10))
image_case("conv3d_replicate", "- conv3d: {out: 2, kernel: [2, 3, 3], padding: [1, 2, 0], padding_mode: replicate}",
           lambda: Net(conv("conv3d1", 2, 2, (2, 3, 3), d=3, padding=(1, 2, 0), padding_mode="replicate")), (2, 3, 4, 3), (2, 4, 6, 1))
image_case("conv_transpose3d", "- conv_transpose3d: {out: 3, kernel: [2, 3, 2], stride: [2, 1, 2], padding: [0, 1, 1], output_padding: [1, 0, 1]}",
           lambda: Net(("conv_transpose3d1", nn.ConvTranspose3d(2, 3, (2, 3, 2), stride=(2, 1, 2), padding=(0, 1, 1), output_padding=(1, 0, 1)))), (2, 2, 3, 3), (3, 5, 3, 5))
image_case("conv_transpose2d", "- conv_transpose2d: {out: 3, kernel: 4, stride: 2, padding: 1}",
           lambda: Net(("conv_transpose2d1", nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1))), (2, 3, 4), (3, 6, 8), predict=True)
image_case("conv_transpose2d_all", "- conv_transpose2d: {out: 6, kernel: [3, 2], stride: [3, 2], padding: [2, 0], output_padding: [2, 1], groups: 2, dilation: [2, 1], bias: false}",
           lambda: Net(("conv_transpose2d1", nn.ConvTranspose2d(4, 6, (3, 2), stride=(3, 2), padding=(2, 0), output_padding=(2, 1), groups=2, dilation=(2, 1), bias=False))),
           (4, 3, 4), (6, 9, 9))
image_case("conv_transpose1d", "- conv_transpose1d: {out: 2, kernel: 3, stride: 2, output_padding: 1}",
           lambda: Net(("conv_transpose1d1", nn.ConvTranspose1d(3, 2, 3, stride=2, output_padding=1))), (3, 5), (2, 12))

# Pools ----------------------------------------------------------------------------------------------------------------
BEFORE = "- conv2d: {out: 4, kernel: 3, padding: 1}\n"


def behind(module):
    return lambda: Net(conv("conv2d1", 2, 4, 3, padding=1), module)


image_case("max_pool2d", BEFORE + "- max_pool2d: 2", behind(nn.MaxPool2d(2)), (2, 6, 7), (4, 3, 3))
image_case("max_pool2d_padded", BEFORE + "- max_pool2d: {kernel: 3, stride: 2, padding: 1}", behind(nn.MaxPool2d(3, 2, 1)), (2, 7, 7), (4, 4, 4))
image_case("max_pool2d_ceil", BEFORE + "- max_pool2d: {kernel: [3, 2], stride: [2, 3], dilation: [1, 2], ceil_mode: true}",
           behind(nn.MaxPool2d((3, 2), (2, 3), dilation=(1, 2), ceil_mode=True)), (2, 8, 8), (4, 4, 3))
# Equal elements: the gradient goes to the first.
image_case("max_pool2d_ties", "- {conv2d: {out: 4, kernel: 3, padding: 1}, as: c}\n- expr: round(2 * c) + 0.25 * (c - stop_gradient(c))\n- max_pool2d: {kernel: 2, stride: 1}",
           lambda: Net(conv("c", 2, 4, 3, padding=1), lambda x: torch.round(2 * x) + 0.25 * (x - x.detach()), nn.MaxPool2d(2, 1)), (2, 6, 6), (4, 5, 5))
image_case("max_pool1d", "- conv1d: {out: 3, kernel: 3}\n- max_pool1d: {kernel: 3, stride: 2, padding: 1}",
           lambda: Net(conv("conv1d1", 2, 3, 3, d=1), nn.MaxPool1d(3, 2, 1)), (2, 12), (3, 5))
image_case("avg_pool2d", BEFORE + "- avg_pool2d: 2", behind(nn.AvgPool2d(2)), (2, 6, 7), (4, 3, 3))
image_case("avg_pool2d_padded", BEFORE + "- avg_pool2d: {kernel: 3, stride: 2, padding: 1}", behind(nn.AvgPool2d(3, 2, 1)), (2, 6, 7), (4, 3, 4))
image_case("avg_pool2d_without_pad", BEFORE + "- avg_pool2d: {kernel: [3, 2], stride: 2, padding: 1, count_include_pad: false}",
           behind(nn.AvgPool2d((3, 2), 2, 1, count_include_pad=False)), (2, 6, 7), (4, 3, 4))
image_case("avg_pool2d_ceil", BEFORE + "- avg_pool2d: {kernel: 3, stride: 2, padding: 1, ceil_mode: true}", behind(nn.AvgPool2d(3, 2, 1, ceil_mode=True)), (2, 6, 8), (4, 4, 5))
image_case("avg_pool1d", "- conv1d: {out: 3, kernel: 3}\n- avg_pool1d: {kernel: 4, stride: 3, padding: 2, ceil_mode: true}",
           lambda: Net(conv("conv1d1", 2, 3, 3, d=1), nn.AvgPool1d(4, 3, 2, ceil_mode=True)), (2, 12), (3, 4))
image_case("adaptive_avg_pool2d", BEFORE + "- adaptive_avg_pool2d: [3, 2]", behind(nn.AdaptiveAvgPool2d((3, 2))), (2, 6, 6), (4, 3, 2))
image_case("adaptive_avg_pool2d_uneven", BEFORE + "- adaptive_avg_pool2d: [3, 5]", behind(nn.AdaptiveAvgPool2d((3, 5))), (2, 7, 6), (4, 3, 5))
VOLUME = "- conv3d: {out: 2, kernel: 3, padding: 1}\n"


def behind_volume(module):
    return lambda: Net(conv("conv3d1", 2, 2, 3, d=3, padding=1), module)


image_case("max_pool3d", VOLUME + "- max_pool3d: {kernel: [2, 3, 2], stride: [1, 2, 2], padding: [0, 1, 1], ceil_mode: true}",
           behind_volume(nn.MaxPool3d((2, 3, 2), (1, 2, 2), (0, 1, 1), ceil_mode=True)), (2, 3, 4, 5), (2, 2, 3, 3))
image_case("avg_pool3d", VOLUME + "- avg_pool3d: {kernel: 3, stride: 2, padding: 1, ceil_mode: true}",
           behind_volume(nn.AvgPool3d(3, 2, 1, ceil_mode=True)), (2, 3, 4, 5), (2, 2, 3, 3))
image_case("adaptive_max_pool2d", BEFORE + "- adaptive_max_pool2d: [3, 2]", behind(nn.AdaptiveMaxPool2d((3, 2))), (2, 6, 6), (4, 3, 2))
image_case("adaptive_max_pool2d_uneven", BEFORE + "- adaptive_max_pool2d: [3, 5]", behind(nn.AdaptiveMaxPool2d((3, 5))), (2, 7, 6), (4, 3, 5))
# Equal elements: the first of a part takes the gradient.
image_case("adaptive_max_pool2d_ties", "- {conv2d: {out: 4, kernel: 3, padding: 1}, as: c}\n- expr: round(c) + 0.25 * (c - stop_gradient(c))\n- adaptive_max_pool2d: [2, 3]",
           lambda: Net(conv("c", 2, 4, 3, padding=1), lambda x: torch.round(x) + 0.25 * (x - x.detach()), nn.AdaptiveMaxPool2d((2, 3))), (2, 5, 7), (4, 2, 3))
image_case("adaptive_pools1d", "- conv1d: {out: 4, kernel: 3}\n- adaptive_max_pool1d: 7\n- adaptive_avg_pool1d: 3",
           lambda: Net(conv("conv1d1", 2, 4, 3, d=1), nn.AdaptiveMaxPool1d(7), nn.AdaptiveAvgPool1d(3)), (2, 12), (4, 3))
image_case("global_max_pool", BEFORE + "- global_max_pool", lambda: Net(conv("conv2d1", 2, 4, 3, padding=1), lambda x: x.amax((2, 3))), (2, 5, 6), (4,))
image_case("global_avg_pool", BEFORE + "- global_avg_pool", lambda: Net(conv("conv2d1", 2, 4, 3, padding=1), lambda x: x.mean((2, 3))), (2, 5, 6), (4,))

# Other layers of images -----------------------------------------------------------------------------------------------
image_case("upsample_nearest", BEFORE + "- upsample: 2", behind(nn.Upsample(scale_factor=2)), (2, 3, 4), (4, 6, 8))
image_case("upsample_bilinear", BEFORE + "- upsample: {scale: [3, 2], mode: bilinear}", behind(nn.Upsample(scale_factor=(3, 2), mode="bilinear")), (2, 3, 4), (4, 9, 8))
image_case("upsample_line", "- conv1d: {out: 3, kernel: 3}\n- upsample: 3", lambda: Net(conv("conv1d1", 2, 3, 3, d=1), nn.Upsample(scale_factor=3)), (2, 6), (3, 12))
for name, layer, shape, target, options in (
    ("upsample_corners", "{scale: [3, 2], mode: bilinear, align_corners: true}", (2, 3, 4), (4, 9, 8), dict(scale_factor=(3, 2), mode="bilinear", align_corners=True)),
    ("upsample_size", "{size: [7, 3]}", (2, 3, 4), (4, 7, 3), dict(size=(7, 3))),
    ("upsample_size_bilinear", "{size: [7, 3], mode: bilinear}", (2, 3, 4), (4, 7, 3), dict(size=(7, 3), mode="bilinear")),
    ("upsample_size_corners", "{size: 5, mode: bilinear, align_corners: true}", (2, 3, 4), (4, 5, 5), dict(size=5, mode="bilinear", align_corners=True)),
    ("upsample_corners_of_one", "{scale: 2, mode: bilinear, align_corners: true}", (2, 1, 4), (4, 2, 8), dict(scale_factor=2, mode="bilinear", align_corners=True)),
):
    image_case(name, BEFORE + "- upsample: " + layer, behind(nn.Upsample(**options)), shape, target)
image_case("upsample_linear", "- conv1d: {out: 3, kernel: 3}\n- upsample: {scale: 3, mode: linear}",
           lambda: Net(conv("conv1d1", 2, 3, 3, d=1), nn.Upsample(scale_factor=3, mode="linear")), (2, 6), (3, 12))
image_case("upsample_volume", VOLUME + "- upsample: [2, 1, 3]", behind_volume(nn.Upsample(scale_factor=(2, 1, 3))), (2, 2, 3, 2), (2, 4, 3, 6))
image_case("upsample_trilinear", VOLUME + "- upsample: {scale: [2, 3, 2], mode: trilinear}", behind_volume(nn.Upsample(scale_factor=(2, 3, 2), mode="trilinear")), (2, 2, 3, 2), (2, 4, 9, 4))
image_case("pixel_unshuffle", BEFORE + "- pixel_unshuffle: 2", behind(nn.PixelUnshuffle(2)), (2, 4, 6), (16, 2, 3))
image_case("channel_shuffle", BEFORE + "- channel_shuffle: 2\n- conv2d: {out: 2, kernel: 1, groups: 2}",
           lambda: Net(conv("conv2d1", 2, 4, 3, padding=1), nn.ChannelShuffle(2), conv("conv2d2", 4, 2, 1, groups=2)), (2, 4, 3), (2, 4, 3))
image_case("local_response_norm", BEFORE + "- local_response_norm: 3", behind(nn.LocalResponseNorm(3)), (2, 4, 3), (4, 4, 3))
image_case("local_response_norm_settings", BEFORE + "- local_response_norm: {size: 2, alpha: 0.3, beta: 0.6, k: 2}", behind(nn.LocalResponseNorm(2, 0.3, 0.6, 2)), (2, 4, 3), (4, 4, 3))
image_case("instance_norm", "- conv2d: {out: 4, kernel: 3, bias: false}\n- instance_norm\n- tanh", lambda: Net(conv("conv2d1", 2, 4, 3, bias=False), nn.InstanceNorm2d(4), torch.tanh),
           (2, 6, 5), (4, 4, 3), rtol=2e-5, atol=5e-6)
image_case("instance_norm_affine", "- conv1d: {out: 4, kernel: 3, bias: false}\n- instance_norm: {eps: 0.01, affine: true}\n- tanh",
           lambda: Net(conv("conv1d1", 2, 4, 3, d=1, bias=False), ("instance_norm1", nn.InstanceNorm1d(4, eps=0.01, affine=True)), torch.tanh), (2, 9), (4, 7), rtol=2e-5, atol=5e-6)
case("stochastic_depth_predict", BEFORE + "- stochastic_depth: 0.4", behind(nn.Identity()), x=normal(6, 2, 4, 3), y=normal(6, 4, 4, 3), steps=1, predict=True,
     optimizer="{type: sgd, lr: 0}", make=lambda p: torch.optim.SGD(p, lr=0.0), still=("conv2d1.weight", "conv2d1.bias"))
image_case("stochastic_depth_p1", BEFORE + "- {residual: [{stochastic_depth: {p: 1, mode: batch}}]}", behind(nn.Identity()), (2, 4, 3), (4, 4, 3))
image_case("pixel_shuffle", BEFORE + "- pixel_shuffle: 2", behind(nn.PixelShuffle(2)), (2, 3, 4), (1, 6, 8))
image_case("group_norm", BEFORE + "- group_norm: 2\n- tanh", lambda: Net(conv("conv2d1", 2, 4, 3, padding=1), ("group_norm1", nn.GroupNorm(2, 4)), torch.tanh), (2, 4, 5), (4, 4, 5),
           rtol=2e-5, atol=5e-6)
image_case("batch_norm_images", "- conv2d: {out: 4, kernel: 3, bias: false}\n- batch_norm\n- tanh",
           lambda: Net(conv("conv2d1", 2, 4, 3, bias=False), ("batch_norm1", nn.BatchNorm2d(4)), torch.tanh), (2, 6, 5), (4, 4, 3), predict=True, rtol=2e-5, atol=5e-6)


# Functions of images: torchvision's affine takes the matrix from result to image.
MATRIX = [0.93, 0.21, 0.67, -0.29, 1.13, -0.41]   # no pixel falls between two


def warped(mode):
    def module(x):
        from torchvision.transforms._functional_tensor import affine
        return affine(x, MATRIX, interpolation=mode)
    return module


for mode, argument in (("nearest", ""), ("bilinear", ', "bilinear"')):
    image_case(f"warp_{mode}", f"- expr: 'warp(x, tensor([[0.93, 0.21, 0.67], [-0.29, 1.13, -0.41]]){argument})'\n- conv2d: {{out: 2, kernel: 2}}",
               lambda mode=mode: Net(warped(mode), conv("conv2d1", 2, 2, 2)), (2, 6, 7), (2, 5, 6))


class Seen(nn.Module):
    """A spatial transformer: `see(image, theta)` with a matrix for each sample that a linear layer makes of the image."""

    def __init__(self, see, features):
        super().__init__()
        self.c, self.theta = nn.Conv2d(2, 3, 2), nn.Linear(features, 6)
        self.see = see

    def forward(self, x):
        c = self.c(x)
        theta = self.theta(x.flatten(1)).reshape(-1, 2, 3)
        return self.see(c, theta + torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=theta.dtype))


def grid_of(theta, h, w):
    """The grid of warp: theta counts pixels from the centre of an image, h high and w wide."""
    y, x = torch.meshgrid(torch.arange(h, dtype=theta.dtype) - (h - 1) / 2, torch.arange(w, dtype=theta.dtype) - (w - 1) / 2, indexing="ij")
    at = torch.einsum("nij,jhw->nhwi", theta, torch.stack([x, y, torch.ones_like(x)]))
    return 2 * at / torch.tensor([w, h], dtype=theta.dtype)


def seen_case(name, formula, see, target):
    image_case(name, f"- {{conv2d: {{out: 3, kernel: 2}}, as: c}}\n- {{flatten: {{}}, from: x}}\n- {{linear: 6, as: theta}}\n"
               f"- {{expr: 'reshape(theta, [2, 3]) + tensor([[1, 0, 0], [0, 1, 0]])', as: m}}\n- expr: '{formula}'",
               lambda: Seen(see, 84), (2, 6, 7), target)


def sampled(size=None, mode="bilinear", corners=False):
    return lambda c, m: F.grid_sample(c, F.affine_grid(m, [len(c), 3, *(size or c.shape[2:])], align_corners=corners), mode, "zeros", corners)


seen_case("warp_trained", 'warp(c, m, "bilinear")', lambda c, m: F.grid_sample(c, grid_of(m, *c.shape[2:]), align_corners=False), (3, 5, 6))
seen_case("grid_sample", "grid_sample(c, affine_grid(m, c.shape))", sampled(), (3, 5, 6))
seen_case("grid_sample_corners", "grid_sample(c, affine_grid(m, [3, 4, 9], align_corners=true), align_corners=true)", sampled((4, 9), corners=True), (3, 4, 9))
seen_case("grid_sample_corners_line", "grid_sample(c, affine_grid(m, [3, 1, 9], align_corners=true), align_corners=true)", sampled((1, 9), corners=True), (3, 1, 9))
# No gradient reaches the matrix, one reaches the image.
image_case("grid_sample_nearest", "- {conv2d: {out: 3, kernel: 2}, as: c}\n- expr: 'grid_sample(c, affine_grid(tensor([[0.93, 0.21, 0.17], [-0.29, 1.13, -0.11]]), [3, 4, 8]), \"nearest\")'",
           lambda: Net(conv("c", 2, 3, 2), lambda c: sampled((4, 8), "nearest")(c, torch.tensor([[[0.93, 0.21, 0.17], [-0.29, 1.13, -0.11]]], dtype=c.dtype).expand(len(c), 2, 3))),
           (2, 6, 7), (3, 4, 8))
for mode in ("reflect", "replicate", "circular"):
    image_case(f"pad_{mode}", f"- {{conv2d: {{out: 3, kernel: 2}}, as: c}}\n- expr: 'pad(c, [[0, 0], [2, 1], [0, 3]], mode=\"{mode}\")'\n- conv2d: {{out: 2, kernel: 3}}",
               lambda mode=mode: Net(conv("c", 2, 3, 2), lambda x: F.pad(x, (0, 3, 2, 1), mode=mode), conv("conv2d1", 3, 2, 3)), (2, 5, 6), (2, 5, 6))
image_case("stack", "- {conv2d: {out: 3, kernel: 2}, as: c}\n- expr: 'stack([c, tanh(c), 2 * c], 1)'\n- conv3d: {out: 2, kernel: [3, 2, 2]}",
           lambda: Net(conv("c", 2, 3, 2), lambda x: torch.stack([x, torch.tanh(x), 2 * x], 2), conv("conv3d1", 3, 2, (3, 2, 2), d=3)), (2, 5, 6), (2, 1, 3, 4))


# A residual network ---------------------------------------------------------------------------------------------------
RESNET = """- conv2d: {out: 8, kernel: 3, padding: 1, bias: false}
- batch_norm
- relu
- residual:
    - conv2d: {out: 8, kernel: 3, padding: 1, bias: false}
    - batch_norm
    - relu
    - conv2d: {out: 8, kernel: 3, padding: 1, bias: false}
    - batch_norm
- relu
- residual:
    - conv2d: {out: 12, kernel: 3, stride: 2, padding: 1, bias: false}
    - batch_norm
    - relu
    - conv2d: {out: 12, kernel: 3, padding: 1, bias: false}
    - batch_norm
  shortcut:
    - conv2d: {out: 12, kernel: 1, stride: 2, bias: false}
    - batch_norm
- relu
- global_avg_pool
- linear: 3"""


def bn(name, channels):
    return (name, nn.BatchNorm2d(channels))


def branch(i, o, stride):
    return [conv("conv2d1", i, o, 3, stride=stride, padding=1, bias=False), bn("batch_norm1", o), torch.relu,
            conv("conv2d2", o, o, 3, padding=1, bias=False), bn("batch_norm2", o)]


def resnet():
    shortcut = Net(conv("conv2d1", 8, 12, 1, stride=2, bias=False), bn("batch_norm1", 12))
    return Net(conv("conv2d1", 3, 8, 3, padding=1, bias=False), bn("batch_norm1", 8), torch.relu,
               ("residual1", Residual(*branch(8, 8, 1))), torch.relu,
               ("residual2", Residual(*branch(8, 12, 2), shortcut=shortcut)), torch.relu,
               lambda x: x.mean((2, 3)), linear(12, 3))


case("resnet_blocks", RESNET, resnet, x=normal(12, 3, 8, 8), y=index(12, high=3), loss="cross_entropy", criterion=F.cross_entropy, batch=6, steps=5,
     optimizer="{type: sgd, lr: 0.05, momentum: 0.9, weight_decay: 1e-4}", make=lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-4),
     predict=True, rtol=2e-5, atol=5e-6)
