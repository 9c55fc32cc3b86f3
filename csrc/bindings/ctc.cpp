#include <algorithm>
#include <limits>

#include "bindings/loss.h"

namespace dlcore {
namespace {

// Whole numbers as an own copy: another thread may write to the caller's after they were checked.
struct Whole {
  Shape shape;
  std::vector<int64_t> values;

  Whole(const char* op, const char* name, py::handle object) {
    if (PyArray_Check(object.ptr())) {
      copy(op, name, object);
    } else if (PyIndex_Check(object.ptr())) {
      values.push_back(int_argument(op, name, object));
    } else {
      values = argument<std::vector<int64_t>>(op, name, object);
      shape = {static_cast<int64_t>(values.size())};
    }
  }

 private:
  void copy(const char* op, const char* name, py::handle object) {
    PyArrayObject* array = reinterpret_cast<PyArrayObject*>(object.ptr());
    const int type = PyArray_TYPE(array);
    CHECK_TYPE(!hides_entries(object), op, ": ", name, " must not be a masked array");
    CHECK_TYPE(PyTypeNum_ISINTEGER(type) && PyArray_CanCastSafely(type, NPY_INT64), op, ": ", name,
               " must be int64 or int32, got ", std::string(py::str(object.attr("dtype"))));
    shape = Shape(PyArray_NDIM(array), PyArray_DIMS(array));
    CHECK(shape.ndim <= 2, op, ": ", name, " must have at most 2 axes, got ", name,
          ".shape = ", shape);
    CHECK(shape.numel(op) < int64_t(1) << 40, op, ": ", name, " is too large, got ", name,
          ".shape = ", shape);
    PyObject* ready = PyArray_FromAny(
        object.ptr(), PyArray_DescrFromType(NPY_INT64), 0, 0,
        NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED | NPY_ARRAY_ENSUREARRAY, nullptr);
    if (!ready) throw py::error_already_set();
    const py::object owned = py::reinterpret_steal<py::object>(ready);
    const int64_t* from =
        static_cast<const int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(ready)));
    values.assign(from, from + shape.numel(op));
  }
};

// Log-probabilities (steps, batch, classes), or (steps, classes) of one sample.
struct Scores {
  Array x;
  bool batched;
  int64_t steps, batch, classes, blank;

  Scores(const char* op, py::handle x_, int64_t blank)
      : x(op, "log_probs", x_), batched(x.ndim() == 3), blank(blank) {
    CHECK(x.ndim() == 2 || x.ndim() == 3, op,
          ": log_probs must have shape (T, N, C) or (T, C), got log_probs.shape = ", x.shape());
    steps = x.size(0);
    batch = batched ? x.size(1) : 1;
    classes = x.size(-1);
    CHECK(blank >= 0 && blank < classes, op, ": blank must be one of the ", classes,
          " classes, got ", blank);
  }

  CtcProblem problem(const std::vector<int64_t>& input_lengths) const {
    return {steps, batch, classes, blank, nullptr, nullptr, input_lengths.data(), nullptr};
  }

  // One of 0 to `most` for each sample.
  std::vector<int64_t> lengths(const char* op, const char* name, py::handle object, int64_t most,
                               const char* what) const {
    Whole lengths(op, name, object);
    const bool one = !batched && lengths.values.size() == 1 && lengths.shape.ndim <= 1;
    CHECK(one || lengths.shape == Shape{batch}, op, ": ", name,
          " must have one length for each sample, shape (", batch, ",), got ", name,
          ".shape = ", lengths.shape);
    for (size_t b = 0; b < lengths.values.size(); ++b)
      CHECK(lengths.values[b] >= 0 && lengths.values[b] <= most, op, ": ", name,
            " must be from 0 to ", what, " = ", most, ", got ", lengths.values[b], " at ", name,
            "[", b, "]");
    return std::move(lengths.values);
  }
};

// The samples' targets, in rows of one length or one after the other.
struct Targets {
  std::vector<int64_t> labels, starts, lengths;

  Targets(const char* op, const Scores& s, py::handle targets_, py::handle lengths_) {
    Whole targets(op, "targets", targets_);
    const bool rows = targets.shape.ndim == 2;
    const int64_t most = targets.shape.ndim ? targets.shape[-1] : 0;
    CHECK(targets.shape.ndim >= 1 && (!rows || targets.shape[0] == s.batch), op,
          ": targets must have shape (", s.batch,
          ", S) or (sum(target_lengths),), got targets.shape = ", targets.shape);
    lengths = s.lengths(op, "target_lengths", lengths_, most, "S");
    int64_t sum = 0;
    for (int64_t b = 0; b < s.batch; ++b) {
      starts.push_back(rows ? b * most : sum);
      sum += lengths[b];
    }
    CHECK(rows || sum == most || !s.batched, op, ": targets must have sum(target_lengths) = ", sum,
          " labels, got targets.shape = ", targets.shape, ": rows of one length need 2 axes");
    labels = std::move(targets.values);
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t i = starts[b]; i < starts[b] + lengths[b]; ++i)
        if (labels[i] < 0 || labels[i] >= s.classes || labels[i] == s.blank) [[unlikely]]
          throw py::index_error(text(op, ": targets must be from 0 to ", s.classes - 1,
                                     " and not blank = ", s.blank, ", got ", labels[i],
                                     " at targets[", rows ? text(b, ", ", i - starts[b]) : text(i),
                                     "]"));
  }
};

