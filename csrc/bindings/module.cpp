#define DLCORE_IMPORTS_NUMPY
#include "bindings/array.h"
#include "runtime/buffer.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"

namespace dlcore {

void bind_activation(py::module_& m);
void bind_probe(py::module_& m);

static int import_numpy() {
  import_array1(-1);
  return 0;
}

static void bind_runtime(py::module_& m) {
  m.def("isa", &isa);
  m.def("isas", &isas);
  m.def("built_isas", &built_isas);
  m.def("set_isa", &set_isa, py::arg("name"));
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads, py::arg("n"),
        py::call_guard<py::gil_scoped_release>());
  m.def("usable_cpus", &usable_cpus);
  m.def("cpu_name", &cpu_name);
  m.def("cache_bytes", &cache_bytes, py::arg("level"));
  m.def("cached_bytes", &cached_bytes);
  m.def("cache_limit", &cache_limit);
  m.def("set_cache_limit", &set_cache_limit, py::arg("nbytes"));
  m.def("empty_cache", &empty_cache, py::call_guard<py::gil_scoped_release>());
}

}  // namespace dlcore

PYBIND11_MODULE(_C, m) {
  using namespace dlcore;
  if (import_numpy() < 0) throw py::error_already_set();
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const NotImplemented& e) {
      py::set_error(PyExc_NotImplementedError, e.what());
    }
  });
  m.attr("__version__") = DLCORE_VERSION;
  m.attr("compiler") = __VERSION__;
  bind_runtime(m);
  bind_activation(m);
  bind_probe(m);
  choose_isa();  // a bad DLCORE_ISA or DLCORE_NUM_THREADS stops the import with its one line
  num_threads();
}
