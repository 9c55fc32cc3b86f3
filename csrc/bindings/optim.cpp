// One native call steps all tensors of a parameter group. Everything is checked before anything is
// written: a bad call changes nothing.
#include <cmath>

#include "bindings/optim_lists.h"

namespace dlcore {

void bind_optim_rules(Module& m);

namespace {

struct SgdOptions {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize, first;
};

template <class T>
void run_sgd(const Lists& lists, const Arrays& buffers, const SgdOptions& o) {
  const Rows<T> rows(lists);
  if (rows.count() == 0) return;
  const std::vector<T*> buffer = rows.of(buffers);
  const auto as = [](double value) { return static_cast<T>(value); };
  rows.run(kernels<T>().sgd_step,
           Sgd<T>{rows.count(), rows.start.data(), rows.param.data(), rows.grad.data(),
                  buffer.empty() ? nullptr : buffer.data(), as(o.lr), as(o.momentum),
                  as(o.dampening), as(o.weight_decay), o.nesterov, o.maximize, o.first});
}

// buffers: the momentum of each parameter, or None.
void sgd_step(py::handle params, py::handle grads, py::handle buffers_, double lr, double momentum,
              double dampening, double weight_decay, bool nesterov, bool maximize, bool first) {
  Lists lists("SGD", params, grads);
  const Arrays buffers = lists.state("momentum_buffer", buffers_);
  lists.check_apart();
  const SgdOptions options{lr, momentum, dampening, weight_decay, nesterov, maximize, first};
  run_sgd<float>(lists, buffers, options);
  run_sgd<double>(lists, buffers, options);
}

struct AdamOptions {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled, maximize;
};

template <class T>
void run_adam(const Lists& lists, const Arrays& means, const Arrays& squares,
              const Arrays& max_squares, const std::vector<int64_t*>& steps, const AdamOptions& o) {
  const Rows<T> rows(lists);
  if (rows.count() == 0) return;
  const std::vector<T*> mean = rows.of(means), square = rows.of(squares),
                        max_square = rows.of(max_squares);
  std::vector<T> step_size, root_scale;
  int64_t before = -1;
  for (size_t i : rows.index) {
    const int64_t step = *steps[i];
    if (step == before) {  // as a rule all parameters have made the same number of steps
      step_size.push_back(step_size.back());
      root_scale.push_back(root_scale.back());
      continue;
    }
    step_size.push_back(static_cast<T>(o.lr / (1 - std::pow(o.beta1, static_cast<double>(step)))));
    root_scale.push_back(
        static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(step)))));
    before = step;
  }
  const auto as = [](double value) { return static_cast<T>(value); };
  rows.run(
      kernels<T>().adam_step,
      Adam<T>{rows.count(), rows.start.data(), rows.param.data(), rows.grad.data(), mean.data(),
              square.data(), max_square.empty() ? nullptr : max_square.data(), step_size.data(),
              root_scale.data(), as(1 - o.beta1), as(o.beta2), as(1 - o.beta2), as(o.eps),
              as(o.weight_decay), as(1 - o.lr * o.weight_decay), o.decoupled, o.maximize});
}

// max_squares: of amsgrad, or None. Counts the steps.
void adam_step(py::handle params, py::handle grads, py::handle means_, py::handle squares_,
               py::handle max_squares_, py::handle steps_, double lr, double beta1, double beta2,
               double eps, double weight_decay, bool decoupled, bool maximize) {
  Lists lists("Adam", params, grads);
  const Arrays means = lists.state("exp_avg", means_),
               squares = lists.state("exp_avg_sq", squares_),
               max_squares = lists.state("max_exp_avg_sq", max_squares_);
  const std::vector<int64_t*> steps = lists.counts("step", steps_);
  lists.check_apart();
  for (int64_t* step : steps) ++*step;
  const AdamOptions options{lr, beta1, beta2, eps, weight_decay, decoupled, maximize};
  run_adam<float>(lists, means, squares, max_squares, steps, options);
  run_adam<double>(lists, means, squares, max_squares, steps, options);
}

}  // namespace

void bind_optim(Module& m) {
  bind_optim_rules(m);
  m.def("sgd_step", &sgd_step, py::arg("params"), py::arg("grads"), py::arg("buffers"),
        py::arg("lr"), py::arg("momentum"), py::arg("dampening"), py::arg("weight_decay"),
        py::arg("nesterov"), py::arg("maximize"), py::arg("first"));
  m.def("adam_step", &adam_step, py::arg("params"), py::arg("grads"), py::arg("exp_avg"),
        py::arg("exp_avg_sq"), py::arg("max_exp_avg_sq"), py::arg("step"), py::arg("lr"),
        py::arg("beta1"), py::arg("beta2"), py::arg("eps"), py::arg("weight_decay"),
        py::arg("decoupled"), py::arg("maximize"));
}

}  // namespace dlcore
