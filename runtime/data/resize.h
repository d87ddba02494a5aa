// Bilinear resizing of images, as torchvision does it with antialiasing.
#pragma once
#include "compiler/base/types.h"

#include <cstddef>

namespace mlc {

/// Resizes `count` images of `channels` planes of h x w bytes to new_h x new_w: triangle filter with half-pixel centres,
/// widened by the scale where the image shrinks; results are rounded to bytes.
void resize_images(const std::byte* from, int64_t count, int64_t channels, int64_t h, int64_t w, int64_t new_h, int64_t new_w,
                   std::byte* to);

}  // namespace mlc
