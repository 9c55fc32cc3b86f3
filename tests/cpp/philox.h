// Philox4x32-10 one word at a time (Salmon, Moraes, Dror, Shaw 2011), in dlcore's order: word w of
// counter j of a group of 16 counters is number 16 w + j of the group.
#pragma once

#include "check.h"
#include "runtime/random.h"

namespace dlcore {

inline std::vector<uint32_t> philox_words(int64_t n, uint64_t seed, uint64_t offset,
                                          uint64_t stream) {
  std::vector<uint32_t> words;
  for (int64_t group = 0; static_cast<int64_t>(words.size()) < n; ++group) {
    uint32_t of[kGroupWords];
    for (int64_t j = 0; j < kGroupCounters; ++j) {
      const uint64_t at = offset + static_cast<uint64_t>(group * kGroupCounters + j);
      uint32_t c[4] = {static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32),
                       static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)};
      uint32_t key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
      for (int round = 0; round < 10; ++round) {
        const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
        const uint32_t next[4] = {
            static_cast<uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(b),
            static_cast<uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(a)};
        std::memcpy(c, next, sizeof c);
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
      }
      for (int w = 0; w < 4; ++w) of[w * kGroupCounters + j] = c[w];
    }
    words.insert(words.end(), of, of + kGroupWords);
  }
  words.resize(n);
  return words;
}

}  // namespace dlcore
