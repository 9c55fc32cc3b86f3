// Reductions of y[k1, k2] over r1 and r2 of x[k1, r1, k2, r2], and the index of the largest. Every
// set of axes that the bindings can merge into this form is one read of x, which bounds the time.
//
// Sums are pairwise: 64 vectors in a row in 4 accumulators (or 16 rows of a column), then a binary
// tree. Large reductions to few results are cut into pieces by the shape, each with its own
// partial result, and the partial results joined by the same tree: any number of threads gives the
// same bits.

#include "kernels/reduction.h"

#include "cpu/simd_math.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kGrain = int64_t(1) << 15;  // elements read by one task
constexpr int64_t kFewResults = 16;           // fewer tasks than this: cut the reduced axes too
constexpr int64_t kBlock = 64;                // vectors added in a row
constexpr int64_t kBlockRows = 16;            // rows added in a column
constexpr int64_t kTileCols = 1024;           // columns that stay in the L1 with their tree
constexpr int kMaxLevels = 64;

// What is joined: lift(x, shift) of each element. `pad` is an element that changes nothing.
// Partial joins what was joined: the same without lifting it again.
template <class T>
struct Sum {
  using Partial = Sum;
  static constexpr T kStart = 0;
  static DLCORE_INLINE_MEMBER T pad(T) { return 0; }
  static DLCORE_INLINE_MEMBER Vec<T> lift(Vec<T> x, Vec<T>) { return x; }
  static DLCORE_INLINE_MEMBER Vec<T> join(Vec<T> a, Vec<T> b) { return a + b; }
};
template <class T>
struct SumAbs : Sum<T> {
  static DLCORE_INLINE_MEMBER Vec<T> lift(Vec<T> x, Vec<T>) { return abs<T>(x); }
};
template <class T>
struct SumSquares : Sum<T> {
  static DLCORE_INLINE_MEMBER T pad(T shift) { return shift; }
  static DLCORE_INLINE_MEMBER Vec<T> lift(Vec<T> x, Vec<T> shift) {
    return (x - shift) * (x - shift);
  }
};
template <class T>
struct Product : Sum<T> {
  using Partial = Product;
  static constexpr T kStart = 1;
  static DLCORE_INLINE_MEMBER T pad(T) { return 1; }
  static DLCORE_INLINE_MEMBER Vec<T> join(Vec<T> a, Vec<T> b) { return a * b; }
};
// max and min return b when either is NaN.
template <class T>
struct Largest : Sum<T> {
  using Partial = Largest;
  static constexpr T kStart = -kInf<T>;
  static DLCORE_INLINE_MEMBER T pad(T) { return kStart; }
  static DLCORE_INLINE_MEMBER Vec<T> join(Vec<T> a, Vec<T> b) { return a == a ? max<T>(a, b) : a; }
};
template <class T>
struct Smallest : Sum<T> {
  using Partial = Smallest;
  static constexpr T kStart = kInf<T>;
  static DLCORE_INLINE_MEMBER T pad(T) { return kStart; }
  static DLCORE_INLINE_MEMBER Vec<T> join(Vec<T> a, Vec<T> b) { return a == a ? min<T>(a, b) : a; }
};

// Joins what is pushed as a balanced tree: a binary counter whose digits are partial results.
template <class T, class Op>
struct Tree {
  Vec<T> level[kMaxLevels];
  int top = 0;
  int64_t count = 0;

  DLCORE_INLINE_MEMBER void push(Vec<T> v) {
    for (int64_t c = count++; c & 1; c >>= 1) v = Op::join(level[--top], v);
    level[top++] = v;
  }
  DLCORE_INLINE_MEMBER T finish() {
    Vec<T> v = splat<T>(Op::kStart);
    while (top > 0) v = Op::join(level[--top], v);
    return fold<T>(v, [](Vec<T> a, Vec<T> b) { return Op::join(a, b); });
  }
};

