// Losses of each element: the same checks for all, from one table of names.
#include <algorithm>
#include <string_view>

#include "bindings/loss.h"

namespace dlcore {
namespace {

// An op: its formula, what its arguments are called, the formula's numbers where they are fixed.
struct Definition {
  const char* op;
  LossFormula formula;
  const char *x, *target, *other;
  bool needs_other;
  double number[4];
};

constexpr Definition two(const char* op, LossFormula formula, double a = 0, double b = 0,
                         double c = 0, double d = 0) {
  return {op, formula, "input", "target", "", false, {a, b, c, d}};
}

constexpr Definition kDefinitions[] = {
    two("mse_loss", LossFormula::squares, 1),
    two("half_mse_loss", LossFormula::squares, 0.5),
    two("l1_loss", LossFormula::piecewise, 0, 0, 1, 0),
    two("msle_loss", LossFormula::log_squares),
    two("log_cosh_loss", LossFormula::log_cosh),
    two("huber_loss", LossFormula::piecewise),
    two("smooth_l1_loss", LossFormula::piecewise),
    two("binary_cross_entropy", LossFormula::binary),
    {"binary_cross_entropy_with_logits",
     LossFormula::logits,
     "input",
     "target",
     "pos_weight",
     false,
     {}},
    {"sigmoid_focal_loss", LossFormula::focal, "inputs", "targets", "", false, {}},
    two("kl_div", LossFormula::divergence),
    two("hinge_loss", LossFormula::ranking, 1),
    two("hinge_embedding_loss", LossFormula::hinge_embedding),
    {"margin_ranking_loss", LossFormula::ranking, "input1", "target", "input2", true, {}},
    two("soft_margin_loss", LossFormula::soft_margin),
    two("poisson_nll_loss", LossFormula::poisson),
    {"gaussian_nll_loss", LossFormula::gaussian, "input", "target", "var", true, {}},
};
constexpr int kSimple = 5;  // the first: of two arrays and a reduction alone

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
  CHECK(x.same_shape(array), d.op, ": ", name, " must have ", d.x, ".shape = ", x.shape(), ", got ",
        name, ".shape = ", array.shape());
  return array;
}

// The arguments, checked.
struct Arguments {
  const Definition& d;
  Array x, target, other, weight;
  double number[4] = {};
  LossReduction reduction;
  double count;  // of the mean: what the sum is divided by

  Arguments(const Definition& d, py::handle x_, py::handle target_, py::handle other_,
            py::handle weight_, const std::vector<double>& numbers, py::handle reduction_,
            py::handle count_)
      : d(d),
        x(d.op, d.x, x_),
        target(like(d, d.target, target_, x, true)),
        other(like(d, d.other, other_, x, d.needs_other)),
        weight(like(d, "weight", weight_, x, false)),
        reduction(reduction_of(d.op, reduction_)),
        count(count_.is_none() ? static_cast<double>(x.numel())
                               : real_argument(d.op, "count", count_)) {
    CHECK(numbers.size() <= 4, d.op, ": at most four numbers");
    std::copy_n(d.number, 4, number);
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
  int64_t work() const { return x.numel() * (d.formula <= LossFormula::piecewise ? 1 : 16); }
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

// The loss, with the gradients that are asked for.
py::object run_forward(const Arguments& a, const Slopes& slopes) {
  const bool all = a.reduction == LossReduction::none;
  Array y = all ? Array::empty_like(a.d.op, a.x) : Array();
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
  if (all) return y.release();
  return scalar(a.d.op, a.x, a.reduction == LossReduction::mean ? mean_of(total, a.count) : total);
}

// The loss, and of a mean or sum the gradients of the inputs that are `wanted`.
py::object element_loss_forward(const std::string& op, py::handle x, py::handle target,
                                py::handle other, py::handle weight,
                                const std::vector<double>& numbers, py::handle reduction,
                                py::handle count, const std::vector<bool>& wanted) {
  const Arguments a(definition_of(op), x, target, other, weight, numbers, reduction, count);
  Slopes slopes(a, a.reduction == LossReduction::none ? std::vector<bool>() : wanted);
  py::object loss = run_forward(a, slopes);
  return py::make_tuple(std::move(loss), slopes.release());
}

py::object element_loss_backward(const std::string& op, py::handle x, py::handle target,
                                 py::handle other, py::handle weight,
                                 const std::vector<double>& numbers, py::handle reduction,
                                 py::handle count, const std::vector<bool>& wanted, py::handle dy) {
  const Arguments a(definition_of(op), x, target, other, weight, numbers, reduction, count);
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
  const py::str mean("mean"), sum("sum");
  for (int i = 0; i < kSimple; ++i) {
    const Definition& d = kDefinitions[i];
    m.def(
        d.op,
        [&d](py::handle x, py::handle target, py::handle reduction) {
          const Arguments a(d, x, target, py::none(), py::none(), {}, reduction, py::none());
          return run_forward(a, Slopes(a, {}));
        },
        py::arg("input"), py::arg("target"),
        py::arg("reduction") = std::string_view(d.op) == "half_mse_loss" ? sum : mean);
  }
  m.def("element_loss_forward", &element_loss_forward, py::arg("op"), py::arg("input"),
        py::arg("target"), py::arg("other"), py::arg("weight"), py::arg("numbers"),
        py::arg("reduction"), py::arg("count"), py::arg("wanted"));
  m.def("element_loss_backward", &element_loss_backward, py::arg("op"), py::arg("input"),
        py::arg("target"), py::arg("other"), py::arg("weight"), py::arg("numbers"),
        py::arg("reduction"), py::arg("count"), py::arg("wanted"), py::arg("dy"));
}

}  // namespace dlcore
