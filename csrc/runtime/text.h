// Text of error messages.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace dlcore {

struct NotImplemented : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

inline std::string join(const std::vector<std::string>& words, const std::string& separator) {
  std::string joined;
  for (size_t i = 0; i < words.size(); ++i) joined += (i ? separator : "") + words[i];
  return joined;
}

}  // namespace dlcore
