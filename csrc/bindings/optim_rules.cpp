// The optimizers beside SGD and Adam: a rule, its states and the numbers that each tensor has of
// its own, from its count of steps. Norms of gradients and clipping them.
#include <cmath>
#include <cstring>

#include "bindings/optim_lists.h"

namespace dlcore {
namespace {

struct Named {
  const char* name;  // the optimizer's, for messages too
  Rule rule;
  const char* state[kMostStates];
  bool optional[kMostStates];
  bool counts;  // its numbers depend on the count of steps
};
constexpr Named kRules[] = {
    {"Adagrad", Rule::kAdagrad, {"sum"}, {}, true},
    {"Adadelta", Rule::kAdadelta, {"square_avg", "acc_delta"}, {}, true},
    {"RMSprop",
     Rule::kRmsprop,
     {"square_avg", "grad_avg", "momentum_buffer"},
     {false, true, true},
     true},
    {"Adamax", Rule::kAdamax, {"exp_avg", "exp_inf"}, {}, true},
    {"NAdam", Rule::kNadam, {"exp_avg", "exp_avg_sq"}, {}, true},
    {"RAdam", Rule::kRadam, {"exp_avg", "exp_avg_sq"}, {}, true},
    {"LAMB", Rule::kLamb, {"exp_avg", "exp_avg_sq"}, {}, true},
    {"Lion", Rule::kLion, {"exp_avg"}, {}, false},
    {"average", Rule::kAverage, {}, {}, false},
};

const Named& rule_of(const char* name) {
  for (const Named& named : kRules)
    if (std::strcmp(named.name, name) == 0) return named;
  throw py::value_error(text("adaptive_step: rule must be the name of an optimizer, got ", name));
}

// momentum: RMSprop's. rate: Adagrad's lr_decay, NAdam's momentum_decay.
struct Options {
  double lr, beta1, beta2, eps, weight_decay, momentum, rate;
  bool decoupled, maximize;
};

struct Scalars {
  double a[kScalars];
};

// NAdam's momentum of step t.
double nadam_momentum(const Options& o, double t) {
  return o.beta1 * (1 - 0.5 * std::pow(0.96, t * o.rate));
}

// The numbers of a tensor in step t, counted from 1, as cpu/optim_rules.cpp names them. `product`
// is NAdam's product of the momenta so far.
Scalars scalars(Rule rule, const Options& o, double t, double product) {
  const double first = 1 - std::pow(o.beta1, t), second = 1 - std::pow(o.beta2, t);
  switch (rule) {
    case Rule::kAdagrad:
      return {{o.lr / (1 + (t - 1) * o.rate)}};
    case Rule::kAdamax:
      return {{o.lr / first}};
    case Rule::kNadam: {
      const double next = nadam_momentum(o, t + 1);
      return {{o.lr * (1 - nadam_momentum(o, t)) / (1 - product),
               o.lr * next / (1 - product * next), 1 / std::sqrt(second)}};
    }
    case Rule::kRadam: {
      const double top = 2 / (1 - o.beta2) - 1;
      const double length = top - 2 * t * std::pow(o.beta2, t) / second;
      if (length <= 5) return {{o.lr / first, 0}};
      const double rectified =
          std::sqrt((length - 4) * (length - 2) * top / ((top - 4) * (top - 2) * length));
      return {{o.lr * rectified * std::sqrt(second) / first, 1}};
    }
    case Rule::kLamb:
      return {{o.lr, 1 / first, 1 / std::sqrt(second)}};
    default:
      return {{o.lr}};
  }
}

// What a step changes beside the parameters.
struct State {
  Arrays rows[kMostStates];
  std::vector<int64_t*> steps;
  std::vector<double*> products;
};

template <class T>
void run_rule(const Lists& lists, Rule rule, const State& state, const Options& o) {
  const Rows<T> rows(lists);
  if (rows.count() == 0) return;
  std::vector<T*> states[kMostStates];
  for (int s = 0; s < kMostStates; ++s) states[s] = rows.of(state.rows[s]);
  std::vector<T> own;
  own.reserve(rows.index.size() * kScalars);
  Scalars now{};
  int64_t before = -1;
  double product_before = 0;
  for (size_t i : rows.index) {
    const int64_t step = state.steps.empty() ? 1 : *state.steps[i];
    const double product = state.products.empty() ? 0 : *state.products[i];
    // As a rule all parameters have made the same number of steps.
    if (step != before || product != product_before)
      now = scalars(rule, o, static_cast<double>(step), product);
    before = step;
    product_before = product;
    for (double a : now.a) own.push_back(static_cast<T>(a));
  }
  std::vector<double> partial;
  if (rule == Rule::kLamb)
    partial.resize(static_cast<size_t>(2 * partial_sums(rows.count(), rows.start.back())));
  const auto as = [](double value) { return static_cast<T>(value); };
  const auto data = [](const std::vector<T*>& row) { return row.empty() ? nullptr : row.data(); };
  rows.run(kernels<T>().adaptive_step,
           Adaptive<T>{rule,
                       rows.count(),
                       rows.start.data(),
                       rows.param.data(),
                       rows.grad.data(),
                       {data(states[0]), data(states[1]), data(states[2])},
                       own.data(),
                       as(o.beta1),
                       as(1 - o.beta1),
                       as(o.beta2),
                       as(1 - o.beta2),
                       as(o.eps),
                       as(o.momentum),
                       as(o.weight_decay),
                       as(1 - o.lr * o.weight_decay),
                       o.decoupled,
                       o.maximize,
                       partial.data()});
}

// states: for each of the rule's a list of arrays, or None where it is optional. steps: the counts,
// which are made one more. products: NAdam's.
void adaptive_step(const char* name, py::handle params, py::handle grads, py::handle state0,
                   py::handle state1, py::handle state2, py::handle steps, py::handle products,
                   double lr, double beta1, double beta2, double eps, double weight_decay,
                   double momentum, double rate, bool decoupled, bool maximize) {
  const Named& named = rule_of(name);
  Lists lists(named.name, params, grads);
  State state;
  const py::handle given[] = {state0, state1, state2};
  for (int s = 0; s < kMostStates; ++s) {
    if (!named.state[s] || (named.optional[s] && given[s].is_none())) continue;
    CHECK_TYPE(!given[s].is_none(), named.name, ": ", named.state[s], " must be given");
    state.rows[s] = lists.state(named.state[s], given[s]);
  }
  if (named.counts) state.steps = lists.counts("step", steps);
  if (named.rule == Rule::kNadam) state.products = lists.numbers("mu_product", products);
  lists.check_apart();
  const Options o{lr, beta1, beta2, eps, weight_decay, momentum, rate, decoupled, maximize};
  for (int64_t* step : state.steps) ++*step;
  for (size_t i = 0; i < state.products.size(); ++i)
    *state.products[i] *= nadam_momentum(o, static_cast<double>(*state.steps[i]));
  run_rule<float>(lists, named.rule, state, o);
  run_rule<double>(lists, named.rule, state, o);
}

template <class T>
void run_norms(const std::vector<Array>& all, NormKind kind, double* norm) {
  std::vector<int64_t> start{0};
  std::vector<const T*> tensor;
  std::vector<size_t> index;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].is_float() != (sizeof(T) == 4)) continue;
    index.push_back(i);
    start.push_back(start.back() + all[i].numel());
    tensor.push_back(all[i].data<T>());
  }
  if (index.empty()) return;
  const int64_t count = static_cast<int64_t>(index.size());
  std::vector<double> partial(static_cast<size_t>(partial_sums(count, start.back())));
  std::vector<double> norms(index.size());
  {
    std::optional<GilReleased> released;
    if (start.back() >= kReleaseFrom) released.emplace();
    kernels<T>().tensor_norms(count, start.data(), tensor.data(), kind, partial.data(),
                              norms.data());
  }
  for (size_t i = 0; i < index.size(); ++i) norm[index[i]] = norms[i];
}

