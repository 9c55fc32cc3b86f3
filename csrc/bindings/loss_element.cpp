// Losses of each element: the same checks for all, from one table of names.
#include "bindings/loss.h"

namespace dlcore {
namespace {

// An op: its formula and what its arguments are called.
struct Definition {
  const char* op;
  LossFormula formula;
  const char* x = "input";
  const char* target = "target";
  const char* other = "";
  bool needs_other = false;
};

constexpr Definition kDefinitions[] = {
    {"mse_loss", LossFormula::piecewise},
    {"half_mse_loss", LossFormula::piecewise},
    {"l1_loss", LossFormula::piecewise},
    {"huber_loss", LossFormula::piecewise},
    {"smooth_l1_loss", LossFormula::piecewise},
    {"msle_loss", LossFormula::log_squares},
    {"log_cosh_loss", LossFormula::log_cosh},
    {"binary_cross_entropy", LossFormula::binary},
    {"binary_cross_entropy_with_logits", LossFormula::logits, "input", "target", "pos_weight"},
    {"sigmoid_focal_loss", LossFormula::focal, "inputs", "targets"},
    {"kl_div", LossFormula::divergence},
    {"hinge_loss", LossFormula::ranking},
    {"hinge_embedding_loss", LossFormula::hinge_embedding},
    {"margin_ranking_loss", LossFormula::ranking, "input1", "target", "input2", true},
    {"soft_margin_loss", LossFormula::soft_margin},
    {"poisson_nll_loss", LossFormula::poisson},
    {"gaussian_nll_loss", LossFormula::gaussian, "input", "target", "var", true},
};

const Definition& definition_of(const std::string& op) {
  for (const Definition& d : kDefinitions)
    if (op == d.op) return d;
  throw py::value_error(text("element_loss: there is no op ", op));
}

// An array of x's shape; undefined when it is None and may be.
Array like(const Definition& d, const char* name, py::handle object, const Array& x, bool needed) {
  if (!needed && object.is_none()) return Array();
  const Array array(d.op, name, object);
  check_same_dtype(d.op, d.x, x, name, array);
  CHECK(x.same_shape(array), d.op, ": ", name, " must have ", d.x, ".shape = ", x.shape(),
        ", got ", name, ".shape = ", array.shape());
  return array;
}

// The arguments, checked.
struct Arguments {
  const Definition& d;
  Array x, target, other, weight;
  double number[4] = {};
  LossReduction reduction;
  double count;  // of the mean: what the sum is divided by

  Arguments(const std::string& op, py::handle x_, py::handle target_, py::handle other_,
            py::handle weight_, const std::vector<double>& numbers, py::handle reduction_,
            py::handle count_)
      : d(definition_of(op)),
        x(d.op, d.x, x_),
        target(like(d, d.target, target_, x, true)),
        other(like(d, d.other, other_, x, d.needs_other)),
        weight(like(d, "weight", weight_, x, false)),
        reduction(reduction_of(d.op, reduction_)),
        count(count_.is_none() ? static_cast<double>(x.numel())
                               : real_argument(d.op, "count", count_)) {
    CHECK(numbers.size() <= 4, d.op, ": at most four numbers");
    std::copy(numbers.begin(), numbers.end(), number);
  }

  template <class T>
  ElementLoss<T> loss() const {
    const auto data = [](const Array& a) { return a.defined() ? a.data<T>() : nullptr; };
    ElementLoss<T> s{d.formula, data(x), data(target), data(other), data(weight), {}, x.numel()};
    for (int i = 0; i < 4; ++i) s.number[i] = static_cast<T>(number[i]);
    return s;
  }
  double scale() const { return scale_of(reduction, count); }
  int64_t work() const { return x.numel() * (d.formula == LossFormula::piecewise ? 1 : 16); }
};

// The gradients that are asked for.
struct Slopes {
  Array of[3];