// The loss and, when `gradient`, that of the mean or sum, or of each loss; None otherwise.
py::object ctc_loss(py::handle log_probs, py::handle targets_, py::handle input_lengths_,
                    py::handle target_lengths, int64_t blank, py::handle reduction_,
                    bool zero_infinity, bool gradient) {
  const char* op = "ctc_loss";
  const LossReduction reduction = reduction_of(op, reduction_);
  const Scores s(op, log_probs, blank);
  const Targets targets(op, s, targets_, target_lengths);
  const std::vector<int64_t> input_lengths =
      s.lengths(op, "input_lengths", input_lengths_, s.steps, "T");
  CtcProblem problem = s.problem(input_lengths);
  problem.targets = targets.labels.data();
  problem.starts = targets.starts.data();
  problem.target_lengths = targets.lengths.data();
  Array loss = Array::empty(op, s.batched ? Shape{s.batch} : Shape{}, s.x.typenum());
  Array dx = gradient ? Array::empty_like(op, s.x) : Array();
  double total = 0;
  const auto share = [&](int64_t b) {  // of a sample in the mean
    return reduction == LossReduction::mean
               ? 1.0 / static_cast<double>(std::max<int64_t>(targets.lengths[b], 1) * s.batch)
               : 1.0;
  };
  with_kernels(s.x, 64 * s.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    std::vector<T> scale;
    for (int64_t b = 0; b < s.batch; ++b) scale.push_back(static_cast<T>(share(b)));
    k.ctc_loss(s.x.template data<T>(), loss.data<T>(), gradient ? dx.data<T>() : nullptr,
               scale.data(), zero_infinity, problem);
    for (int64_t b = 0; b < s.batch; ++b)
      total += share(b) * static_cast<double>(loss.data<T>()[b]);
  });
  if (s.batch == 0 && reduction == LossReduction::mean) total = mean_of(0, 0);
  return py::make_tuple(reduction == LossReduction::none ? loss.release() : scalar(op, s.x, total),
                        gradient ? dx.release() : py::none());
}

// Steps of each sample: all when lengths is None.
std::vector<int64_t> steps_of(const char* op, const Scores& s, py::handle lengths) {
  return lengths.is_none() ? std::vector<int64_t>(static_cast<size_t>(s.batch), s.steps)
                           : s.lengths(op, "input_lengths", lengths, s.steps, "T");
}

// Labels (N, T), how many of them count, log-probabilities (N).
py::object ctc_greedy_decode(py::handle log_probs, py::handle input_lengths_, int64_t blank) {
  const char* op = "ctc_greedy_decode";
  const Scores s(op, log_probs, blank);
  const std::vector<int64_t> input_lengths = steps_of(op, s, input_lengths_);
  Array labels = Array::empty(op, {s.batch, s.steps}, NPY_INT64);
  Array counts = Array::empty(op, {s.batch}, NPY_INT64);
  Array scores = Array::empty(op, {s.batch}, s.x.typenum());
  with_kernels(s.x, s.x.numel(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.ctc_greedy(s.x.template data<T>(), labels.data<int64_t>(), counts.data<int64_t>(),
                 scores.data<T>(), s.problem(input_lengths));
  });
  return py::make_tuple(labels.release(), counts.release(), scores.release());
}

// The same with an axis of nbest behind N.
py::object ctc_beam_search(py::handle log_probs, py::handle input_lengths_, int64_t beam_width,
                           int64_t blank, int64_t nbest) {
  const char* op = "ctc_beam_search";
  const Scores s(op, log_probs, blank);
  const std::vector<int64_t> input_lengths = steps_of(op, s, input_lengths_);
  CHECK(beam_width >= 1, op, ": beam_width must be at least 1, got ", beam_width);
  CHECK(nbest >= 1 && nbest <= beam_width, op,
        ": nbest must be from 1 to beam_width = ", beam_width, ", got ", nbest);
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  CHECK(s.classes < kMost && checked_mul(op, s.steps, beam_width) < kMost, op,
        ": log_probs must have fewer than 2^31 classes, and steps times beam_width, got "
        "log_probs.shape = ",
        s.x.shape(), " with beam_width = ", beam_width);
  Array labels = Array::empty(op, {s.batch, nbest, s.steps}, NPY_INT64);
  Array counts = Array::empty(op, {s.batch, nbest}, NPY_INT64);
  Array scores = Array::empty(op, {s.batch, nbest}, s.x.typenum());
  with_kernels(s.x, s.x.numel() + s.steps * beam_width, [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.ctc_beam_search(s.x.template data<T>(), labels.data<int64_t>(), counts.data<int64_t>(),
                      scores.data<T>(), beam_width, nbest, s.problem(input_lengths));
  });
  return py::make_tuple(labels.release(), counts.release(), scores.release());
}

}  // namespace

void bind_ctc(Module& m) {
  m.def("ctc_loss", &ctc_loss, py::arg("log_probs"), py::arg("targets"), py::arg("input_lengths"),
        py::arg("target_lengths"), py::arg("blank"), py::arg("reduction"), py::arg("zero_infinity"),
        py::arg("gradient"));
  m.def("ctc_greedy_decode", &ctc_greedy_decode, py::arg("log_probs"), py::arg("input_lengths"),
        py::arg("blank"));
  m.def("ctc_beam_search", &ctc_beam_search, py::arg("log_probs"), py::arg("input_lengths"),
        py::arg("beam_width"), py::arg("blank"), py::arg("nbest"));
}

}  // namespace dlcore
