// Which element of its window an output came from: (depth * height + row) * width + column of the
// window, a byte while a window has at most 256 elements, else an int32.
#pragma once

#include "cpu/pool_halves.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

DLCORE_INLINE bool in_bytes(const Pool& p) {
  return taps_of(p) <= 256;
}

struct TapWriter {
  uint8_t* bytes;  // one of the two is null
  int32_t* ints;

  TapWriter(void* taps, const Pool& p, int64_t at)
      : bytes(in_bytes(p) ? static_cast<uint8_t*>(taps) + at : nullptr),
        ints(in_bytes(p) ? nullptr : static_cast<int32_t*>(taps) + at) {}

  template <class T>
  DLCORE_INLINE_MEMBER void store(int64_t i, int64_t lanes, Mask<T> taps) const {
    if (bytes) return store_bytes<T>(bytes + i, lanes, taps);
    for (int64_t k = 0; k < lanes; ++k) ints[i + k] = static_cast<int32_t>(taps[k]);
  }
  DLCORE_INLINE_MEMBER void store_one(int64_t i, int64_t tap) const {
    if (bytes)
      bytes[i] = static_cast<uint8_t>(tap);
    else
      ints[i] = static_cast<int32_t>(tap);
  }
};

// Calls f with the taps as what they are.
template <class F>
DLCORE_INLINE void with_taps(const void* taps, const Pool& p, const F& f) {
  if (in_bytes(p))
    f(static_cast<const uint8_t*>(taps));
  else
    f(static_cast<const int32_t*>(taps));
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
