// Convolution on padded planes, forward and for the gradient of x: one copy for both.

#include "cpu/conv_channels.h"
#include "cpu/conv_direct.h"
#include "cpu/conv_volume.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
DLCORE_INLINE void finish_in_place(const Finish<T>& f, T* y, int64_t at, int64_t rows, int64_t n,
                                   int64_t step) {
  const Epilogue<T> e{nullptr,      nullptr, f.residual ? f.residual + at : nullptr,
                      step,         nullptr, 0,
                      f.activation, f.slope};
  finish_tile(y + at, step, rows, n, {y + at, step, T(1), T(0), &e, 0, 0});
}

template <class T>
DLCORE_INLINE void run_direct(const Direct& d, const T* x, const T* weight, const T* bias, T* y,
                              const Finish<T>& finish) {
  int64_t* const offset = direct_offsets(d);
  const DirectCall<T> call{x, weight, bias, y, finish, offset};
  const Groups panels = balanced(d.rows, kTileRows);
  const int64_t image_cost = d.groups * d.rows * d.window() * d.positions() / kLanes<T> / 2;
  if (d.batch >= 8)
    direct_images<T>(d, call, panels, image_cost);
  else
    direct_panels<T>(d, call, panels, image_cost);
  buffer_release(offset);
}

template <class T>
DLCORE_INLINE void run_channels(const Direct& d, const T* x, const T* weight, const T* bias, T* y,
                                const Finish<T>& finish, const T* packed) {
  int64_t* const offset = direct_offsets(d);
  const DirectCall<T> call{x, weight, bias, y, finish, offset, packed};
  const ChannelCut<T> cut(d);
  if (cut.few)
    channels_few<T>(d, call, cut);
  else
    channels_many<T>(d, call, cut);
  buffer_release(offset);
}

template <class T>
DLCORE_INLINE int64_t pack(const Direct& d, const T* weight, T* packed) {
  const ChannelCut<T> cut(d);
  if (packed) pack_all_channels<T>(d, cut, weight, packed);
  return channels_size<T>(d, cut);
}

}  // namespace

void finish_rows(const Finish<float>& f, float* y, int64_t at, int64_t rows, int64_t n,
                 int64_t step) {
  finish_in_place<float>(f, y, at, rows, n, step);
}
void finish_rows(const Finish<double>& f, double* y, int64_t at, int64_t rows, int64_t n,
                 int64_t step) {
  finish_in_place<double>(f, y, at, rows, n, step);
}

void channel_conv(const Direct& d, const float* x, const float* weight, const float* bias, float* y,
                  const Finish<float>& finish, const float* packed) {
  run_channels<float>(d, x, weight, bias, y, finish, packed);
}
int64_t channel_pack(const Direct& d, const float* weight, float* packed) {
  return pack<float>(d, weight, packed);
}
void direct_conv(const Direct& d, const float* x, const float* weight, const float* bias, float* y,
                 const Finish<float>& finish) {
  run_direct<float>(d, x, weight, bias, y, finish);
}

void run_channel_tile(int64_t vectors, int64_t m, const float* x, int64_t channels, int64_t plane,
                      const int64_t* offset, int64_t taps, const float* w, const float* start,
                      int64_t start_row, float* sums) {
  kChannel<float>.of[vectors - 1][m - 1](x, channels, plane, offset, taps, w, start, start_row,
                                         sums, {&start, 0});
}
void run_channel_tile(int64_t vectors, int64_t m, const double* x, int64_t channels, int64_t plane,
                      const int64_t* offset, int64_t taps, const double* w, const double* start,
                      int64_t start_row, double* sums) {
  kChannel<double>.of[vectors - 1][m - 1](x, channels, plane, offset, taps, w, start, start_row,
                                          sums, {&start, 0});
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
