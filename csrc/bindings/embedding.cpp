#include <optional>
#include <vector>

#include "bindings/indices.h"

namespace dlcore {
namespace {

BagMode parse_mode(const char* op, py::handle object) {
  const std::string mode = word(object);
  CHECK(mode == "sum" || mode == "mean" || mode == "max", op,
        ": mode must be 'sum', 'mean' or 'max', got ", shown(object));
  return mode == "sum" ? BagMode::sum : mode == "mean" ? BagMode::mean : BagMode::max;
}

// The table's numbers of rows, of each bag, all checked. input is (bags, length), or one list that
// offsets cut into bags.
class BagList {
 public:
  BagList(const char* op, const Shape& table, int typenum, py::handle input_, py::handle offsets_,
          py::handle mode, py::handle scale_, bool last_offset, int64_t padding)
      : input(op, "input", input_), mode_(parse_mode(op, mode)), padding_(padding) {
    CHECK(table.ndim == 2, op, ": weight must have shape (rows, dim), got weight.shape = ", table);
    rows_ = table[0];
    dim_ = table[1];
    input.check(op, "input", rows_);
    CHECK(input.count() < (int64_t(1) << 31), op,
          ": input must have fewer than 2^31 elements, got ", input.count());
    take_offsets(op, offsets_, last_offset);
    if (scale_.is_none()) return;
    CHECK(mode_ == BagMode::sum, op, ": per_sample_weights must come with mode='sum', got ",
          shown(mode));
    scale_array_ = Array(op, "per_sample_weights", scale_);
    CHECK_TYPE(scale_array_.typenum() == typenum, op,
               ": per_sample_weights must have the dtype of weight, got ", scale_array_.dtype());
    CHECK(scale_array_.shape() == input.shape(), op,
          ": per_sample_weights must have the shape of input, ", input.shape(),
          ", got per_sample_weights.shape = ", scale_array_.shape());
  }

  int64_t bags() const { return static_cast<int64_t>(offsets_.size()) - 1; }
  int64_t dim() const { return dim_; }
  int64_t rows() const { return rows_; }
  int64_t work() const { return (input.count() + bags()) * dim_; }
  BagMode mode() const { return mode_; }
  bool is_scaled() const { return scale_array_.defined(); }

  template <class T>
  Bags<T> shape() const {
    return {bags(),
            dim_,
            input.data(),
            offsets_.data(),
            is_scaled() ? scale_array_.data<T>() : nullptr,
            padding_,
            mode_};
  }

  // The gradient of the table, or, with `named`, of the rows that are: row `from` of dy, `scale`
  // times, is added to each row of the input.
  template <class T>
  void add_to_table(const KernelTable<T>& k, const T* dy, T* dweight,
                    const NamedRows* named = nullptr) const {
    std::vector<int64_t> from(static_cast<size_t>(input.count()));
    std::vector<T> scale;
    if (mode_ == BagMode::mean) scale.resize(from.size());
    const int64_t* const index = input.data();
    for (int64_t b = 0; b < bags(); ++b) {
      int64_t count = 0;
      for (int64_t i = offsets_[b]; i < offsets_[b + 1]; ++i) {
        from[i] = b;
        count += index[i] != padding_;
      }
      if (mode_ == BagMode::mean)
        for (int64_t i = offsets_[b]; i < offsets_[b + 1]; ++i)
          scale[i] = T(1) / static_cast<T>(std::max<int64_t>(count, 1));
    }
    const T* factors = mode_ == BagMode::mean ? scale.data() : shape<T>().scale;
    if (!named) {
      k.add_rows(dy, nullptr, dweight,
                 {1, rows_, bags(), dim_, index, from.data(), factors, input.count(), padding_,
                  false, T(1)});
      return;
    }
    const std::vector<int64_t>& places = named->places;
    std::vector<int64_t> bag(places.size());
    std::vector<T> factor(factors ? places.size() : 0);
    for (size_t i = 0; i < places.size(); ++i) {
      bag[i] = from[places[i]];
      if (factors) factor[i] = factors[places[i]];
    }
    k.add_rows(
        dy, nullptr, dweight,
        {1, static_cast<int64_t>(named->rows.size()), bags(), dim_, named->slots.data(), bag.data(),
         factors ? factor.data() : nullptr, static_cast<int64_t>(bag.size()), -1, false, T(1)});
  }

  const Indices input;

 private:
  void take_offsets(const char* op, py::handle object, bool last_offset) {
    const Shape shape = input.shape();
    if (shape.ndim == 2) {
      CHECK(object.is_none(), op, ": offsets must not be given for input of two axes, got ",
            "input.shape = ", shape);
      for (int64_t b = 0; b <= shape[0]; ++b) offsets_.push_back(b * shape[1]);
      return;
    }
    CHECK(shape.ndim == 1, op, ": input must have one axis or two, got input.shape = ", shape);
    CHECK(!object.is_none(), op, ": offsets must be given for input of one axis: the place where ",
          "each bag begins");
    const Indices given(op, "offsets", object);
    CHECK(given.shape().ndim == 1, op,
          ": offsets must have one axis, got offsets.shape = ", given.shape());
    CHECK(given.count() > 0 || !last_offset, op,
          ": offsets must hold the end of the last bag with include_last_offset");
    offsets_.assign(given.data(), given.data() + given.count());
    CHECK(offsets_.empty() || offsets_[0] == 0, op, ": offsets must begin with 0, got ",
          offsets_[0]);
    if (!last_offset) offsets_.push_back(input.count());
    for (size_t b = 1; b < offsets_.size(); ++b)
      CHECK(offsets_[b - 1] <= offsets_[b] && offsets_[b] <= input.count(), op,
            ": offsets must rise from 0 to the length of input, ", input.count(), ", got ",
            offsets_[b], " after ", offsets_[b - 1]);
  }

