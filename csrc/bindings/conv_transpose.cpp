// The transposed convolution is the gradient of x of a convolution, and that convolution is its
// gradient: the same kernels, x and y exchanged.

#include "bindings/conv.h"

namespace dlcore {
namespace {

template <int kDims>
constexpr const char* kName = kDims == 1   ? "conv_transpose1d"
                              : kDims == 2 ? "conv_transpose2d"
                                           : "conv_transpose3d";

// y += bias, channel by channel.
template <class T>
void add_bias(const KernelTable<T>& k, const ConvCall& c, const T* bias, T* y) {
  const int64_t positions = c.input_positions();
  const Broadcast walk{
      3, {c.batch, c.channels, positions}, {c.channels * positions, positions, 1}, {0, 1, 0}};
  k.add(y, bias, y, walk);
}

template <int kDims>
py::object forward(py::handle x_, py::handle weight_, py::handle bias_, py::handle stride,
                   py::handle padding, py::handle output_padding, py::handle dilation,
                   int64_t groups, py::handle out) {
  constexpr const char* op = kName<kDims>;
  const Array x(op, "x", x_), weight(op, "weight", weight_);
  const ConvCall call =
      parse_transposed(op, kDims, x, weight, stride, padding, output_padding, dilation, groups);
  const Array bias = parse_bias(op, x, bias_, call.channels);
  const Conv3d c = call.shape();
  Conv2d plane;
  const bool planar = is_planar(c, plane);
  Output y(op, out, call.input_shape(), x.typenum(), {&x, &weight, &bias});
  with_kernels(x, call.multiply_adds(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    if (planar)
      k.conv2d_backward_data(x.data<T>(), weight.data<T>(), y.data<T>(), plane);
    else
      k.conv3d_backward_data(x.data<T>(), weight.data<T>(), y.data<T>(), c);
    if (bias.defined()) add_bias<T>(k, call, bias.data<T>(), y.data<T>());
  });
  return y.finish();
}

// The gradients asked for, None for the others.
template <int kDims>
py::object backward(py::handle dy_, py::handle x_, py::handle weight_, bool need_dx, bool need_dw,
                    bool need_db, py::handle stride, py::handle padding, py::handle output_padding,
                    py::handle dilation, int64_t groups) {
  const std::string name = std::string(kName<kDims>) + "_backward";
  const char* op = name.c_str();
  const Array dy(op, "dy", dy_), x(op, "x", x_), weight(op, "weight", weight_);
  const ConvCall call =
      parse_transposed(op, kDims, x, weight, stride, padding, output_padding, dilation, groups);
  const Conv3d c = call.shape();
  Conv2d plane;
  const bool planar = is_planar(c, plane);
  check_same_dtype(op, "x", x, "dy", dy);
  CHECK(dy.shape() == call.input_shape(), op, ": dy must have the output's shape ",
        call.input_shape(), ", got dy.shape = ", dy.shape());
  Array dx = need_dx ? Array::empty_like(op, x) : Array();
  Array dw = need_dw ? Array::empty_like(op, weight) : Array();
  Array db = need_db ? Array::empty(op, Shape{call.channels}, x.typenum()) : Array();
  with_kernels(x, call.multiply_adds(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    const T *from = x.data<T>(), *w = weight.data<T>(), *g = dy.data<T>();
    const Finish<T> none;
    if (planar) {
      if (need_dx) k.conv2d_forward(g, w, nullptr, dx.data<T>(), plane, none, nullptr);
      if (need_dw) k.conv2d_backward_weight(g, from, dw.data<T>(), nullptr, plane);
    } else {
      if (need_dx) k.conv3d_forward(g, w, nullptr, dx.data<T>(), c, none);
      if (need_dw) k.conv3d_backward_weight(g, from, dw.data<T>(), c);
    }
    if (need_db)
      k.conv2d_backward_bias(g, db.data<T>(),
                             channel_rows(call, call.channels, call.input_positions()));
  });
  return gradients(dx, dw, db);
}

template <int kDims>
void bind(Module& m) {
  const std::string name = kName<kDims>;
  m.def((name + "_forward").c_str(), &forward<kDims>, py::arg("x"), py::arg("weight"),
        py::arg("bias"), py::arg("stride"), py::arg("padding"), py::arg("output_padding"),
        py::arg("dilation"), py::arg("groups"), py::arg("out") = py::none());
  m.def((name + "_backward").c_str(), &backward<kDims>, py::arg("dy"), py::arg("x"),
        py::arg("weight"), py::arg("need_dx"), py::arg("need_dw"), py::arg("need_db"),
        py::arg("stride"), py::arg("padding"), py::arg("output_padding"), py::arg("dilation"),
        py::arg("groups"));
}

}  // namespace

void bind_conv_transpose(Module& m) {
  bind<1>(m);
  bind<2>(m);
  bind<3>(m);
}

}  // namespace dlcore
