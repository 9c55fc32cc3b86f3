// Activations of several pieces or with settings: rows of a table, each with two functions.
#include <limits>

#include "bindings/unary.h"

namespace dlcore {
namespace {

// What a kernel takes besides the arrays.
struct Setting {
  Curve curve;
  double a = 0, b = 0, c = 0;
};

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kSeluAlpha = 1.6732632423543772848170429916717;
constexpr double kSeluScale = 1.0507009873554804934193349852946;

struct Plain {
  const char* op;
  Setting setting;
  Setting of() const { return setting; }
};
constexpr Plain kPlain[] = {
    {"selu", {Curve::elu, kSeluScale, kSeluScale * kSeluAlpha, 1}},
    {"logsigmoid", {Curve::softplus, -1, kInf, -1}},
    {"mish", {Curve::mish}},
    {"hardsigmoid", {Curve::hard_sigmoid, 1.0 / 6, -3, 3}},
    {"hardswish", {Curve::hard_swish}},
    {"softsign", {Curve::softsign}},
};

enum class Rule { any, not_zero, not_negative };

void check(Rule rule, const char* op, const char* name, double value) {
  CHECK(rule != Rule::not_zero || value != 0, op, ": ", name, " must not be 0");
  CHECK(rule != Rule::not_negative || value >= 0, op, ": ", name, " must be at least 0, got ",
        value);
}

struct WithOne {
  const char *op, *name;
  double otherwise;
  Rule rule;
  Setting (*make)(double);
  Setting of(double value) const {
    check(rule, op, name, value);
    return make(value);
  }
};
constexpr WithOne kWithOne[] = {
    {"elu", "alpha", 1, Rule::any, [](double v) { return Setting{Curve::elu, 1, v, 1}; }},
    {"celu", "alpha", 1, Rule::not_zero, [](double v) { return Setting{Curve::elu, 1, v, 1 / v}; }},
    {"softshrink", "lambd", 0.5, Rule::not_negative,
     [](double v) { return Setting{Curve::soft_shrink, v}; }},
    {"hardshrink", "lambd", 0.5, Rule::any,
     [](double v) { return Setting{Curve::hard_shrink, v}; }},
    {"step", "threshold", 0, Rule::any, [](double v) { return Setting{Curve::step, v}; }},
};

struct WithTwo {
  const char *op, *first, *second;
  double first_otherwise, second_otherwise;
  Curve curve;
  Setting of(double p, double q) const {
    if (curve == Curve::threshold) return {curve, p, q};
    if (curve == Curve::hard_tanh) {
      CHECK(p <= q, op, ": ", first, " must be at most ", second, ", got ", p, " and ", q);
      return {curve, 1, p, q};
    }
    check(Rule::not_zero, op, first, p);
    return {curve, p, q, 1 / p};
  }
};
constexpr WithTwo kWithTwo[] = {
    {"softplus", "beta", "threshold", 1, 20, Curve::softplus},
    {"threshold", "threshold", "value", 0, 0, Curve::threshold},
    {"hardtanh", "min_val", "max_val", -1, 1, Curve::hard_tanh},
};

py::object forward(const char* op, py::handle x, py::handle out, const Setting& s) {
  return unary(op, "x", x, out, kExpCost, [=](const auto& k) {
    using T = scalar_of<decltype(k)>;
    return [=, &k](const T* x, T* y, int64_t n) {
      k.curve_forward(x, y, n, s.curve, static_cast<T>(s.a), static_cast<T>(s.b),
                      static_cast<T>(s.c));
    };
  });
}

py::object backward(const char* op, py::handle x, py::handle dy, const Setting& s) {
  return unary_backward(op, "x", x, dy, kExpCost, [=](const auto& k) {
    using T = scalar_of<decltype(k)>;
    return [=, &k](const T* x, const T* dy, T* dx, int64_t n) {
      k.curve_backward(x, dy, dx, n, s.curve, static_cast<T>(s.a), static_cast<T>(s.b),
                       static_cast<T>(s.c));
    };
  });
}

}  // namespace

void bind_activation_curve(Module& m) {
  const py::arg x("x"), dy("dy");
  const auto out = py::arg("out") = py::none();
  const auto forward_of = [](const char* op) { return std::string(op) + "_forward"; };
  const auto backward_of = [](const char* op) { return std::string(op) + "_backward"; };
  for (const Plain& p : kPlain) {
    m.def(
        forward_of(p.op),
        [p](py::handle x, py::handle out) { return forward(p.op, x, out, p.of()); }, x, out);
    m.def(
        backward_of(p.op),
        [p](py::handle x, py::handle dy) { return backward(p.op, x, dy, p.of()); }, x, dy);
  }
  for (const WithOne& p : kWithOne) {
    const auto name = py::arg(p.name) = p.otherwise;
    m.def(
        forward_of(p.op),
        [p](py::handle x, double v, py::handle out) { return forward(p.op, x, out, p.of(v)); }, x,
        name, out);
    m.def(
        backward_of(p.op),
        [p](py::handle x, py::handle dy, double v) { return backward(p.op, x, dy, p.of(v)); }, x,
        dy, name);
  }
  for (const WithTwo& p : kWithTwo) {
    const auto first = py::arg(p.first) = p.first_otherwise;
    const auto second = py::arg(p.second) = p.second_otherwise;
    m.def(
        forward_of(p.op),
        [p](py::handle x, double v, double w, py::handle out) {
          return forward(p.op, x, out, p.of(v, w));
        },
        x, first, second, out);
    m.def(
        backward_of(p.op),
        [p](py::handle x, py::handle dy, double v, double w) {
          return backward(p.op, x, dy, p.of(v, w));
        },
        x, dy, first, second);
  }
}

}  // namespace dlcore
