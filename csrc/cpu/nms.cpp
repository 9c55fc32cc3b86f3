// Non-maximum suppression: greedy, exact.
//
// Boxes are taken by falling score; one is kept unless a box kept before overlaps it by more than
// the threshold. What makes it fast, without changing what is kept:
//   - a box is compared with kept boxes only, 16 to an instruction, and is done at the first hit;
//   - the division of inter / union is done only where inter >= about threshold * union;
//   - kept boxes lie in a grid. Two boxes whose overlap exceeds the threshold t have sides within
//     a factor of t and centres within (1 - t) of a side or little more, so that a box looks into a
//     dozen cells. The size of a cell follows the size of the boxes in it: one grid for each power
//     of two. Cells are hashed; a box that meets there by chance only costs its comparison.
//   - boxes of one block are compared with all earlier blocks in parallel, then with each other in
//     order; blocks depend on the number of boxes alone.
//
// Compiled without FMA contraction: inter / (area + area - inter) has the same bits everywhere, and
// so the same boxes are kept on every instruction set.

#include "kernels/nms.h"

#include "cpu/any_lane.h"
#include "cpu/score_order.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

constexpr int64_t kBlock = 512;  // boxes; the first block, and so fewer boxes, needs no grid
constexpr int64_t kTask = 128;   // boxes of a block that one thread compares
constexpr int kTopLevel = 2044;  // exponents of a double; the levels' powers of two stay normal

template <class T>
using Group = decltype(Mask<T>{}[0] + 0);  // a class, as large as a lane

template <class T>
struct One {
  T x1, y1, x2, y2, area;
  Group<T> group;

  // Without a positive width, height and area (NaN is not), no overlap exceeds any threshold; nor
  // with an infinite area.
  DLCORE_INLINE_MEMBER bool overlaps() const {
    return x2 > x1 && y2 > y1 && area > T(0) && area < kInf<T>;
  }
};

// Boxes by columns. Places past the last hold boxes that overlap nothing.
template <class T>
struct Table {
  T *x1, *y1, *x2, *y2, *area;
  Group<T>* group;

  static int64_t bytes(int64_t n) {
    return 6 * ((n + kLanes<T>)*static_cast<int64_t>(sizeof(T)) + 64);
  }
  Table(int64_t n, Scratch& scratch) {
    const int64_t size = n + kLanes<T>;
    x1 = scratch.take<T>(size), y1 = scratch.take<T>(size);
    x2 = scratch.take<T>(size), y2 = scratch.take<T>(size);
    area = scratch.take<T>(size);
    group = scratch.take<Group<T>>(size);
  }
  void clear(int64_t n) {
    for (int64_t i = 0; i < n + kLanes<T>; ++i) put(i, {kInf<T>, 0, -kInf<T>, 0, 0, 0});
  }
  DLCORE_INLINE_MEMBER void put(int64_t i, const One<T>& b) {
    x1[i] = b.x1, y1[i] = b.y1, x2[i] = b.x2, y2[i] = b.y2, area[i] = b.area, group[i] = b.group;
  }
  DLCORE_INLINE_MEMBER One<T> get(int64_t i) const {
    return {x1[i], y1[i], x2[i], y2[i], area[i], group[i]};
  }
};

template <class T>
struct Threshold {
  T exact;     // suppressed: inter / union > exact
  T below;     // then inter >= below * union, however the two were rounded
  double low;  // the least ratio of two boxes' sides or areas, less what roundings may hide

  explicit Threshold(T t) : exact(t) {
    const double eps = sizeof(T) == 4 ? 0x1p-23 : 0x1p-52;
    below = t > 0 ? static_cast<T>(static_cast<double>(t) * (1 - 8 * eps))
                  : std::numeric_limits<T>::denorm_min();
    low = static_cast<double>(t) * (1 - 64 * eps);
  }
};