// One result from `rows` rows of n contiguous elements.
template <class T, class Op>
T reduce_rows(const T* x, int64_t rows, int64_t stride, int64_t n, T shift) {
  const Vec<T> moved = splat<T>(shift), start = splat<T>(Op::kStart);
  const T pad = Op::pad(shift);
  Tree<T, Op> tree;
  Vec<T> acc[4] = {start, start, start, start};
  const auto push = [&] {
    tree.push(Op::join(Op::join(acc[0], acc[1]), Op::join(acc[2], acc[3])));
    acc[0] = acc[1] = acc[2] = acc[3] = start;
  };
  int64_t used = 0;  // vectors in acc
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t from = 0; from < n; from += kBlock * kLanes<T>) {
      if (used >= kBlock) {
        push();
        used = 0;
      }
      const T* p = x + r * stride + from;
      const int64_t m = smaller(n - from, kBlock * kLanes<T>);
      int64_t i = 0;
      for (; i + 4 * kLanes<T> <= m; i += 4 * kLanes<T>)
        for (int64_t j = 0; j < 4; ++j)
          acc[j] = Op::join(acc[j], Op::lift(load<T>(p + i + j * kLanes<T>), moved));
      for (; i + kLanes<T> <= m; i += kLanes<T>)
        acc[0] = Op::join(acc[0], Op::lift(load<T>(p + i), moved));
      if (i < m) acc[1] = Op::join(acc[1], Op::lift(load_part<T>(p + i, m - i, pad), moved));
      used += ceil_div(m, kLanes<T>);
    }
  }
  push();
  return tree.finish();
}

// to[0..cols) = up to kBlockRows rows joined.
template <class T, class Op>
DLCORE_INLINE void join_rows(const T* x, int64_t rows, int64_t stride, int64_t cols, const T* shift,
                             T* to) {
  for (int64_t c = 0; c < cols; c += kLanes<T>) {
    const int64_t n = smaller(kLanes<T>, cols - c);
    const bool whole = n == kLanes<T>;
    const Vec<T> moved = !shift  ? Vec<T>{}
                         : whole ? load<T>(shift + c)
                                 : load_part<T>(shift + c, n, T(0));
    const auto row = [&](int64_t r) {
      const T* p = x + r * stride + c;
      return Op::lift(whole ? load<T>(p) : load_part<T>(p, n, T(0)), moved);
    };
    Vec<T> acc[4];
    for (Vec<T>& a : acc) a = splat<T>(Op::kStart);
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4)
      for (int64_t j = 0; j < 4; ++j) acc[j] = Op::join(acc[j], row(r + j));
    for (; r < rows; ++r) acc[0] = Op::join(acc[0], row(r));
    const Vec<T> sum = Op::join(Op::join(acc[0], acc[1]), Op::join(acc[2], acc[3]));
    if (whole)
      store<T>(to + c, sum);
    else
      store_part<T>(to + c, n, sum);
  }
}

// y[c] from `rows` rows of at most kTileCols columns: the binary counter of Tree, on rows.
template <class T, class Op>
void reduce_columns(const T* x, int64_t rows, int64_t stride, int64_t cols, const T* shift, T* y) {
  if (rows <= kBlockRows) return join_rows<T, Op>(x, rows, stride, cols, shift, y);
  const int64_t width = round_up(cols, kLanes<T>);
  int64_t levels = 1;
  for (int64_t blocks = ceil_div(rows, kBlockRows); blocks > 0; blocks >>= 1) ++levels;
  T here[1024];
  T* const scratch =
      levels * width <= 1024
          ? here
          : static_cast<T*>(buffer_acquire(static_cast<size_t>(levels * width) * sizeof(T)));
  const auto level = [&](int64_t l) { return scratch + l * width; };
  const auto join_down = [&](int64_t top) {  // the last two become one
    map_inputs<T>(
        level(top - 2), cols, false, [](Vec<T> a, Vec<T> b) { return Op::join(a, b); },
        Each<T>{level(top - 2)}, Each<T>{level(top - 1)});
  };
  int64_t top = 0, count = 0;
  for (int64_t r = 0; r < rows; r += kBlockRows) {
    join_rows<T, Op>(x + r * stride, smaller(kBlockRows, rows - r), stride, cols, shift,
                     level(top++));
    for (int64_t c = count++; c & 1; c >>= 1) join_down(top--);
  }
  while (top > 1) join_down(top--);
  std::memcpy(y, scratch, static_cast<size_t>(cols) * sizeof(T));
  if (scratch != here) buffer_release(scratch);
}

