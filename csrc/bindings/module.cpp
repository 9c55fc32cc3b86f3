#define DLCORE_IMPORTS_NUMPY
#include "bindings/array.h"
#include "runtime/parallel.h"

namespace dlcore {

void refuse_in_one_line(py::module_& m);

void bind_runtime(py::module_& m);
void bind_activation(py::module_& m);
void bind_boxes(py::module_& m);
void bind_compare(py::module_& m);
void bind_box_coding(py::module_& m);
void bind_nms(py::module_& m);
void bind_roi(py::module_& m);
void bind_dropout(py::module_& m);
void bind_elementwise(py::module_& m);
void bind_loss(py::module_& m);
void bind_norm(py::module_& m);
void bind_optim(py::module_& m);
void bind_reduction(py::module_& m);
void bind_gemm(py::module_& m);
void bind_probe(py::module_& m);
void bind_random(py::module_& m);
void bind_softmax(py::module_& m);
void bind_conv(py::module_& m);
void bind_pool(py::module_& m);
void bind_pad(py::module_& m);
void bind_resize(py::module_& m);
void bind_shuffle(py::module_& m);
void bind_grid_sample(py::module_& m);

static int import_numpy() {
  import_array1(-1);
  return 0;
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
    } catch (const std::bad_alloc&) {
      py::set_error(PyExc_MemoryError, "dlcore: no memory for a kernel's intermediate results");
    }
  });
  m.attr("__version__") = DLCORE_VERSION;
  m.attr("compiler") = __VERSION__;
  bind_runtime(m);
  bind_activation(m);
  bind_boxes(m);
  bind_compare(m);
  bind_box_coding(m);
  bind_nms(m);
  bind_roi(m);
  bind_dropout(m);
  bind_elementwise(m);
  bind_loss(m);
  bind_norm(m);
  bind_optim(m);
  bind_reduction(m);
  bind_gemm(m);
  bind_probe(m);
  bind_random(m);
  bind_softmax(m);
  bind_conv(m);
  bind_pool(m);
  bind_pad(m);
  bind_resize(m);
  bind_shuffle(m);
  bind_grid_sample(m);
  refuse_in_one_line(m);
  choose_isa();  // a bad DLCORE_ISA or DLCORE_NUM_THREADS stops the import with its one line
  num_threads();
}