// Whether a box of `table` from begin to end overlaps b too much. What lies past the end, up to a
// whole vector, is looked at too: kept boxes, or places that overlap nothing.
template <class T, bool kGroups>
DLCORE_INLINE bool hit(const Table<T>& table, int64_t begin, int64_t end, const One<T>& b,
                       const Threshold<T>& t) {
  for (int64_t i = begin; i < end; i += kLanes<T>) {
    const Vec<T> w = min<T>(load<T>(table.x2 + i), splat<T>(b.x2)) -
                     max<T>(load<T>(table.x1 + i), splat<T>(b.x1));
    const Vec<T> h = min<T>(load<T>(table.y2 + i), splat<T>(b.y2)) -
                     max<T>(load<T>(table.y1 + i), splat<T>(b.y1));
    const Vec<T> inter = max<T>(w, Vec<T>{}) * h;  // h < 0 makes it negative: no hit
    const Vec<T> whole = (load<T>(table.area + i) + b.area) - inter;
    Mask<T> near = inter >= whole * t.below;
    if constexpr (kGroups) {
      Mask<T> groups;
      std::memcpy(&groups, table.group + i, sizeof groups);
      near &= groups == b.group;
    }
    if (any<T>(near)) [[unlikely]]
      if (any<T>(near & (inter / whole > t.exact))) return true;
  }
  return false;
}

// 2^(exponent - 1023).
DLCORE_INLINE double power_of_2(int exponent) {
  const uint64_t bits = static_cast<uint64_t>(exponent) << 52;
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return power;
}

// Sides from 2^(level - 1023) up to twice that; the lowest and the highest level take all others.
DLCORE_INLINE int level_of(double side) {
  uint64_t bits;
  std::memcpy(&bits, &side, sizeof bits);
  const int level = static_cast<int>(bits >> 52 & 0x7ff);
  return level < 1 ? 1 : (level > kTopLevel ? kTopLevel : level);
}
DLCORE_INLINE double sides_below(int level) {
  return level == kTopLevel ? kInf<double> : power_of_2(level + 1);
}
DLCORE_INLINE double cells_per_unit(int level) {
  return power_of_2(2045 - level);
}

DLCORE_INLINE int64_t floor_of(double v) {
  const int64_t i = static_cast<int64_t>(v);
  return i - (v < static_cast<double>(i));
}

DLCORE_INLINE double larger_of(double a, double b) {
  return a > b ? a : b;
}
DLCORE_INLINE double smaller_of(double a, double b) {
  return a < b ? a : b;
}

// A box along one axis: its side, its centre, and how far off the centre may be rounded.
struct Extent {
  double side, centre, slack;

  template <class T>
  DLCORE_INLINE_MEMBER Extent(T low, T high)
      : side(static_cast<double>(high - low)),
        centre(0.5 * static_cast<double>(low) + 0.5 * static_cast<double>(high)) {
    const double a = static_cast<double>(low), b = static_cast<double>(high);
    slack = 1e-6 * side + 0x1p-50 * ((a < 0 ? -a : a) + (b < 0 ? -b : b));
  }

  // The farthest centre of a box with a side of at most `most` whose overlap with this one is at
  // least `low` of the larger side: (this + that) / 2 - low max(this, that).
  DLCORE_INLINE_MEMBER double reach(double most, double low) const {
    const double other = low >= 0.5 ? smaller_of(side, most) : smaller_of(side / low, most);
    return 0.5 * (side + other) - low * larger_of(side, other) + slack;
  }
};

// Kept boxes in the cells of their centres. A bucket's places are laid out before: as many as boxes
// fall into it.
template <class T>
class Grid {
 public:
  static int64_t bytes(int64_t n) {
    return Table<T>::bytes(n) + n * int64_t(sizeof(int32_t)) + (4 * n + 256) * 8 + 256 +
           (kTopLevel + 1) * int64_t(sizeof(int32_t));
  }

