// GEMM in blocks that fit the caches, after BLIS: columns of B, slices of k, packed panels of both,
// then register tiles. A B micro-panel stays in L1 while the A block, in L2, runs past it.
//
// Traffic of an n x n product: every slice of k reads and writes C once and packs A and B, some
// n^2 elements each, against n^3 / slices multiply-adds: 2 % of the time at n = 1024.
// The slices of k depend on k alone and are added in order, so packing, threads and blocks
// change no bit of the result.
#pragma once

#include "cpu/gemm_pack.h"

namespace dlcore {
namespace DLCORE_ISA {
namespace {

template <class T>
struct Product {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_col;
  const T* b;
  int64_t b_row, b_col;
  T* c;
  int64_t c_row;
  T alpha, beta;
  Epilogue<T> epilogue;
  const T* packed_a;  // all slices of all rows, or null
};

constexpr int64_t kDepth = 384;  // of a slice of k
#if defined(__AVX512F__)
constexpr int64_t kBlockBytes = 350000;  // of packed A that stay in L2: a third of 1 MiB
#else
constexpr int64_t kBlockBytes = 150000;  // a third of 512 KiB, and more than half of 256
#endif
constexpr int64_t kFlatDepth = 64;       // products of so few k, and less, are bound by C
constexpr int64_t kBlockRows = 3072;     // rows of A packed at a time
constexpr int64_t kBlockCols = 4096;     // columns of B packed at a time
constexpr int64_t kChunkWork = 1 << 18;  // multiply-adds worth handing to another thread
constexpr int64_t kMostChunks = 48;

// Memory from the buffer cache for the length of a call.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t elements)
      : block_(elements ? static_cast<T*>(buffer_acquire(static_cast<size_t>(elements) * sizeof(T)))
                        : nullptr) {}
  ~Scratch() { buffer_release(block_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* get() const { return block_; }

 private:
  T* block_;
};

// Whether an operand is better read where it lies than packed.
template <class T>
DLCORE_INLINE bool reads_a_in_place(const Product<T>& g) {
  if (g.packed_a || (g.a_col != 1 && g.a_row != 1)) return false;
  const int64_t step = g.a_col == 1 ? g.a_row : g.a_col;
  const bool same_set = step * static_cast<int64_t>(sizeof(T)) % 2048 == 0 && g.k > 1;
  return !same_set && (g.n <= 4 * kTileCols<T> || g.m * g.k <= 256 * 256);
}

template <class T>
DLCORE_INLINE bool reads_b_in_place(const Product<T>& g) {
  return g.b_col == 1 && (g.m <= 2 * kTileRows || g.n * g.k <= 112 * 112);
}

// Whether B's panels are packed by those who use them, into L2, and never stored: with few rows the
// way to memory and back costs more than packing.
template <class T>
DLCORE_INLINE bool packs_b_as_used(const Product<T>& g) {
  return g.m <= 256 && !reads_b_in_place(g);
}

// The work between two fork-joins: rows x cols of C and one slice of k.
template <class T>
struct Block {
  const Product<T>* g;
  Groups rows;  // all rows of C over A panels
  int64_t first_row_panel, row_panels;
  int64_t first_col, cols, col_panels;
  int64_t p0, depth;
  const T* packed_a;  // null when read in place
  T* packed_b;        // likewise; then packed_tail has the last part of B
  T* packed_tail;
  bool b_as_used;
  bool flat;         // C is written row panel by row panel
  int64_t together;  // panels of B packed at a time as they are used
  T beta;
  const T* added;  // what beta is multiplied with: C or a residual
  int64_t added_row;
  const Epilogue<T>* epilogue;
};

// An operand whose panels lie side by side in memory is packed some panels at a time, so that it is
// read in runs of several lines.
template <class T>
DLCORE_INLINE void pack_a(const Block<T>& s, T* panels) {
  const Product<T>& g = *s.g;
  const int64_t size = a_panel_size<T>(s.depth);
  const T* from = g.a + s.p0 * g.a_col;
  parallel_for(s.row_panels, grain_for(2 * size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end;) {
      const auto row = [&](int64_t panel) { return s.rows.begin(s.first_row_panel + panel); };
      const int64_t last = i + kPanelsAtOnce - 1;
      if (g.a_row == 1 && last < end && row(last) + kTileRows <= g.m) {
        const T* corner[kPanelsAtOnce];
        for (int64_t j = 0; j < kPanelsAtOnce; ++j) corner[j] = from + row(i + j);
        pack_panels<T, kTileRows>(s.depth, corner, g.a_col, panels + i * size, size);
        i += kPanelsAtOnce;
        continue;
      }
      pack_a_panel<T>(row(i + 1) - row(i), s.depth, from + row(i) * g.a_row, g.a_row, g.a_col,
                      panels + i * size, i + 1 < end ? from + row(i + 1) * g.a_row : nullptr);
      ++i;
    }
  });
}

// B's panels [begin, end) of the block.
template <class T>
DLCORE_INLINE void pack_b(const Block<T>& s, int64_t begin, int64_t end, T* panels) {
  const Product<T>& g = *s.g;
  const int64_t size = b_panel_size<T>(s.depth);
  const T* from = g.b + s.p0 * g.b_row + s.first_col * g.b_col;
  for (int64_t j = begin; j < end;) {
    const int64_t col = j * kTileCols<T>, rest = s.cols - col;
    T* to = panels + (j - begin) * size;
    if (g.b_col == 1 && j + kPanelsAtOnce <= end && rest >= kPanelsAtOnce * kTileCols<T>) {
      const T* corner[kPanelsAtOnce];
      for (int64_t i = 0; i < kPanelsAtOnce; ++i) corner[i] = from + col + i * kTileCols<T>;
      pack_panels<T, kTileCols<T>>(s.depth, corner, g.b_row, to, size);
      j += kPanelsAtOnce;
      continue;
    }
    const int64_t next = col + kTileCols<T>;
    pack_b_panel<T>(s.depth, smaller(kTileCols<T>, rest), from + col * g.b_col, g.b_row, g.b_col,
                    to, next + kTileCols<T> <= s.cols ? from + next * g.b_col : nullptr);
    ++j;
  }
}

template <class T>
DLCORE_INLINE void pack_b(const Block<T>& s) {
  const int64_t size = b_panel_size<T>(s.depth);
  parallel_for(s.col_panels, grain_for(2 * size), [&](int64_t begin, int64_t end) {
    pack_b(s, begin, end, s.packed_b + begin * size);
  });
}

// The lines of memory that the tiles of a column panel fetch for those to come.
template <class T>
struct Ahead {
  const T* line;
  int64_t step, lines;
};

// After panel j at b: the next panel, if there is one, or where it will be packed from.
template <class T>
DLCORE_INLINE Ahead<T> after(const Block<T>& s, int64_t j, bool more, const T* b) {
  const Product<T>& g = *s.g;
  const int64_t col = (j + s.together) * kTileCols<T>;
  if (s.b_as_used && g.b_col == 1 && col < s.cols)
    return {g.b + s.p0 * g.b_row + s.first_col + col, g.b_row, s.depth};
  if (s.packed_b && more)
    return {b + b_panel_size<T>(s.depth), kLineElements<T>,
            b_panel_size<T>(s.depth) / kLineElements<T>};
  return {b, 0, 1};
}

// The tiles of row panels [i0, i1) and column panels [j0, j1) of the block. A column panel stays in
// L1 while the row panels run past it; in a flat product a row panel runs through the column
// panels, from L2, and what is written to C are a few long runs.
template <class T, Operands kFrom>
DLCORE_INLINE void run_tiles(const Block<T>& s, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  const Product<T>& g = *s.g;
  const int64_t a_step = s.packed_a ? kTileRows : kFrom == Operands::rows ? g.a_row : g.a_col;
  for (int64_t i = i0, j = j0; i < i1 && j < j1;) {
    const int64_t col = s.first_col + j * kTileCols<T>;
    const int64_t n = smaller(kTileCols<T>, s.cols - j * kTileCols<T>);
    const T* b =
        s.packed_b ? s.packed_b + j * b_panel_size<T>(s.depth) : g.b + s.p0 * g.b_row + col;
    int64_t b_step = s.packed_b ? kTileCols<T> : g.b_row;
    if (!s.packed_b && n % kLanes<T> != 0) {
      b = s.packed_tail;
      b_step = kTileCols<T>;
    }
    const Ahead<T> next = after(s, j, j + 1 < j1, b);
    const int64_t row = s.rows.begin(s.first_row_panel + i);
    const int64_t m = s.rows.begin(s.first_row_panel + i + 1) - row;
    const T* a = s.packed_a ? s.packed_a + i * a_panel_size<T>(s.depth)
                            : g.a + row * g.a_row + s.p0 * g.a_col;
    const int64_t fetched = smaller((i - i0) * (s.depth / 8), next.lines - 1);
    run_tile(kFrom, m, n, s.depth, a, a_step, b, b_step,
             {g.c + row * g.c_row + col, g.c_row, g.alpha, s.beta, s.epilogue, row, col,
              next.line + fetched * next.step, next.step, s.added + row * s.added_row + col,
              s.added_row});
    if (s.flat) {
      if (++j == j1) j = j0, ++i;
    } else {
      if (++i == i1) i = i0, ++j;
    }
  }
}

// How many pieces to cut rows and columns into, for the threads and for L2.
struct Grid {
  int64_t rows, cols;
};
template <class T>
DLCORE_INLINE Grid cut(const Block<T>& s) {
  const int64_t work = s.row_panels * kTileRows * s.cols * larger(s.depth, 1);
  // Wide ones in a flat product: long runs.
  const int64_t most = s.flat ? smaller(kMostChunks, larger(8, s.col_panels / 32)) : kMostChunks;
  const int64_t wanted = smaller(larger(work / kChunkWork, 1), most);
  const int64_t a_bytes = s.row_panels * a_panel_size<T>(s.depth) * static_cast<int64_t>(sizeof(T));
  Grid grid;
  grid.rows = s.b_as_used ? 1 : larger(1, ceil_div(a_bytes, kBlockBytes));
  grid.cols = smaller(ceil_div(wanted, grid.rows), s.col_panels);
  if (!s.b_as_used)
    grid.rows = smaller(larger(grid.rows, ceil_div(wanted, grid.cols)), s.row_panels);
  return grid;
}

template <class T>
DLCORE_INLINE void run_tiles(const Block<T>& s, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  if (s.packed_a && s.packed_b)
    run_tiles<T, Operands::panels>(s, i0, i1, j0, j1);
  else if (s.packed_a || s.g->a_row == 1)
    run_tiles<T, Operands::columns>(s, i0, i1, j0, j1);
  else
    run_tiles<T, Operands::rows>(s, i0, i1, j0, j1);
}

template <class T>
DLCORE_INLINE void pack_and_run_tiles(Block<T> s, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  const int64_t size = b_panel_size<T>(s.depth);
  Scratch<T> panels(s.together * size);
  for (int64_t j = j0; j < j1; j += s.together) {
    const int64_t end = smaller(j + s.together, j1);
    pack_b(s, j, end, panels.get());
    s.packed_b = panels.get() - j * size;
    run_tiles(s, i0, i1, j, end);
  }
}

template <class T>
DLCORE_INLINE void multiply(const Block<T>& s) {
  const Grid grid = cut(s);
  const Groups row_blocks = balanced(s.row_panels, ceil_div(s.row_panels, grid.rows));
  const Groups col_blocks = balanced(s.col_panels, ceil_div(s.col_panels, grid.cols));
  parallel_for(row_blocks.count * col_blocks.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t i = c / col_blocks.count, j = c % col_blocks.count;
      const int64_t i0 = row_blocks.begin(i), i1 = row_blocks.begin(i + 1);
      const int64_t j0 = col_blocks.begin(j), j1 = col_blocks.begin(j + 1);
      if (s.b_as_used)
        pack_and_run_tiles(s, i0, i1, j0, j1);
      else
        run_tiles(s, i0, i1, j0, j1);
    }
  });
}

// Where slice p of a whole packed A begins, or, of p the count of slices, where it ends.
template <class T>
DLCORE_INLINE int64_t packed_slice(const Groups& rows, const Groups& slices, int64_t p) {
  return p * rows.count * a_panel_size<T>(slices.size + (slices.larger > 0));
}

// All of A, slice after slice. Returns its size; only that is asked for when `packed` is null.
template <class T>
int64_t pack_all_of_a(const Product<T>& g, T* packed) {
  const Groups slices = balanced(g.k, kDepth);
  Block<T> s{};
  s.g = &g;
  s.rows = balanced(g.m, kTileRows);
  s.row_panels = s.rows.count;
  for (int64_t p = 0; packed && p < slices.count; ++p) {
    s.p0 = slices.begin(p);
    s.depth = slices.begin(p + 1) - s.p0;
    pack_a(s, packed + packed_slice<T>(s.rows, slices, p));
  }
  return packed_slice<T>(s.rows, slices, slices.count);
}

template <class T>
void blocked(const Product<T>& g) {
  const Groups rows = balanced(g.m, kTileRows);
  const Groups row_blocks = balanced(rows.count, kBlockRows / kTileRows);
  const Groups col_blocks = balanced(ceil_div(g.n, kTileCols<T>), kBlockCols / kTileCols<T>);
  Groups slices = balanced(g.k, kDepth);
  if (g.k == 0) slices = {1, 0, 0};  // beta and the epilogue remain to be done

  const int64_t most_rows = row_blocks.size + (row_blocks.larger > 0);
  const int64_t most_cols = col_blocks.size + (col_blocks.larger > 0);
  const int64_t depth = slices.size + (slices.larger > 0);
  const bool a_in_place = reads_a_in_place(g), b_in_place = reads_b_in_place(g);
  const bool b_as_used = packs_b_as_used(g);
  const bool tail = b_in_place && g.n % kLanes<T> != 0;
  const int64_t a_size = a_in_place || g.packed_a ? 0 : most_rows * a_panel_size<T>(depth);
  const int64_t b_size = (b_in_place ? tail : b_as_used ? 0 : most_cols) * b_panel_size<T>(depth);
  Scratch<T> scratch(a_size + b_size);

  // A sum that begins with its residual ends in registers.
  const bool begins = g.epilogue.residual && !g.epilogue.derivative && g.beta == T(0);
  Epilogue<T> last = g.epilogue;
  if (begins) last.residual = nullptr;

  Block<T> s{};
  s.g = &g;
  s.rows = rows;
  if (b_in_place)
    s.packed_tail = scratch.get() + a_size;
  else if (!b_as_used)
    s.packed_b = scratch.get() + a_size;
  s.b_as_used = b_as_used;
  s.flat = b_as_used && g.k <= kFlatDepth;
  s.together = kPanelsAtOnce;
  if (s.flat)
    s.together *= larger(1, kBlockBytes / (kPanelsAtOnce * b_panel_size<T>(larger(g.k, 1)) *
                                           static_cast<int64_t>(sizeof(T))));
  for (int64_t jc = 0; jc < col_blocks.count; ++jc) {
    s.first_col = col_blocks.begin(jc) * kTileCols<T>;
    s.cols = smaller(col_blocks.begin(jc + 1) * kTileCols<T>, g.n) - s.first_col;
    s.col_panels = ceil_div(s.cols, kTileCols<T>);
    for (int64_t pc = 0; pc < slices.count; ++pc) {
      s.p0 = slices.begin(pc);
      s.depth = slices.begin(pc + 1) - s.p0;
      s.beta = pc == 0 && !begins ? g.beta : T(1);
      s.added = pc == 0 && begins ? g.epilogue.residual : g.c;
      s.added_row = pc == 0 && begins ? g.epilogue.residual_row : g.c_row;
      s.epilogue = pc == slices.count - 1 && last.any() ? &last : nullptr;
      if (s.packed_b) {
        pack_b(s);
      } else if (b_in_place && s.cols % kLanes<T> != 0) {
        const int64_t whole = s.cols / kTileCols<T> * kTileCols<T>;
        pack_b_panel<T>(s.depth, s.cols - whole, g.b + s.p0 * g.b_row + s.first_col + whole,
                        g.b_row, 1, s.packed_tail);
      }
      for (int64_t ic = 0; ic < row_blocks.count; ++ic) {
        s.first_row_panel = row_blocks.begin(ic);
        s.row_panels = row_blocks.begin(ic + 1) - s.first_row_panel;
        if (g.packed_a)
          s.packed_a = g.packed_a + packed_slice<T>(rows, slices, pc) +
                       s.first_row_panel * a_panel_size<T>(s.depth);
        else if (!a_in_place)
          pack_a(s, scratch.get()), s.packed_a = scratch.get();
        multiply(s);
      }
    }
  }
}

}  // namespace
}  // namespace DLCORE_ISA
}  // namespace dlcore
