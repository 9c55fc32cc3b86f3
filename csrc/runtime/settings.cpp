#include "runtime/settings.h"

#include <atomic>

namespace dlcore {
namespace {

std::atomic<bool> winograd{true};

}  // namespace

bool winograd_enabled() {
  return winograd.load(std::memory_order_relaxed);
}

void set_winograd(bool enabled) {
  winograd.store(enabled, std::memory_order_relaxed);
}

}  // namespace dlcore