// The norm of each array of a list, in float64. order: 1, 2 or infinity.
py::object tensor_norms(py::handle list, double order) {
  const char* op = "get_total_norm";
  CHECK(order == 1 || order == 2 || order == INFINITY, op, ": norm_type must be 1, 2 or inf, got ",
        order);
  CHECK_TYPE(PyList_Check(list.ptr()), op, ": tensors must be a list of arrays");
  std::vector<Array> all;
  for (py::handle item : py::reinterpret_borrow<py::list>(list))
    all.emplace_back(op, "each of tensors", item);
  const NormKind kind = order == 1   ? NormKind::kAbsolute
                        : order == 2 ? NormKind::kSquares
                                     : NormKind::kLargest;
  Array norms = Array::empty(op, Shape{static_cast<int64_t>(all.size())}, NPY_DOUBLE);
  run_norms<float>(all, kind, norms.data<double>());
  run_norms<double>(all, kind, norms.data<double>());
  return norms.release();
}

template <class T>
void run_clip(const Lists& lists, double factor, double limit) {
  const Rows<T> rows(lists);
  if (rows.count() == 0) return;
  rows.run(kernels<T>().clip_tensors, rows.count(), rows.start.data(), rows.param.data(),
           static_cast<T>(factor), static_cast<T>(limit));
}

// Every array of a list times `factor`, then within [-limit, limit], in place.
void clip_tensors(const char* op, py::handle list, double factor, double limit) {
  Lists lists(op, "grads", list);
  lists.check_apart();
  run_clip<float>(lists, factor, limit);
  run_clip<double>(lists, factor, limit);
}

}  // namespace

void bind_optim_rules(Module& m) {
  m.def("adaptive_step", &adaptive_step, py::arg("rule"), py::arg("params"), py::arg("grads"),
        py::arg("state0"), py::arg("state1"), py::arg("state2"), py::arg("step"),
        py::arg("mu_product"), py::arg("lr"), py::arg("beta1"), py::arg("beta2"), py::arg("eps"),
        py::arg("weight_decay"), py::arg("momentum"), py::arg("rate"), py::arg("decoupled"),
        py::arg("maximize"));
  m.def("tensor_norms", &tensor_norms, py::arg("tensors"), py::arg("norm_type"));
  m.def("clip_tensors", &clip_tensors, py::arg("op"), py::arg("grads"), py::arg("factor"),
        py::arg("limit"));
}

}  // namespace dlcore