  Grid(const Table<T>& boxes, int64_t n, double low, Scratch& scratch)
      : low_(low), kept_(n, scratch), place_(scratch.take<int32_t>(n)) {
    while (int64_t(1) << (64 - shift_) < n) --shift_;
    const int64_t count = int64_t(1) << (64 - shift_);
    buckets_ = scratch.take<Bucket>(count);
    in_level_ = scratch.take<int32_t>(kTopLevel + 1);
    std::memset(buckets_, 0, static_cast<size_t>(count) * sizeof(Bucket));
    std::memset(in_level_, 0, (kTopLevel + 1) * sizeof(int32_t));
    kept_.clear(n);
    parallel_for(n, 4096, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) place_[i] = bucket_of_box(boxes.get(i));
    });
    for (int64_t i = 0; i < n; ++i) ++buckets_[place_[i]].end;
    int32_t total = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int32_t size = buckets_[i].end;
      buckets_[i] = {total, total};
      total += size;
    }
  }

  void keep(int64_t i, const One<T>& box) {
    kept_.put(buckets_[place_[i]].end++, box);
    const int level = level_of(static_cast<double>(larger_of(box.x2 - box.x1, box.y2 - box.y1)));
    ++in_level_[level];
    lowest_ = level < lowest_ ? level : lowest_;
    highest_ = level > highest_ ? level : highest_;
  }

  // 1 or 0: whether a kept box overlaps b too much; -1: more than `budget` cells to look into.
  template <bool kGroups>
  DLCORE_INLINE_MEMBER int search(const One<T>& b, const Threshold<T>& t, double budget) const {
    const Extent x(b.x1, b.x2), y(b.y1, b.y2);
    const double side = larger_of(x.side, y.side);
    int level = level_of(low_ * side);
    level = level > lowest_ ? level : lowest_;
    const int top = low_ > 0 ? level_of(side / low_) : kTopLevel;
    Window windows[kWindows];
    int used = 0;
    for (; level <= top && level <= highest_; ++level) {
      if (!in_level_[level]) continue;
      const double most = sides_below(level), scale = cells_per_unit(level);
      const double reach_x = x.reach(most, low_) * scale, reach_y = y.reach(most, low_) * scale;
      if (reach_x < 0 || reach_y < 0) continue;
      budget -= (2 * reach_x + 2) * (2 * reach_y + 2);
      if (!(budget >= 0) || used == kWindows) return -1;
      const double at_x = x.centre * scale, at_y = y.centre * scale;
      if (!(far_ > at_x && at_x > -far_ && far_ > at_y && at_y > -far_)) continue;
      windows[used++] = {level, floor_of(at_x - reach_x), floor_of(at_x + reach_x),
                         floor_of(at_y - reach_y), floor_of(at_y + reach_y)};
    }
    const int64_t group = kGroups ? int64_t(b.group) : 0;
    for (int i = 0; i < used; ++i) {
      const Window& w = windows[i];
      for (int64_t cy = w.y0; cy <= w.y1; ++cy)
        for (int64_t cx = w.x0; cx <= w.x1; ++cx) {
          const Bucket bucket = buckets_[bucket_of(w.level, cx, cy, group)];
          if (hit<T, kGroups>(kept_, bucket.begin, bucket.end, b, t)) return 1;
        }
    }
    return 0;
  }

 private:
  static constexpr int kWindows = 12;      // levels that a box looks into
  static constexpr double far_ = 0x1p+60;  // cells: no box of such a level has so fine a place
  struct Bucket {
    int32_t begin, end;
  };
  struct Window {
    int level;
    int64_t x0, x1, y0, y1;
  };

  DLCORE_INLINE_MEMBER int32_t bucket_of(int level, int64_t x, int64_t y, int64_t group) const {
    const uint64_t mixed =
        static_cast<uint64_t>(x) * 0x9E3779B97F4A7C15u +
        static_cast<uint64_t>(y) * 0xC2B2AE3D27D4EB4Fu +
        (static_cast<uint64_t>(level) + (static_cast<uint64_t>(group) << 11)) * 0xD6E8FEB86659FD93u;
    return static_cast<int32_t>(mixed >> shift_);
  }
  DLCORE_INLINE_MEMBER int32_t bucket_of_box(const One<T>& b) const {
    if (!b.overlaps()) return 0;
    const Extent x(b.x1, b.x2), y(b.y1, b.y2);
    const int level = level_of(larger_of(x.side, y.side));
    const double scale = cells_per_unit(level);
    return bucket_of(level, floor_of(x.centre * scale), floor_of(y.centre * scale), b.group);
  }

  double low_;
  Table<T> kept_;
  int32_t* place_;  // of each box: its bucket
  int shift_ = 63;
  Bucket* buckets_;
  int32_t* in_level_;  // kept boxes of each level
  int lowest_ = kTopLevel, highest_ = 0;
};

