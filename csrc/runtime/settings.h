// What a user may choose for all calls of the process.
#pragma once

namespace dlcore {

bool winograd_enabled();  // whether convolution may take Winograd's way; true at first
void set_winograd(bool enabled);

}  // namespace dlcore
