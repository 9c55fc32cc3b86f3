#include <cmath>
#include <cstring>

#include "bindings/array.h"
#include "runtime/random.h"

namespace dlcore {
namespace {

constexpr char kOp[] = "scaled_dot_product_attention";

// (batch, heads, rows, cols) of 2 to 4 axes, read where it lies if its rows are contiguous.
struct Stack {
  Array x;
  int64_t size[4] = {1, 1, 1, 1}, step[4] = {0, 0, 0, 0};

  Stack(const char* op, const char* name, py::handle object) : x(Array::strided(op, name, object)) {
    const int n = x.ndim();
    CHECK(n >= 2 && n <= 4, op, ": ", name, " must have 2 to 4 axes here, got ", name,
          ".shape = ", x.shape());
    if (x.size(-1) > 1 && x.stride(-1) != 1) x = Array(op, name, x.object());
    for (int i = 0; i < n; ++i) {
      size[4 - n + i] = x.size(i);
      step[4 - n + i] = x.size(i) == 1 ? 0 : x.stride(i);
    }
  }
  template <class T>
  Heads<T> heads() const {
    return {x.data<std::remove_const_t<T>>(), step[0], step[1], step[2]};
  }
};

// The order of batch, heads and rows in memory, the farthest apart first.
struct Order {
  int axis[3] = {0, 1, 2};

  explicit Order(const Stack& s) {
    const auto before = [&](int a, int b) {
      return s.size[a] == 1 || s.size[b] == 1 ? a < b
                                              : std::llabs(s.step[a]) >= std::llabs(s.step[b]);
    };
    for (int i = 1; i < 3; ++i)
      for (int j = i; j > 0 && !before(axis[j - 1], axis[j]); --j) std::swap(axis[j - 1], axis[j]);
  }
};

// A new stack of `ndim` axes whose memory is in this order.
struct Made {
  py::object view;
  Array memory;
  int64_t step[3];

  Made(const char* op, const int64_t (&size)[4], int ndim, const Order& order, int typenum) {
    memory = Array::empty(
        op, {size[order.axis[0]], size[order.axis[1]], size[order.axis[2]], size[3]}, typenum);
    npy_intp where[4] = {0, 0, 0, 3};
    for (int i = 0; i < 3; ++i) {
      where[order.axis[i]] = i;
      step[order.axis[i]] = memory.stride(i);
    }
    PyArray_Dims permutation = {where, 4};
    view = steal_object(PyArray_Transpose(memory.get(), &permutation));
    if (ndim == 4) return;
    npy_intp few[4];
    for (int i = 0; i < ndim; ++i) few[i] = static_cast<npy_intp>(size[4 - ndim + i]);
    PyArray_Dims shape = {few, ndim};
    view = steal_object(
        PyArray_Newshape(reinterpret_cast<PyArrayObject*>(view.ptr()), &shape, NPY_CORDER));
  }
  template <class T>
  Heads<T> heads() const {
    return {memory.data<T>(), step[0], step[1], step[2]};
  }
  static py::object steal_object(PyObject* object) {
    if (!object) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(object);
  }
};

// The arguments of both ways, checked.
struct Call {
  const char* op;
  Stack q, k, v;
  Array mask;
  bool is_bool = false, causal;
  int64_t mask_step[4] = {0, 0, 0, 0};
  double scale, p;
  RandomState from{};

  Call(const char* op_, py::handle query, py::handle key, py::handle value, py::handle attn_mask,
       double dropout_p, bool is_causal, py::handle scale_, bool enable_gqa)
      : op(op_),
        q(op, "query", query),
        k(op, "key", key),
        v(op, "value", value),
        causal(is_causal),
        p(dropout_p) {
    check_same_dtype(op, "query", q.x, "key", k.x);
    check_same_dtype(op, "query", q.x, "value", v.x);
    check_stack("key", k, enable_gqa);
    check_stack("value", v, enable_gqa);
    CHECK(k.size[3] == q.size[3], op, ": key must have query's last axis, ", q.size[3],
          ", got key.shape = ", k.x.shape());
    CHECK(v.size[2] == k.size[2], op, ": value must have key's rows, ", k.size[2],
          ", got value.shape = ", v.x.shape());
    CHECK(v.size[1] == k.size[1], op, ": value must have key's heads, ", k.size[1],
          ", got value.shape = ", v.x.shape());
    CHECK(p >= 0 && p <= 1, op, ": dropout_p must be from 0 to 1, got ", p);
    scale = scale_.is_none() ? 1 / std::sqrt(static_cast<double>(q.size[3]))
                             : real_argument(op, "scale", scale_);
    if (!attn_mask.is_none()) take_mask(attn_mask);
  }

