// What the JSON reader and config loading promise for any text, shared by the fuzzer and the replay of its corpus.
#pragma once
#include <tapedeck/io/config.h>
#include <tapedeck/tensor/error.h>

#include <string>
#include <string_view>

#include "../io/test_configs.h"

namespace tapedeck {

// "" when the text is refused with a FormatError or a ConfigError, or comes back equal from its own text and, where
// it is a config, from its minimal form. Every other exception leaves.
inline std::string json_broken_promise(std::string_view text, bool comments) {
  using io::testing_configs::RunConfig;
  io::testing_configs::register_all();
  io::ParseLimits limits;
  limits.comments = comments;
  io::Node node;
  try {
    node = io::parse_json(text, "fuzz", limits);
  } catch (const FormatError&) {
    return "";
  }
  for (int indent : {-1, 2}) {
    const std::string written = io::dump_json(node, indent);
    limits.bytes = static_cast<std::int64_t>(written.size());  // indentation may exceed the limit of the input
    if (io::parse_json(written, "fuzz", limits) != node) return "a value changed on its way through text";
  }
  try {
    const auto config = io::load<RunConfig>(node, "fuzz");
    const auto back = io::load<RunConfig>(io::save(config, io::Save::minimal), "fuzz");
    if (io::dump_json(io::save(config)) != io::dump_json(io::save(back)))
      return "a config changed on its way through its minimal form";
  } catch (const ConfigError&) {
  }
  return "";
}

}  // namespace tapedeck