  Slopes(const Arguments& a, const std::vector<bool>& wanted) {
    const Array* inputs[3] = {&a.x, &a.target, &a.other};
    for (size_t i = 0; i < 3 && i < wanted.size(); ++i)
      if (wanted[i] && inputs[i]->defined()) of[i] = Array::empty_like(a.d.op, a.x);
  }
  template <class T>
  void data(T** to) const {
    for (int i = 0; i < 3; ++i) to[i] = of[i].defined() ? of[i].data<T>() : nullptr;
  }
  py::object release() {
    const auto one = [](Array& a) -> py::object { return a.defined() ? a.release() : py::none(); };
    return py::make_tuple(one(of[0]), one(of[1]), one(of[2]));
  }
};

// A loss of NaN may be an element out of the formula's range: the first is named.
void refuse_out_of_range(const Arguments& a) {
  const bool binary = a.d.formula == LossFormula::binary;
  if (!binary && a.d.formula != LossFormula::gaussian) return;
  const auto scan = [&](const auto* values, const char* name, const char* rule) {
    for (int64_t i = 0; i < a.x.numel(); ++i)
      CHECK(!(values[i] < 0 || (binary && values[i] > 1)), a.d.op, ": ", name, " must ", rule,
            ", got ", values[i]);
  };
  const auto all = [&](auto zero) {
    using T = decltype(zero);
    if (binary)
      scan(a.x.data<T>(), a.d.x, "be probabilities, from 0 to 1");
    else if (a.other.defined())
      scan(a.other.data<T>(), a.d.other, "not be negative");
  };
  if (a.x.is_float())
    all(0.0f);
  else
    all(0.0);
}

// The loss, and of a mean or sum the gradients of the inputs that are `wanted`.
py::object element_loss_forward(const std::string& op, py::handle x, py::handle target,
                                py::handle other, py::handle weight,
                                const std::vector<double>& numbers, py::handle reduction,
                                py::handle count, const std::vector<bool>& wanted) {
  const Arguments a(op, x, target, other, weight, numbers, reduction, count);
  const bool all = a.reduction == LossReduction::none;
  Array y = all ? Array::empty_like(a.d.op, a.x) : Array();
  Slopes slopes(a, all ? std::vector<bool>() : wanted);
  double total = 0;
  with_kernels(a.x, a.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    T* to[3];
    slopes.data<T>(to);
    const T one = 1;
    k.element_loss(a.loss<T>(), &one, 0, static_cast<T>(a.scale()), all ? y.data<T>() : nullptr,
                   &total, to);
  });
  if (total != total) refuse_out_of_range(a);
  if (!all)
    total = a.reduction == LossReduction::mean ? mean_of(total, a.count) : total;
  return py::make_tuple(all ? y.release() : scalar(a.d.op, a.x, total), slopes.release());
}

py::object element_loss_backward(const std::string& op, py::handle x, py::handle target,
                                 py::handle other, py::handle weight,
                                 const std::vector<double>& numbers, py::handle reduction,
                                 py::handle count, const std::vector<bool>& wanted,
                                 py::handle dy) {
  const Arguments a(op, x, target, other, weight, numbers, reduction, count);
  const Incoming in(a.d.op, dy, a.x, a.reduction, a.x.shape());
  Slopes slopes(a, wanted);
  with_kernels(a.x, a.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    T* to[3];
    slopes.data<T>(to);
    k.element_loss(a.loss<T>(), in.dy.template data<T>(), in.step, static_cast<T>(a.scale()),
                   nullptr, nullptr, to);
  });
  return slopes.release();
}

}  // namespace

void bind_loss_element(Module& m) {
  m.def("element_loss_forward", &element_loss_forward, py::arg("op"), py::arg("input"),
        py::arg("target"), py::arg("other"), py::arg("weight"), py::arg("numbers"),
        py::arg("reduction"), py::arg("count"), py::arg("wanted"));
  m.def("element_loss_backward", &element_loss_backward, py::arg("op"), py::arg("input"),
        py::arg("target"), py::arg("other"), py::arg("weight"), py::arg("numbers"),
        py::arg("reduction"), py::arg("count"), py::arg("wanted"), py::arg("dy"));
}

}  // namespace dlcore
