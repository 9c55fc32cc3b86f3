// Attention, whole matrices of scores in loops: causal, masked, shared heads, few queries.
#include "check.h"

namespace dlcore {
namespace {

template <class T>
struct Case {
  int64_t heads, kv_heads, queries, keys, depth, value_depth;
  bool causal, biased;
};

// The error of a probability: of a score of `depth` terms, its exponential and the sum of all.
template <class T>
double allowed(const Case<T>& c) {
  return 8 + 2 * chain(c.depth) + chain(c.keys);
}

template <class T>
void attend(const Case<T>& c) {
  constexpr int64_t batch = 2;
  const int64_t n = c.queries, m = c.keys, d = c.depth, e = c.value_depth,
                group = c.heads / c.kv_heads;
  const T scale = static_cast<T>(0.25);
  const Values<T> q = numbers<T>(batch * c.heads * n * d, -1, 1),
                  k = numbers<T>(batch * c.kv_heads * m * d, -1, 1, 2),
                  v = numbers<T>(batch * c.kv_heads * m * e, -1, 1, 3),
                  dy = numbers<T>(batch * c.heads * n * e, -1, 1, 4),
                  bias = numbers<T>(n * m, -1, 1, 5);
  Expected y(batch * c.heads * n * e), lse(batch * c.heads * n), dq(q.size()), dk(k.size()),
      dv(v.size()), dbias(batch * c.heads * n * m);
  Values<T> y_given(y.size()), lse_given(lse.size());  // the rounded results
  for (int64_t h = 0; h < batch * c.heads; ++h) {
    const int64_t kv = h / c.heads * c.kv_heads + h % c.heads / group;
    for (int64_t i = 0; i < n; ++i) {
      const T *qi = &q[(h * n + i) * d], *dyi = &dy[(h * n + i) * e];
      const int64_t seen = c.causal ? std::min(i + 1, m) : m;
      Expected s(seen), p(seen);
      Wide sum = 0, mean = 0;
      for (int64_t j = 0; j < seen; ++j) {
        for (int64_t a = 0; a < d; ++a) s.value[j] += scale * Wide(qi[a]) * k[(kv * m + j) * d + a];
        if (c.biased) s.value[j] += bias[i * m + j];
        sum += std::exp(s.value[j]);
      }
      lse.set(h * n + i, std::log(sum), 1 + std::fabs(std::log(sum)));
      for (int64_t j = 0; j < seen; ++j) {
        p.value[j] = std::exp(s.value[j]) / sum;
        for (int64_t a = 0; a < e; ++a) {
          const Wide term = p.value[j] * v[(kv * m + j) * e + a];
          y.add((h * n + i) * e + a, term);
          mean += term * dyi[a];
          dv.add((kv * m + j) * e + a, p.value[j] * dyi[a]);
        }
      }
      for (int64_t j = 0; j < seen; ++j) {
        Wide dp = -mean;
        for (int64_t a = 0; a < e; ++a) dp += Wide(dyi[a]) * v[(kv * m + j) * e + a];
        const Wide ds = p.value[j] * dp, size = p.value[j] * static_cast<Wide>(e);
        dbias.set((h * n + i) * m + j, ds, size);
        for (int64_t a = 0; a < d; ++a) {
          dq.add((h * n + i) * d + a, scale * ds * k[(kv * m + j) * d + a]);
          dk.add((kv * m + j) * d + a, scale * ds * qi[a]);
          dq.scale[(h * n + i) * d + a] += scale * size;
          dk.scale[(kv * m + j) * d + a] += scale * size;
        }
      }
    }
  }
  for (int64_t i = 0; i < y.size(); ++i) y_given[i] = static_cast<T>(y.value[i]);
  for (int64_t i = 0; i < lse.size(); ++i) lse_given[i] = static_cast<T>(lse.value[i]);

  const auto fill = [&](Attention<T>& a) {
    a = {};
    a.batch = batch, a.heads = c.heads, a.kv_heads = c.kv_heads;
    a.queries = n, a.keys = m, a.depth = d, a.value_depth = e;
    a.q = {q.data(), c.heads * n * d, n * d, d};
    a.k = {k.data(), c.kv_heads * m * d, m * d, d};
    a.v = {v.data(), c.kv_heads * m * e, m * e, e};
    a.bias = c.biased ? bias.data() : nullptr;
    a.mask_row = m, a.mask_col = 1;
    a.causal = c.causal;
    a.scale = scale;
  };
  const Heads<T> like_y = {nullptr, c.heads * n * e, n * e, e};
  check<T>("attention_forward", {{y, allowed(c)}, {lse, allowed(c)}},
           [&](const KernelTable<T>& kernels, T* const* out) {
             Attention<T> a;
             fill(a);
             a.y = like_y;
             a.y.data = out[0];
             a.lse = out[1];
             kernels.attention_forward(a);
           });
  std::vector<Want> wants = {{dq, allowed(c)}, {dk, allowed(c)}, {dv, allowed(c)}};
  if (c.biased) wants.push_back({dbias, allowed(c)});
  check<T>("attention_backward", wants, [&](const KernelTable<T>& kernels, T* const* out) {
    AttentionGradient<T> a{};
    fill(a);
    a.y = like_y;
    a.y.data = y_given.data();
    a.lse = lse_given.data();
    a.dy = {dy.data(), like_y.batch, like_y.head, like_y.row};
    a.dq = {out[0], a.q.batch, a.q.head, a.q.row};
    a.dk = {out[1], a.k.batch, a.k.head, a.k.row};
    a.dv = {out[2], a.v.batch, a.v.head, a.v.row};
    a.dbias = c.biased ? out[3] : nullptr;
    kernels.attention_backward(a);
  });
}

template <class T>
void additive(int64_t n, int64_t m, int64_t d) {
  constexpr int64_t batch = 2;
  const Values<T> q = numbers<T>(batch * n * d, -2, 2), k = numbers<T>(batch * m * d, -2, 2, 2),
                  w = numbers<T>(d, -1, 1, 3), ds = numbers<T>(batch * n * m, -1, 1, 4);
  Expected s(batch * n * m), dq(q.size()), dk(k.size()), dw(d);
  for (int64_t i = 0; i < batch * n; ++i)
    for (int64_t j = 0; j < m; ++j)
      for (int64_t e = 0; e < d; ++e) {
        const int64_t a = i * d + e, b = (i / n * m + j) * d + e;
        const Wide t = std::tanh(Wide(q[a]) + k[b]), slope = ds[i * m + j] * w[e] * (1 - t * t);
        s.add(i * m + j, w[e] * t);
        dq.add(a, slope);
        dk.add(b, slope);
        dw.add(e, ds[i * m + j] * t);
        dq.scale[a] += std::fabs(ds[i * m + j] * w[e]);
        dk.scale[b] += std::fabs(ds[i * m + j] * w[e]);
      }
  const AdditiveSizes sizes = {batch, n, m, d};
  check<T>("additive_scores_forward", s, 8 + chain(d), [&](const auto& kernels, T* to) {
    kernels.additive_scores_forward(q.data(), k.data(), w.data(), to, sizes);
  });
  const double allowed = 8 + chain(2 * n * m);
  check<T>("additive_scores_backward", {{dq, allowed}, {dk, allowed}, {dw, allowed}},
           [&](const KernelTable<T>& kernels, T* const* to) {
             kernels.additive_scores_backward(q.data(), k.data(), w.data(), ds.data(), to[0], to[1],
                                              to[2], sizes);
           });
}

template <class T>
void turned(bool interleaved, bool back) {
  constexpr int64_t outer = 3, rows = 4, half = 19;
  const Values<T> x = numbers<T>(outer * rows * 2 * half, -1, 1),
                  cos = numbers<T>(rows * half, -1, 1, 2), sin = numbers<T>(rows * half, -1, 1, 3);
  Expected y(x.size());
  for (int64_t i = 0; i < outer * rows; ++i)
    for (int64_t e = 0; e < half; ++e) {
      const int64_t a = i * 2 * half + (interleaved ? 2 * e : e), b = a + (interleaved ? 1 : half);
      const Wide c = cos[i % rows * half + e], s = (back ? -1 : 1) * Wide(sin[i % rows * half + e]);
      y.add(a, x[a] * c);
      y.add(a, -x[b] * s);
      y.add(b, x[b] * c);
      y.add(b, x[a] * s);
    }
  check<T>("rotary", y, 1.5, [&](const auto& kernels, T* to) {
    kernels.rotary(x.data(), cos.data(), sin.data(), to, outer, rows, half, interleaved, back);
  });
}

template <class T>
void all() {
  additive<T>(5, 7, 19);
  additive<T>(1, 40, 3);
  for (const bool back : {false, true}) turned<T>(false, back), turned<T>(true, back);
  for (const bool causal : {false, true})
    for (const bool biased : {false, true}) {
      if (causal && biased) continue;
      attend<T>({2, 2, 37, 130, 20, 17, causal, biased});
      attend<T>({2, 1, 3, 70, 16, 33, causal, biased});
    }
  attend<T>({4, 2, 20, 5, 3, 1, false, false});
}

}  // namespace

void check_attention() {
  all<float>();
  all<double>();
}

}  // namespace dlcore
