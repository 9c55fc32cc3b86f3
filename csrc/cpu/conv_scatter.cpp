// See conv_scatter.h. The product is bound by multiply-adds; its result is written and read once
// more, from L3: some 15 % with 4 x 4 taps.

#include "cpu/conv_scatter.h"

#include "cpu/conv_point.h"
#include "cpu/scratch.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

// Products of which an element of dx is the sum: with more, AVX-512's multiply-adds are done before
// its loads and stores, and the phases of conv_channels_data.h and conv3d.cpp take a seventh less.
#if defined(__AVX512F__)
constexpr int64_t kMostOverlap = 1;
#else
constexpr int64_t kMostOverlap = int64_t(1) << 40;
#endif

constexpr int64_t kProductBytes = 1 << 20;
constexpr int64_t kLeastRows = 128;  // of a product: x is packed anew for each

// Rows of results are summed up in the phases of their stride, which join_row puts together.
struct ScatterLines {
  int64_t stride, size;  // of a phase

  explicit ScatterLines(const Conv2d& c) : stride(c.stride_w) {
    size = larger(c.out_w + (c.kernel_w - 1) * c.dilation_w / stride,
                  ceil_div(c.pad_left + c.width, stride)) +
           16;
  }
};

// Whether each element is in one window, so that nothing is added up.
DLCORE_INLINE bool is_tiled(const Conv3d& v) {
  const Conv2d& c = v.plane;
  return c.kernel_w == c.stride_w && c.dilation_w == 1 && c.pad_left == 0 &&
         c.width == c.out_w * c.stride_w && (c.kernel_h - 1) * c.dilation_h < c.stride_h &&
         (v.kernel_d - 1) * v.dilation_d < v.stride_d;
}

// body(o, tap) for the windows that hold element i of an axis.
template <class Body>
DLCORE_INLINE void each_window_over(int64_t i, int64_t pad, int64_t kernel, int64_t stride,
                                    int64_t dilation, int64_t out, const Body& body) {
  for (int64_t tap = 0; tap < kernel; ++tap) {
    const int64_t start = i + pad - tap * dilation;
    if (start >= 0 && start % stride == 0 && start / stride < out) body(start / stride, tap);
  }
}

// dx of one plane from its taps' rows, `step` elements apart.
template <class T>
DLCORE_INLINE void add_taps(const Conv3d& v, const ScatterLines& lines, const T* rows, int64_t step,
                            T* sums, T* dx) {
  const Conv2d& c = v.plane;
  const bool tiled = is_tiled(v);
  // Whether the first taps begin the phases' sums.
  const bool fresh = c.dilation_w == 1 && c.kernel_w >= c.stride_w;
  for (int64_t z = 0; z < v.depth; ++z)
    for (int64_t h = 0; h < c.height; ++h, dx += c.width) {
      int64_t count = 0;
      const T* only = nullptr;
      const auto add = [&](int64_t od, int64_t q, int64_t oh, int64_t r) {
        const T* from =
            rows + (q * c.kernel_h + r) * c.kernel_w * step + (od * c.out_h + oh) * c.out_w;
        if (tiled) {
          only = from;
        } else {
          if (count == 0 && !fresh) fill_row<T>(T(0), lines.stride * lines.size, sums);
          for (int64_t s = 0; s < c.kernel_w; ++s) {
            const int64_t right = s * c.dilation_w;
            T* to = sums + right % c.stride_w * lines.size + right / c.stride_w;
            const T* tap = from + s * step;
            if (fresh && count == 0 && s < c.stride_w) {
              copy_row<T>(tap, c.out_w, to);
              fill_row<T>(T(0), lines.size - c.out_w, to + c.out_w);
              continue;
            }
            int64_t j = 0;
            for (; j + kLanes<T> <= c.out_w; j += kLanes<T>)
              store<T>(to + j, load<T>(to + j) + load<T>(tap + j));
            if (j < c.out_w)  // zeros are added to what lies behind
              store<T>(to + j, load<T>(to + j) + load_part<T>(tap + j, c.out_w - j, T(0)));
          }
        }
        ++count;
      };
      each_window_over(z, v.pad_front, v.kernel_d, v.stride_d, v.dilation_d, v.out_d,
                       [&](int64_t od, int64_t q) {
                         each_window_over(h, c.pad_top, c.kernel_h, c.stride_h, c.dilation_h,
                                          c.out_h,
                                          [&](int64_t oh, int64_t r) { add(od, q, oh, r); });
                       });
      if (count == 0)
        fill_row<T>(T(0), c.width, dx);
      else if (only)
        join_row<T>(only, step, 0, c.stride_w, c.width, dx);
      else
        join_row<T>(sums, lines.size, c.pad_left, c.stride_w, c.width, dx);
    }
}