// The results of a piece (r1 from begin1 to end1, r2 from begin2 to end2), for every k1 and k2.
template <class T, class Op>
DLCORE_INLINE void reduce_piece(const T* x, const T* shift, T* y, const Reduction& s,
                                int64_t begin1, int64_t end1, int64_t begin2, int64_t end2) {
  const int64_t plane = s.reduced1 * s.kept2 * s.reduced2;
  const int64_t row = s.kept2 * s.reduced2;
  if (s.reduced2 > 1) {
    const int64_t cost = larger(1, (end1 - begin1) * (end2 - begin2));
    parallel_for(s.kept1 * s.kept2, ceil_div(kGrain, cost), [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const T* p = x + k / s.kept2 * plane + k % s.kept2 * s.reduced2;
        y[k] = reduce_rows<T, Op>(p + begin1 * row + begin2, end1 - begin1, row, end2 - begin2,
                                  shift ? shift[k] : T(0));
      }
    });
    return;
  }
  const int64_t tiles = ceil_div(s.kept2, kTileCols);
  const int64_t cost = larger(1, (end1 - begin1) * smaller(s.kept2, kTileCols));
  parallel_for(s.kept1 * tiles, ceil_div(kGrain, cost), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % tiles * kTileCols;
      const int64_t k = i / tiles * s.kept2 + c;
      reduce_columns<T, Op>(x + i / tiles * plane + begin1 * row + c, end1 - begin1, row,
                            smaller(kTileCols, s.kept2 - c), shift ? shift + k : nullptr, y + k);
    }
  });
}

template <class T, class Op>
void reduce(const T* x, const T* shift, T* y, const Reduction& s) {
  const int64_t results = s.kept1 * s.kept2;
  const int64_t tasks = s.reduced2 > 1 ? results : s.kept1 * ceil_div(s.kept2, kTileCols);
  const int64_t elements = results * s.reduced1 * s.reduced2;
  if (tasks >= kFewResults || elements < 2 * kGrain)
    return reduce_piece<T, Op>(x, shift, y, s, 0, s.reduced1, 0, s.reduced2);

  // Few results of much: pieces of some kGrain elements along the longer reduced axis.
  const bool along1 = s.reduced2 < kGrain;
  const int64_t length = along1 ? s.reduced1 : s.reduced2;
  const int64_t across =
      along1 ? s.reduced2 * (s.reduced2 > 1 ? 1 : smaller(s.kept2, kTileCols)) : s.reduced1;
  const int64_t piece = round_up(ceil_div(kGrain, across), kBlockRows);
  const int64_t pieces = ceil_div(length, piece);
  T* const partial =
      static_cast<T*>(buffer_acquire(static_cast<size_t>(pieces * results) * sizeof(T)));
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t from = i * piece, to = smaller(from + piece, length);
      if (along1)
        reduce_piece<T, Op>(x, shift, partial + i * results, s, from, to, 0, s.reduced2);
      else
        reduce_piece<T, Op>(x, shift, partial + i * results, s, 0, s.reduced1, from, to);
    }
  });
  for (int64_t c = 0; c < results; c += kTileCols)
    reduce_columns<T, typename Op::Partial>(partial + c, pieces, results,
                                            smaller(kTileCols, results - c), nullptr, y + c);
  buffer_release(partial);
}

template <class T>
DLCORE_INLINE void divide(T* y, int64_t n, T divisor) {
  if (divisor != T(1)) map<T>(y, n, 1, [=](Vec<T> v) { return v / divisor; }, y);
}

// y = sum(x) / divisor.
template <class T>
void sum(const T* x, T* y, const Reduction& shape, T divisor) {
  reduce<T, Sum<T>>(x, nullptr, y, shape);
  divide<T>(y, shape.kept1 * shape.kept2, divisor);
}

template <class T>
void sum_abs(const T* x, T* y, const Reduction& shape) {
  reduce<T, SumAbs<T>>(x, nullptr, y, shape);
}