  void check_stack(const char* name, const Stack& s, bool enable_gqa) const {
    CHECK(s.x.ndim() == q.x.ndim(), op, ": ", name, " must have query's number of axes, ",
          q.x.ndim(), ", got ", name, ".shape = ", s.x.shape());
    CHECK(s.size[0] == q.size[0], op, ": ", name,
          " must have query's batch, query.shape = ", q.x.shape(), ", got ", name,
          ".shape = ", s.x.shape());
    if (enable_gqa)
      CHECK(s.size[1] > 0 ? q.size[1] % s.size[1] == 0 : q.size[1] == 0, op, ": ", name,
            " must have heads that divide query's, query.shape = ", q.x.shape(), ", got ", name,
            ".shape = ", s.x.shape());
    else
      CHECK(s.size[1] == q.size[1], op, ": ", name,
            " must have query's heads, query.shape = ", q.x.shape(), ", got ", name,
            ".shape = ", s.x.shape(), ": for fewer pass enable_gqa=True");
  }

  void take_mask(py::handle object) {
    PyArrayObject* a = reinterpret_cast<PyArrayObject*>(object.ptr());
    is_bool = PyArray_Check(object.ptr()) && PyArray_TYPE(a) == NPY_BOOL;
    if (is_bool) {
      mask = Array::boolean(op, "attn_mask", object);
    } else {
      mask = Array::strided(op, "attn_mask", object);
      check_same_dtype(op, "query", q.x, "attn_mask", mask);
    }
    const int64_t whole[4] = {q.size[0], q.size[1], q.size[2], k.size[2]};
    const int n = mask.ndim();
    bool fits = n <= q.x.ndim();
    for (int i = 0; fits && i < n; ++i) {
      const int axis = 4 - n + i;
      fits = mask.size(i) == whole[axis] || mask.size(i) == 1;
      mask_step[axis] = mask.size(i) == 1 ? 0 : mask.stride(i);
    }
    CHECK(fits, op, ": attn_mask must broadcast to ", Shape{whole[0], whole[1], whole[2], whole[3]},
          ", got attn_mask.shape = ", mask.shape());
  }

  bool empty() const { return q.size[0] * q.size[1] * q.size[2] == 0; }

  int64_t work() const {
    const double all = static_cast<double>(q.size[0] * q.size[1] * q.size[2]) *
                       static_cast<double>(k.size[2] * (q.size[3] + v.size[3]));
    return static_cast<int64_t>(std::min(all, 1e15));
  }

  void reserve() {
    if (p == 0) return;
    const double counters = static_cast<double>(q.size[0] * q.size[1]) *
                            static_cast<double>(attention_groups(q.size[2], k.size[2])) *
                            kGroupCounters;
    from = random_reserve(static_cast<uint64_t>(counters));
  }

