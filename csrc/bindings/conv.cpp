#include "bindings/conv.h"

#include <cstring>

#include "bindings/activation.h"

namespace dlcore {
namespace {

// In front of packed weights: who reads them. Others, as for other shapes, take the weights as they
// are.
struct PackedHead {
  const void* reader;
  int64_t size;

  bool operator==(const PackedHead&) const = default;
};
template <class T>
constexpr int64_t kHead = 64 / static_cast<int64_t>(sizeof(T));  // a line: panels begin at one

template <class Kernels, class T>
PackedHead packed_head(const Kernels& k, const T* weight, const Conv2d& c) {
  PackedHead head{reinterpret_cast<const void*>(k.conv2d_pack.function), 0};
  k.conv2d_pack(weight, c, nullptr, &head.size);
  return head;
}

template <class Kernels, class T>
const T* packed_for(const Kernels& k, const T* weight, const Conv2d& c, const Array& packed) {
  if (!packed.defined() || packed.is_float() != std::is_same_v<T, float>) return nullptr;
  const PackedHead wanted = packed_head(k, weight, c);
  PackedHead got;
  if (packed.numel() != kHead<T> + wanted.size) return nullptr;
  std::memcpy(&got, packed.data<T>(), sizeof(got));
  return got == wanted ? packed.data<T>() + kHead<T> : nullptr;
}

// The weights as conv2d_forward of x's shape reads them, for its `packed`; None where it packs
// none.
py::object conv2d_pack(py::handle x_, py::handle weight_, py::handle stride, py::handle padding,
                       py::handle dilation, int64_t groups) {
  constexpr const char* op = "conv2d";
  const Array x(op, "x", x_), weight(op, "weight", weight_);
  const ConvCall call = parse_conv(op, 2, x, weight, stride, padding, dilation, groups);
  Conv2d plane;
  if (!is_planar(call.shape(), plane)) return py::none();
  Array packed;
  with_kernels(x, 0, [&](const auto& k) {  // once for many calls: the interpreter may wait
    using T = scalar_of<decltype(k)>;
    PackedHead head = packed_head(k, weight.data<T>(), plane);
    if (head.size == 0) return;
    packed = Array::empty(op, Shape{kHead<T> + head.size}, x.typenum());
    std::memset(packed.data<T>(), 0, kHead<T> * sizeof(T));
    std::memcpy(packed.data<T>(), &head, sizeof(head));
    k.conv2d_pack(weight.data<T>(), plane, packed.data<T>() + kHead<T>, &head.size);
  });
  return packed.defined() ? packed.release() : py::none();
}

Array parse_residual(const char* op, const Array& x, py::handle residual_, const ConvCall& call) {
  const Array residual = optional_array(op, "residual", residual_);
  if (!residual.defined()) return residual;
  check_same_dtype(op, "x", x, "residual", residual);
  CHECK(residual.shape() == call.output_shape(), op, ": residual must have the result's shape ",
        call.output_shape(), ", got residual.shape = ", residual.shape());
  return residual;
}

template <int kDims>
py::object forward(py::handle x_, py::handle weight_, py::handle bias_, py::handle stride,
                   py::handle padding, py::handle dilation, int64_t groups, py::handle activation_,
                   py::handle residual_, py::handle slope_, py::handle out, py::handle packed_,
                   bool low) {
  constexpr const char* op = kDims == 1 ? "conv1d" : kDims == 2 ? "conv2d" : "conv3d";
  const Array x(op, "x", x_), weight(op, "weight", weight_);
  const ConvCall call = parse_conv(op, kDims, x, weight, stride, padding, dilation, groups);
  const Array bias = parse_bias(op, x, bias_, call.out_channels);
  const Array residual = parse_residual(op, x, residual_, call);
  const Array packed = optional_array(op, "packed", packed_);
  const Activation activation = activation_argument(op, activation_);
  const double slope = real_argument(op, "negative_slope", slope_);
  const Conv3d c = call.shape();
  Conv2d plane;
  const bool planar = is_planar(c, plane);
  Output y(op, out, call.output_shape(), x.typenum(), {}, {&x, &weight, &bias, &residual});
  with_kernels(x, call.multiply_adds(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    const T* b = bias.defined() ? bias.data<T>() : nullptr;
    const T* added = residual.defined() ? residual.data<T>() : nullptr;
    const Finish<T> finish{added, activation, static_cast<T>(slope)};
    plane.bf16 = low && k.gemm_bf16.function;
    if (planar)
      k.conv2d_forward(x.data<T>(), weight.data<T>(), b, y.data<T>(), plane, finish,
                       packed_for(k, weight.data<T>(), plane, packed));
    else
      k.conv3d_forward(x.data<T>(), weight.data<T>(), b, y.data<T>(), c, finish);
  });
  return y.finish();
}

// The gradients asked for, None for the others.
template <int kDims>
py::object backward(py::handle dy_, py::handle x_, py::handle weight_, bool need_dx, bool need_dw,
                    bool need_db, py::handle stride, py::handle padding, py::handle dilation,
                    int64_t groups, bool low) {
  constexpr const char* op = kDims == 1   ? "conv1d_backward"
                             : kDims == 2 ? "conv2d_backward"
                                          : "conv3d_backward";
  const Array dy(op, "dy", dy_), x(op, "x", x_), weight(op, "weight", weight_);
  const ConvCall call = parse_conv(op, kDims, x, weight, stride, padding, dilation, groups);
  const Conv3d c = call.shape();
  Conv2d plane;
  const bool planar = is_planar(c, plane);
  check_same_dtype(op, "x", x, "dy", dy);
  CHECK(dy.shape() == call.output_shape(), op, ": dy must have the output's shape ",
        call.output_shape(), ", got dy.shape = ", dy.shape());
  Array dx = need_dx ? Array::empty_like(op, x) : Array();
  Array dw = need_dw ? Array::empty_like(op, weight) : Array();
  Array db = need_db ? Array::empty(op, Shape{call.out_channels}, x.typenum()) : Array();
  const bool with_dw = planar && need_dw;
  with_kernels(x, call.multiply_adds(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    const T *from = x.data<T>(), *w = weight.data<T>(), *g = dy.data<T>();
    plane.bf16 = low && k.gemm_bf16.function;
    if (planar) {
      if (need_dx) k.conv2d_backward_data(g, w, dx.data<T>(), plane);
      if (need_dw)
        k.conv2d_backward_weight(from, g, dw.data<T>(), need_db ? db.data<T>() : nullptr, plane);
    } else {
      if (need_dx) k.conv3d_backward_data(g, w, dx.data<T>(), c);
      if (need_dw) k.conv3d_backward_weight(from, g, dw.data<T>(), c);
    }
    if (need_db && !with_dw)
      k.conv2d_backward_bias(g, db.data<T>(),
                             channel_rows(call, call.out_channels, call.output_positions()));
  });
  return gradients(dx, dw, db);
}

template <int kDims>
void bind(Module& m, const char* forward_name, const char* backward_name) {
  m.def(forward_name, &forward<kDims>, py::arg("x"), py::arg("weight"), py::arg("bias"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"),
        py::arg("activation"), py::arg("residual"), py::arg("negative_slope"),
        py::arg("out") = py::none(), py::arg("packed") = py::none(), py::arg("low") = false);
  m.def(backward_name, &backward<kDims>, py::arg("dy"), py::arg("x"), py::arg("weight"),
        py::arg("need_dx"), py::arg("need_dw"), py::arg("need_db"), py::arg("stride"),
        py::arg("padding"), py::arg("dilation"), py::arg("groups"), py::arg("low") = false);
}

}  // namespace

void bind_conv(Module& m) {
  bind<1>(m, "conv1d_forward", "conv1d_backward");
  bind<2>(m, "conv2d_forward", "conv2d_backward");
  m.def("conv2d_pack", &conv2d_pack, py::arg("x"), py::arg("weight"), py::arg("stride"),
        py::arg("padding"), py::arg("dilation"), py::arg("groups"));
  bind<3>(m, "conv3d_forward", "conv3d_backward");
  bind_conv_transpose(m);
  bind_im2col(m);
}

}  // namespace dlcore
