// What a kernel file may ask of the device's runtime, on the stream and device of the calling
// thread. The shim has the same functions, on host memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dlcore {
namespace DLCORE_ISA {

// The kernel of the table that runs, for messages.
const char* current_op();
class OpScope {
 public:
  explicit OpScope(const char* op);
  OpScope(const OpScope&) = delete;
  ~OpScope();

 private:
  const char* before_;
};

// Ends a function of the table: waits for it where its arrays are in the host's memory.
void finish_op();

// Memory that kernels launched from here on may use until it is released; what they still do with
// it comes before whatever a later owner does on the same stream.
void* device_acquire(size_t bytes);
void device_release(void* memory) noexcept;
// As many bytes of host memory as the stream will see them now: kernels launched from here on may
// read the copy until it is released. What `host` points to may be changed at once.
void* device_upload(const void* host, size_t bytes);
void device_clear(void* memory, size_t bytes);  // to 0
void device_copy(void* to, const void* from, size_t bytes);

// Refuses and fails with the name of the op: std::runtime_error.
void launch_kernel(const void* kernel, const unsigned* grid, const unsigned* block,
                   size_t shared_bytes, void** arguments);

// Scratch of one call.
template <class V>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : data_(static_cast<V*>(device_acquire(static_cast<size_t>(count) * sizeof(V)))) {}
  Scratch(const Scratch&) = delete;
  ~Scratch() { device_release(data_); }
  operator V*() const { return data_; }

 private:
  V* data_;
};

// A table of the host, as kernels see it.
template <class V>
class Uploaded {
 public:
  Uploaded(const V* host, int64_t count)
      : data_(host ? static_cast<V*>(device_upload(host, static_cast<size_t>(count) * sizeof(V)))
                   : nullptr) {}
  Uploaded(const Uploaded&) = delete;
  ~Uploaded() { device_release(data_); }
  operator const V*() const { return data_; }

 private:
  V* data_;
};

}  // namespace DLCORE_ISA
}  // namespace dlcore
