#include <pybind11/stl.h>

#include "bindings/array.h"
#include "runtime/buffer.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/settings.h"

namespace dlcore {
namespace {

void bind_set_isa(py::handle name) {
  CHECK_TYPE(PyUnicode_Check(name.ptr()), "set_isa: name must be a string, got ",
             Py_TYPE(name.ptr())->tp_name);
  set_isa(name.cast<std::string>());
}

// What a plugin's library gives: the address of its name and of its `fill`, and the size of its
// table, by which one of another version is known.
void bind_add_target(uint64_t name, uint64_t fill, int64_t bytes) {
  CHECK(bytes == sizeof(KernelTable<float>), "add_target: the plugin is of another version");
  add_target(reinterpret_cast<const char*>(name),
             reinterpret_cast<void (*)(KernelTable<float>&, KernelTable<double>&)>(fill));
}

void bind_set_num_threads(py::handle n_) {
  const int64_t n = int_argument("set_num_threads", "n", n_);
  const GilReleased released;  // a call of another thread ends first
  set_num_threads(n);
}

void bind_set_cache_limit(py::handle nbytes_) {
  const int64_t nbytes = int_argument("set_cache_limit", "nbytes", nbytes_);
  CHECK(nbytes >= 0, "set_cache_limit: nbytes must be at least 0, got ", nbytes);
  const GilReleased released;
  set_cache_limit(static_cast<size_t>(nbytes));
}

void bind_set_winograd(py::handle enabled) {
  CHECK_TYPE(PyBool_Check(enabled.ptr()), "set_winograd: enabled must be True or False, got ",
             Py_TYPE(enabled.ptr())->tp_name);
  set_winograd(enabled.ptr() == Py_True);
}

std::pair<double, double> bind_cgroup_quota(const std::string& groups, const std::string& root) {
  const Quota quota = cgroup_quota(groups, root);
  return {quota.cpus, quota.bytes};
}

}  // namespace

void bind_runtime(Module& m) {
  m.def("isa", &isa);
  m.def("has_bf16", &has_bf16);
  m.def("has_int8", &has_int8);
  m.def("isas", &isas);
  m.def("built_isas", &built_isas);
  m.def("set_isa", &bind_set_isa, py::arg("name"));
  m.def("add_target", &bind_add_target, py::arg("name"), py::arg("fill"), py::arg("bytes"));
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &bind_set_num_threads, py::arg("n"));
  m.def("usable_cpus", &usable_cpus);
  m.def("usable_memory", &usable_memory);
  m.def("cgroup_quota", &bind_cgroup_quota, py::arg("groups"), py::arg("root"));
  m.def("cpu_name", &cpu_name);
  m.def("cache_bytes", &cache_bytes, py::arg("level"));
  m.def("cached_bytes", &cached_bytes);
  m.def("cache_limit", &cache_limit);
  m.def("set_cache_limit", &bind_set_cache_limit, py::arg("nbytes"));
  m.def("winograd", &winograd_enabled);
  m.def("set_winograd", &bind_set_winograd, py::arg("enabled"));
  m.def("empty_cache", [] {
    const GilReleased released;
    empty_cache();
  });
}

}  // namespace dlcore