  template <class T>
  void fill(Attention<T>& a) const {
    a.batch = q.size[0];
    a.heads = q.size[1];
    a.kv_heads = k.size[1];
    a.queries = q.size[2];
    a.keys = k.size[2];
    a.depth = q.size[3];
    a.value_depth = v.size[3];
    a.q = q.heads<const T>();
    a.k = k.heads<const T>();
    a.v = v.heads<const T>();
    a.bias = mask.defined() && !is_bool ? mask.data<T>() : nullptr;
    a.keep = is_bool ? mask.data<bool>() : nullptr;
    a.mask_batch = mask_step[0];
    a.mask_head = mask_step[1];
    a.mask_row = mask_step[2];
    a.mask_col = mask_step[3];
    a.causal = causal;
    a.scale = static_cast<T>(scale);
    const double drop_below = std::nearbyint(p * 0x1p32);
    a.drop_below = static_cast<uint32_t>(std::min(drop_below, 0x1p32 - 1));
    a.drop_scale = drop_below < 0x1p32 ? static_cast<T>(1 / (1 - p)) : T(0);
    a.seed = from.seed;
    a.offset = from.offset;
  }
};

// The result, log-sum-exp of each row of scores, and where dropout's numbers come from.
py::object attention_forward(py::handle query, py::handle key, py::handle value,
                             py::handle attn_mask, double dropout_p, bool is_causal,
                             py::handle scale, bool enable_gqa) {
  Call call(kOp, query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa);
  const int64_t size[4] = {call.q.size[0], call.q.size[1], call.q.size[2], call.v.size[3]};
  const Made y(kOp, size, call.q.x.ndim(), Order(call.q), call.q.x.typenum());
  const Array lse = Array::empty(kOp, {size[0], size[1], size[2]}, call.q.x.typenum());
  call.reserve();
  if (!call.empty())
    with_kernels(call.q.x, call.work(), [&](const auto& k) {
      using T = scalar_of<decltype(k)>;
      Attention<T> a;
      call.fill(a);
      a.y = y.template heads<T>();
      a.lse = lse.data<T>();
      k.attention_forward(a);
    });
  return py::make_tuple(y.view, lse.object(), call.from.seed, call.from.offset);
}

// (dq, dk, dv, dmask), or with `packed`, for query, key and value of one shape, one array of (...,
// 3, heads, depth) in the place of dq, whose first axes have the order of query's memory.
py::object attention_backward(py::handle query, py::handle key, py::handle value,
                              py::handle attn_mask, double dropout_p, bool is_causal,
                              py::handle scale, bool enable_gqa, py::handle y_, py::handle lse_,
                              uint64_t seed, uint64_t offset, py::handle dy_, bool wants_mask,
                              bool packed) {
  constexpr char op[] = "scaled_dot_product_attention_backward";
  Call call(op, query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa);
  call.from = {seed, offset};
  const Stack y(op, "y", y_), dy(op, "dy", dy_);
  const Array lse(op, "lse", lse_);
  const Shape want{call.q.size[0], call.q.size[1], call.q.size[2], call.v.size[3]};
  for (const auto& [name, s] : {std::pair{"y", &y}, std::pair{"dy", &dy}}) {
    check_same_dtype(op, "query", call.q.x, name, s->x);
    CHECK(Shape({s->size[0], s->size[1], s->size[2], s->size[3]}) == want, op, ": ", name,
          " must have the result's shape ", want, ", got ", name, ".shape = ", s->x.shape());
  }
  check_same_dtype(op, "query", call.q.x, "lse", lse);
  CHECK(lse.shape() == Shape({want[0], want[1], want[2]}), op, ": lse must be what forward gave");
  CHECK(!packed || (call.q.x.same_shape(call.k.x) && call.q.x.same_shape(call.v.x)), op,
        ": query, key and value must have one shape where packed is set");

  const int type = call.q.x.typenum(), ndim = call.q.x.ndim();
  const Order order(call.q);
  std::optional<Made> dq, dk, dv;
  Array all, dmask;
  int64_t step[3] = {0, 0, 0}, part = 0;
  if (packed) {
    const int64_t (&size)[4] = call.q.size;
    int outer[2], count = 0;
    for (int axis : order.axis)
      if (axis != 1) outer[count++] = axis;
    all = Array::empty(op, {size[outer[0]], size[outer[1]], 3, size[1], size[3]}, type);
    for (int i = 0; i < 2; ++i) step[outer[i]] = all.stride(i);
    step[1] = all.stride(3);
    part = all.stride(2);
  } else {
    dq.emplace(op, call.q.size, ndim, order, type);
    dk.emplace(op, call.k.size, ndim, Order(call.k), type);
    dv.emplace(op, call.v.size, ndim, Order(call.v), type);
  }
  if (wants_mask) {
    dmask = Array::empty(op, {want[0], want[1], want[2], call.k.size[2]}, type);
    std::memset(dmask.data<char>(), 0, static_cast<size_t>(dmask.nbytes()));
  }
  with_kernels(call.q.x, 3 * call.work(), [&](const auto& k) {
    using T = scalar_of<decltype(k)>;
    AttentionGradient<T> a;
    call.fill(a);
    a.y = y.template heads<T>();
    a.lse = lse.data<T>();
    a.dy = dy.template heads<const T>();
    a.dbias = wants_mask ? dmask.data<T>() : nullptr;
    const auto third = [&](int i) {
      return Heads<T>{all.data<T>() + i * part, step[0], step[1], step[2]};
    };
    a.dq = packed ? third(0) : dq->template heads<T>();
    a.dk = packed ? third(1) : dk->template heads<T>();
    a.dv = packed ? third(2) : dv->template heads<T>();
    k.attention_backward(a);
  });
  const py::object mask = wants_mask ? dmask.object() : py::none();
  if (packed) return py::make_tuple(all.object(), py::none(), py::none(), mask);
  return py::make_tuple(dq->view, dk->view, dv->view, mask);
}

}  // namespace

void bind_attention(Module& m) {
  m.def("scaled_dot_product_attention_forward", &attention_forward, py::arg("query"),
        py::arg("key"), py::arg("value"), py::arg("attn_mask"), py::arg("dropout_p"),
        py::arg("is_causal"), py::arg("scale"), py::arg("enable_gqa"));
  m.def("scaled_dot_product_attention_backward", &attention_backward, py::arg("query"),
        py::arg("key"), py::arg("value"), py::arg("attn_mask"), py::arg("dropout_p"),
        py::arg("is_causal"), py::arg("scale"), py::arg("enable_gqa"), py::arg("y"), py::arg("lse"),
        py::arg("seed"), py::arg("offset"), py::arg("dy"), py::arg("wants_mask"),
        py::arg("packed"));
}

}  // namespace dlcore
