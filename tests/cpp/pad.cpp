// Padding in each mode, with crops, by the place that each element is a copy of.
#include "check.h"

namespace dlcore {
namespace {

// The element of x along one axis; -1 for the constant.
int64_t source(const Pad& p, int axis, int64_t o) {
  const int64_t n = p.size[axis], i = o - p.before[axis];
  const int64_t after = p.out[axis] - n - p.before[axis];
  const int64_t begin = std::max<int64_t>(0, -p.before[axis]);
  const int64_t end = n - std::max<int64_t>(0, -after);
  if (i >= begin && i < end) return i;
  switch (p.mode) {
    case PadMode::constant:
      return -1;
    case PadMode::reflect:
      return i < 0 ? -i : 2 * (n - 1) - i;
    case PadMode::replicate:
      return i < 0 ? 0 : n - 1;
    default:
      return i < begin ? i + end - begin : i - (end - begin);
  }
}

template <class T>
void padded(const Pad& p) {
  int64_t in = 1, out = 1;
  for (int axis = 0; axis < p.ndim; ++axis) in *= p.size[axis], out *= p.out[axis];
  const Values<T> x = numbers<T>(in, -1, 1), dy = numbers<T>(out, -1, 1, 5);
  Expected y(out), dx(in);
  for (int64_t o = 0; o < out; ++o) {
    int64_t at = 0, step = 1, rest = o;
    for (int axis = p.ndim - 1; axis >= 0 && at >= 0; --axis) {
      const int64_t i = source(p, axis, rest % p.out[axis]);
      at = i < 0 ? -1 : at + i * step;
      step *= p.size[axis];
      rest /= p.out[axis];
    }
    y.set(o, at < 0 ? Wide(0.5) : Wide(x[at]));
    if (at >= 0) dx.add(at, dy[o]);
  }
  check<T>("pad_forward", y, 0,
           [&](const auto& k, T* to) { k.pad_forward(x.data(), to, p, T(0.5)); });
  // Up to 4 copies along each of three axes.
  check<T>("pad_backward", dx, chain(64),
           [&](const auto& k, T* to) { k.pad_backward(dy.data(), to, p); });
}

template <class T>
void all() {
  for (const PadMode mode :
       {PadMode::constant, PadMode::reflect, PadMode::replicate, PadMode::circular}) {
    padded<T>({mode, 1, {37}, {42}, {3}});
    padded<T>({mode, 3, {3, 7, 21}, {3, 10, 23}, {0, 2, 1}});
    padded<T>({mode, 3, {200, 17, 40}, {200, 15, 45}, {0, -3, 6}});
    padded<T>({mode, 4, {2, 5, 6, 9}, {2, 8, 4, 12}, {0, 2, -1, -2}});
  }
}

}  // namespace

void check_pad() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
