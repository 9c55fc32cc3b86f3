// Norms of all gradients of a network in one call, and clipping them in another: one read, and one
// read and write where they are too large.

#include "cpu/optim.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Of n elements: the sum of |x| or x^2, in double.
template <class T, bool kSquared>
double sum_of_piece(const T* x, int64_t n) {
  Vec<double> sum[2] = {};
  const auto add = [&](Vec<T> v) {
    in_double<T>(v,
                 [&](int half, Vec<double> d) { sum[half] += kSquared ? d * d : abs<double>(d); });
  };
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) add(load<T>(x + i));
  if (i < n) add(load_part<T>(x + i, n - i, T(0)));
  return hsum<double>(sum[0] + sum[1]);
}

// The largest |x|; NaN wins.
template <class T>
double largest_of_piece(const T* x, int64_t n) {
  const auto join = [](Vec<T> a, Vec<T> b) { return a == a ? max<T>(a, b) : a; };
  Vec<T> top{};
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) top = join(top, abs<T>(load<T>(x + i)));
  if (i < n) top = join(top, abs<T>(load_part<T>(x + i, n - i, T(0))));
  return fold<T>(top, join);
}

// norm[t] = sum |x|, sqrt(sum x^2) or max |x| of tensor t, 0 when it is empty. `partial` has
// partial_sums(count, start[count]) places. NaN and infinity are passed on.
template <class T>
void tensor_norms(int64_t count, const int64_t* start, const T* const* tensor, NormKind kind,
                  double* partial, double* norm) {
  for_each_piece(count, start, [=](int64_t t, int64_t begin, int64_t end) {
    const T* x = tensor[t] + begin;
    const int64_t n = end - begin;
    partial[piece_place(start, t, begin)] = kind == NormKind::kSquares ? sum_of_piece<T, true>(x, n)
                                            : kind == NormKind::kAbsolute
                                                ? sum_of_piece<T, false>(x, n)
                                                : largest_of_piece<T>(x, n);
  });
  for (int64_t t = 0; t < count; ++t) {
    norm[t] = join_pieces(start, t, partial, [=](double a, double b) {
      if (kind != NormKind::kLargest) return a + b;
      return a != a || b <= a ? a : b;
    });
    if (kind == NormKind::kSquares) norm[t] = __builtin_sqrt(norm[t]);
  }
}

// x = x factor, then within [-limit, limit]. NaN stays NaN.
template <class T>
void clip_tensors(int64_t count, const int64_t* start, T* const* tensor, T factor, T limit) {
  for_each_piece(count, start, [=](int64_t t, int64_t begin, int64_t end) {
    T* const x = tensor[t];
    for (int64_t i = begin; i < end; i += kLanes<T>) {
      const int64_t n = smaller(kLanes<T>, end - i);
      store_part<T>(x + i, n, clamp<T>(load_part<T>(x + i, n, T(0)) * factor, -limit, limit));
    }
  });
}

}  // namespace

DLCORE_EXPORT(tensor_norms)
DLCORE_EXPORT(clip_tensors)

}  // namespace DLCORE_ISA
}  // namespace dlcore
