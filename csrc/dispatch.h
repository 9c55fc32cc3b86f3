// Which kernel table serves: chosen once, at load, by what the CPU can do and DLCORE_ISA.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace dlcore {

template <class T>
const KernelTable<T>& kernels();
template <>
const KernelTable<float>& kernels<float>();
template <>
const KernelTable<double>& kernels<double>();

void choose_isa();  // at load: DLCORE_ISA or the best; std::invalid_argument when that cannot run
std::string isa();  // the instruction set in use
bool has_int8();    // numbers of 8 bits
bool has_bf16();    // whether it multiplies in bfloat16
std::vector<std::string> isas();        // those this CPU can run, lowest first
std::vector<std::string> built_isas();  // those this build holds
// One more, which serves whoever sets it: that of a plugin. `name` and `fill` stay for good.
void add_target(const char* name, void (*fill)(KernelTable<float>&, KernelTable<double>&));
void set_isa(const std::string& name);  // std::invalid_argument when the CPU cannot run it

}  // namespace dlcore