template <class T>
void scatter(const Conv3d& v, const T* dy, const T* weight, T* dx) {
  const Conv2d& c = v.plane;
  const int64_t in_group = c.channels / c.groups, out_group = c.out_channels / c.groups;
  const int64_t taps = v.kernel_d * c.kernel_h * c.kernel_w, window = in_group * taps;
  const int64_t pixels = v.out_d * c.out_h * c.out_w, plane = v.depth * c.height * c.width;
  const int64_t together = smaller(c.batch, larger(1, 512 / pixels));  // images in one product
  const int64_t row = together * pixels;
  const int64_t most =
      larger(kProductBytes / (row * static_cast<int64_t>(sizeof(T))), kLeastRows) / taps;
  const int64_t some = smaller(in_group, larger(1, most));  // channels
  const ScatterLines lines(c);
  const int64_t gathered = together > 1 ? out_group * row : 0;
  const int64_t size = gathered + some * taps * row + kLanes<T>;
  T* const products = static_cast<T*>(buffer_acquire(static_cast<size_t>(size) * sizeof(T)));
  T* const merged = products + some * taps * row + kLanes<T>;
  for (int64_t item = 0; item < ceil_div(c.batch, together) * c.groups; ++item) {
    const int64_t image = item / c.groups * together, group = item % c.groups;
    const int64_t images = smaller(together, c.batch - image), n = images * pixels;
    const T* source = dy + (image * c.out_channels + group * out_group) * pixels;
    if (images > 1) {
      parallel_for(out_group, grain_for(n), [=](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k)
          for (int64_t i = 0; i < images; ++i)
            copy_row<T>(source + (i * c.out_channels + k) * pixels, pixels,
                        merged + k * n + i * pixels);
      });
      source = merged;
    }
    const T* const w = weight + group * out_group * window;
    for (int64_t first = 0; first < in_group; first += some) {
      const int64_t channels = smaller(some, in_group - first);
      product<T>(channels * taps, n, out_group, w + first * taps, 1, window, source, n, 1, products,
                 false, false);
      parallel_for(channels * images, grain_for(plane + taps * pixels),
                   [=, &v](int64_t begin, int64_t end) {
                     Scratch scratch(lines.stride * lines.size * static_cast<int64_t>(sizeof(T)));
                     T* const sums = scratch.take<T>(lines.stride * lines.size);
                     for (int64_t i = begin; i < end; ++i) {
                       const int64_t channel = i / images, at = i % images;
                       const int64_t to = (image + at) * c.channels + group * in_group + first;
                       add_taps<T>(v, lines, products + channel * taps * n + at * pixels, n, sums,
                                   dx + (to + channel) * plane);
                     }
                   });
    }
  }
  buffer_release(products);
}

}  // namespace

bool scatter_pays(const Conv3d& v) {
  const Conv2d& c = v.plane;
  const int64_t taps = v.kernel_d * c.kernel_h * c.kernel_w;
  const int64_t rows = c.channels / c.groups * taps, depth = c.out_channels / c.groups;
  const int64_t strides = v.stride_d * c.stride_h * c.stride_w;
  return strides > 1 && taps <= kMostOverlap * strides && rows >= 32 && depth >= 16 &&
         rows * depth * v.out_d * c.out_h * c.out_w >= int64_t(1) << 18;
}

void scatter_data_gradient(const Conv3d& c, const float* dy, const float* weight, float* dx) {
  scatter<float>(c, dy, weight, dx);
}
void scatter_data_gradient(const Conv3d& c, const double* dy, const double* weight, double* dx) {
  scatter<double>(c, dy, weight, dx);
}

}  // namespace DLCORE_ISA
}  // namespace dlcore