template <class T>
void gather(const T* boxes, const int64_t* classes, const int32_t* order, int64_t n, Table<T>& to) {
  parallel_for(n, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* p = boxes + 4 * static_cast<int64_t>(order[i]);
      const Group<T> group = classes ? static_cast<Group<T>>(classes[order[i]]) : 0;
      to.put(i, {p[0], p[1], p[2], p[3], (p[2] - p[0]) * (p[3] - p[1]), group});
    }
  });
}

template <class T, bool kGroups>
int64_t suppress(const Table<T>& boxes, const int32_t* order, int64_t* keep, int64_t n,
                 const Threshold<T>& t, Scratch& scratch) {
  Table<T> kept(n, scratch);  // those that can suppress, in their order
  kept.clear(n);
  bool* dead = scratch.take<bool>(kBlock);
  const bool in_grid = n > kBlock;
  Grid<T> grid(boxes, in_grid ? n : 0, t.low, scratch);
  int64_t count = 0, result = 0;
  for (int64_t block = 0; block < n; block += kBlock) {
    const int64_t size = smaller(kBlock, n - block), before = count;
    parallel_for(before ? size : 0, kTask, [&](int64_t begin, int64_t end) {
      const double vectors = static_cast<double>(ceil_div(before, kLanes<T>));
      for (int64_t i = begin; i < end; ++i) {
        const One<T> box = boxes.get(block + i);
        if (!box.overlaps()) continue;
        const int found = grid.template search<kGroups>(box, t, vectors);
        dead[i] = found < 0 ? hit<T, kGroups>(kept, 0, before, box, t) : found;
      }
    });
    for (int64_t i = block; i < block + size; ++i) {
      const One<T> box = boxes.get(i);
      if (box.overlaps()) {
        if (before && dead[i - block]) continue;
        if (hit<T, kGroups>(kept, before, count, box, t)) continue;
        kept.put(count++, box);
        if (in_grid) grid.keep(i, box);
      }
      keep[result++] = order[i];
    }
  }
  return result;
}

// keep = the indices of the boxes that no kept box of a higher score (and of the same class, when
// there are classes) overlaps by more than `threshold`; `count` is their number. n < 2^31.
template <class T>
void nms(const T* boxes, const T* scores, const int64_t* classes, int64_t* keep, int64_t* count,
         int64_t n, T threshold) {
  const int64_t size = static_cast<int64_t>(sizeof(T));
  Scratch scratch(order_bytes(n, size) + n * int64_t(sizeof(int32_t)) + 2 * Table<T>::bytes(n) +
                  Grid<T>::bytes(n > kBlock ? n : 0) + kBlock + 256);
  int32_t* order = scratch.take<int32_t>(n);
  order_by_score<T>(scores, n, order, scratch);
  Table<T> ranked(n, scratch);
  gather<T>(boxes, classes, order, n, ranked);
  const Threshold<T> t(threshold);
  *count = classes ? suppress<T, true>(ranked, order, keep, n, t, scratch)
                   : suppress<T, false>(ranked, order, keep, n, t, scratch);
}

}  // namespace

DLCORE_EXPORT(nms)

}  // namespace DLCORE_ISA
}  // namespace dlcore