  BagMode mode_;
  int64_t padding_, rows_ = 0, dim_ = 0;
  std::vector<int64_t> offsets_;
  Array scale_array_;
};

// The bags' rows, and for max where each element is from.
py::object embedding_bag_forward(py::handle weight_, py::handle input, py::handle offsets,
                                 py::handle mode, py::handle scale, bool last_offset,
                                 int64_t padding) {
  const char* op = "embedding_bag";
  const Array weight(op, "weight", weight_);
  const BagList bags(op, weight.shape(), weight.typenum(), input, offsets, mode, scale, last_offset,
                     padding);
  const Shape shape{bags.bags(), bags.dim()};
  Array y = Array::empty(op, shape, weight.typenum());
  Array best = bags.mode() == BagMode::max ? Array::empty(op, shape, NPY_INT64) : Array();
  with_kernels(weight, bags.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.embedding_bag_forward(weight.data<T>(), y.data<T>(),
                            best.defined() ? best.data<int64_t>() : nullptr, bags.shape<T>());
  });
  return py::make_tuple(y.release(), best.defined() ? best.release() : py::object(py::none()));
}

Array bag_gradient(const char* op, const BagList& bags, int typenum, py::handle object) {
  Array dy(op, "dy", object);
  CHECK(dy.typenum() == typenum && dy.shape() == (Shape{bags.bags(), bags.dim()}), op,
        ": dy must be like the result, got dy.shape = ", dy.shape());
  return dy;
}

// The gradient of the table for the sum and the mean; for max it is a scatter. Sparse: the numbers
// of the rows that are named, rising, and their gradients.
py::object embedding_bag_backward(py::handle dy_, int64_t rows, py::handle input,
                                  py::handle offsets, py::handle mode, py::handle scale,
                                  bool last_offset, int64_t padding, bool sparse) {
  const char* op = "embedding_bag_backward";
  Array dy(op, "dy", dy_);
  CHECK(dy.ndim() == 2, op, ": dy must be like the result, got dy.shape = ", dy.shape());
  const Shape table{rows, dy.size(1)};
  const BagList bags(op, table, dy.typenum(), input, offsets, mode, scale, last_offset, padding);
  dy = bag_gradient(op, bags, dy.typenum(), dy.object());
  CHECK(bags.mode() != BagMode::max, op, ": mode must be 'sum' or 'mean', got 'max'");
  std::optional<NamedRows> named;
  if (sparse) named.emplace(op, bags.input, padding);
  Shape shape = table;
  if (sparse) shape.size[0] = static_cast<int64_t>(named->rows.size());
  Array dweight = Array::empty(op, shape, dy.typenum());
  if (dweight.numel() > 0)
    with_kernels(dy, bags.work() + dweight.numel(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      bags.add_to_table<T>(k, dy.data<T>(), dweight.data<T>(), named ? &*named : nullptr);
    });
  if (!sparse) return dweight.release();
  return py::make_tuple(named->row_numbers(op).release(), dweight.release());
}

// The gradient of per_sample_weights.
py::object embedding_bag_backward_scale(py::handle weight_, py::handle dy_, py::handle input,
                                        py::handle offsets, bool last_offset, int64_t padding) {
  const char* op = "embedding_bag_backward_scale";
  const Array weight(op, "weight", weight_);
  const BagList bags(op, weight.shape(), weight.typenum(), input, offsets, py::str("sum"),
                     py::none(), last_offset, padding);
  const Array dy = bag_gradient(op, bags, weight.typenum(), dy_);
  Array dscale = Array::empty(op, bags.input.shape(), weight.typenum());
  with_kernels(weight, bags.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    k.embedding_bag_backward_scale(weight.data<T>(), dy.data<T>(), dscale.data<T>(),
                                   bags.shape<T>());
  });
  return dscale.release();
}

}  // namespace

void bind_embedding(Module& m) {
  const auto arg = [](const char* name) { return py::arg(name); };
  m.def("embedding_bag_forward", &embedding_bag_forward, arg("weight"), arg("input"),
        arg("offsets"), arg("mode"), arg("per_sample_weights"), arg("include_last_offset"),
        arg("padding_idx"));
  m.def("embedding_bag_backward", &embedding_bag_backward, arg("dy"), arg("rows"), arg("input"),
        arg("offsets"), arg("mode"), arg("per_sample_weights"), arg("include_last_offset"),
        arg("padding_idx"), arg("sparse"));
  m.def("embedding_bag_backward_scale", &embedding_bag_backward_scale, arg("weight"), arg("dy"),
        arg("input"), arg("offsets"), arg("include_last_offset"), arg("padding_idx"));
}

}  // namespace dlcore
