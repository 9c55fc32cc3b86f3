#define DLCORE_IMPORTS_NUMPY
#include <pybind11/pybind11.h>

#include "bindings/array.h"
#include "runtime/parallel.h"

namespace dlcore {

void bind_runtime(Module& m);
void bind_short_way(py::object& made, Module& m);
void bind_activation(Module& m);
void bind_activation_curve(Module& m);
void bind_gated(Module& m);
void bind_attention(Module& m);
void bind_attention_scores(Module& m);
void bind_boxes(Module& m);
void bind_compare(Module& m);
void bind_box_coding(Module& m);
void bind_nms(Module& m);
void bind_rnn(Module& m);
void bind_roi(Module& m);
void bind_ctc(Module& m);
void bind_dropout(Module& m);
void bind_elementwise(Module& m);
void bind_loss(Module& m);
void bind_loss_element(Module& m);
void bind_norm(Module& m);
void bind_norm_rows(Module& m);
void bind_optim(Module& m);
void bind_reduction(Module& m);
void bind_gemm(Module& m);
void bind_int8(Module& m);
void bind_probe(Module& m);
void bind_random(Module& m);
void bind_signal(Module& m);
void bind_softmax(Module& m);
void bind_conv(Module& m);
void bind_pool(Module& m);
void bind_pad(Module& m);
void bind_resize(Module& m);
void bind_shuffle(Module& m);
void bind_grid_sample(Module& m);
void bind_gather(Module& m);
void bind_embedding(Module& m);
void bind_sort(Module& m);

static int import_numpy() {
  import_array1(-1);
  return 0;
}

}  // namespace dlcore

PYBIND11_MODULE(_C, made) {
  using namespace dlcore;
  if (import_numpy() < 0) throw py::error_already_set();
  made.attr("__version__") = DLCORE_VERSION;
  made.attr("compiler") = __VERSION__;
  Module m(made);
  bind_runtime(m);
  bind_short_way(made, m);
  bind_activation(m);
  bind_activation_curve(m);
  bind_gated(m);
  bind_attention(m);
  bind_attention_scores(m);
  bind_boxes(m);
  bind_compare(m);
  bind_box_coding(m);
  bind_nms(m);
  bind_rnn(m);
  bind_roi(m);
  bind_ctc(m);
  bind_dropout(m);
  bind_elementwise(m);
  bind_loss(m);
  bind_loss_element(m);
  bind_norm(m);
  bind_norm_rows(m);
  bind_optim(m);
  bind_reduction(m);
  bind_gemm(m);
  bind_int8(m);
  bind_probe(m);
  bind_random(m);
  bind_signal(m);
  bind_softmax(m);
  bind_conv(m);
  bind_pool(m);
  bind_pad(m);
  bind_resize(m);
  bind_shuffle(m);
  bind_grid_sample(m);
  bind_gather(m);
  bind_embedding(m);
  bind_sort(m);
  choose_isa();  // a bad DLCORE_ISA or DLCORE_NUM_THREADS stops the import with its one line
  num_threads();
}
