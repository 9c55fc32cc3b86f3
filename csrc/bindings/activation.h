// The activation that a product or a convolution ends with, by its name.
#pragma once

#include "bindings/array.h"

namespace dlcore {

// Activation::none for None. ValueError: "<op>: activation must be one of none, relu, ..., got
// 'x'".
Activation activation_argument(const char* op, py::handle activation);

}  // namespace dlcore
