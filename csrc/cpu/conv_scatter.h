// The gradient of x as one product and a sum, for windows at a stride: weight^T dy has a row for
// each tap of each channel, and the rows are added up where their windows lie.
#pragma once

#include "kernels/conv.h"

namespace dlcore {
namespace DLCORE_ISA {

// In conv_scatter.cpp.
bool scatter_pays(const Conv3d& c);
void scatter_data_gradient(const Conv3d& c, const float* dy, const float* weight, float* dx);
void scatter_data_gradient(const Conv3d& c, const double* dy, const double* weight, double* dx);

}  // namespace DLCORE_ISA
}  // namespace dlcore