// y = sum((x - shift)^2) / divisor, one shift for each result; null for none.
template <class T>
void sum_squares(const T* x, const T* shift, T* y, const Reduction& shape, T divisor) {
  reduce<T, SumSquares<T>>(x, shift, y, shape);
  divide<T>(y, shape.kept1 * shape.kept2, divisor);
}

template <class T>
void prod(const T* x, T* y, const Reduction& shape) {
  reduce<T, Product<T>>(x, nullptr, y, shape);
}

template <class T>
void amax(const T* x, T* y, const Reduction& shape) {
  reduce<T, Largest<T>>(x, nullptr, y, shape);
}

template <class T>
void amin(const T* x, T* y, const Reduction& shape) {
  reduce<T, Smallest<T>>(x, nullptr, y, shape);
}

// -- the index of the first largest; the first NaN counts as the largest --

// In a row: the largest by vectors, a block at a time, then its place in the block that held it.
template <class T>
int64_t index_in_row(const T* x, int64_t n, T sign) {
  constexpr int64_t kScan = 4096;
  T best = 0;
  int64_t block = 0;
  for (int64_t from = 0; from < n; from += kScan) {
    const int64_t m = smaller(kScan, n - from);
    const Vec<T> signs = splat<T>(sign);
    Vec<T> top = splat<T>(-kInf<T>);
    int64_t i = 0;
    for (; i + kLanes<T> <= m; i += kLanes<T>)
      top = Largest<T>::join(top, load<T>(x + from + i) * signs);
    if (i < m) top = Largest<T>::join(top, load_part<T>(x + from + i, m - i, x[from]) * signs);
    const T here = fold<T>(top, [](Vec<T> a, Vec<T> b) { return ((a != a) | (a > b)) ? a : b; });
    if (from == 0 || here > best || here != here) {
      best = here;
      block = from;
    }
    if (best != best) break;
  }
  int64_t i = block;
  while (best == best ? x[i] * sign != best : x[i] == x[i]) ++i;
  return i;
}

// In columns: the best so far and its row, a vector at a time. Rows count in T's own integers.
template <class T>
DLCORE_INLINE void index_in_columns(const T* x, int64_t rows, int64_t stride, int64_t cols, T sign,
                                    int64_t* y) {
  typedef decltype(Mask<T>{}[0] + 0) Index;
  for (int64_t c = 0; c < cols; c += kLanes<T>) {
    const int64_t n = smaller(kLanes<T>, cols - c);
    Vec<T> best = load_part<T>(x + c, n, T(0)) * sign;
    Mask<T> at{}, row{};
    for (int64_t r = 1; r < rows; ++r) {
      const Vec<T> v = load_part<T>(x + r * stride + c, n, T(0)) * sign;
      row += static_cast<Index>(1);
      const Mask<T> better = ((v > best) | (v != v)) & (best == best);
      best = better ? v : best;
      at = better ? row : at;
    }
    for (int64_t i = 0; i < n; ++i) y[c + i] = at[i];
  }
}

template <class T>
DLCORE_INLINE void index_of(const T* x, int64_t* y, int64_t outer, int64_t n, int64_t inner,
                            T sign) {
  parallel_for(outer, ceil_div(kGrain, n * inner), [=](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      if (inner == 1)
        y[o] = index_in_row<T>(x + o * n, n, sign);
      else
        index_in_columns<T>(x + o * n * inner, n, inner, inner, sign, y + o * inner);
    }
  });
}

template <class T>
void argmax(const T* x, int64_t* y, int64_t outer, int64_t n, int64_t inner) {
  index_of<T>(x, y, outer, n, inner, T(1));
}

template <class T>
void argmin(const T* x, int64_t* y, int64_t outer, int64_t n, int64_t inner) {
  index_of<T>(x, y, outer, n, inner, T(-1));
}

}  // namespace

DLCORE_EXPORT(sum)
DLCORE_EXPORT(sum_abs)
DLCORE_EXPORT(sum_squares)
DLCORE_EXPORT(prod)
DLCORE_EXPORT(amax)
DLCORE_EXPORT(amin)
DLCORE_EXPORT(argmax)
DLCORE_EXPORT(argmin)

}  // namespace DLCORE_ISA
}  // namespace dlcore
