// What reading and overriding configs promise for any bytes, shared by the fuzzer and the replay of its corpus.
#pragma once
#include <tapedeck/io/config.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "../io/rich_config.h"

namespace tapedeck {

// "" when a config keeps its promises: the text of every dump comes back to the same bytes, each form describes the
// same config, and what was read is right for code too.
inline std::string config_broken_promise(const io::testing_configs::Rich& config) {
  using io::Save, io::testing_configs::Rich;
  io::ParseLimits room;  // indentation may exceed the limits of what was read
  room.bytes = room.values = room.string_bytes = 1 << 30;
  room.depth = 200;
  io::check(config, "fuzz");
  const std::string full = io::dump_json(io::save(config));
  for (Save how : {Save::full, Save::minimal, Save::extended}) {
    const std::string text = io::dump_json(io::save(config, how), how == Save::full ? 2 : -1);
    const auto back = io::load<Rich>(io::parse_json(text, "fuzz", room), "fuzz");
    if (io::dump_json(io::save(back)) != full) return "a config changed on its way through a dump";
    if (io::dump_json(io::save(back, how), how == Save::full ? 2 : -1) != text) return "a dump is not canonical";
    if (!io::diff(back, config).empty() || !io::equal(back, config)) return "equal configs differ";
    if (io::hash(back) != io::hash(config)) return "equal configs have different hashes";
  }
  const Rich preset{.plain = {.text = "preset"}, .low = 2, .high = 3, .plains = {{}}};
  auto over = io::load<Rich>(io::save(config), "fuzz", preset);
  auto patched = preset;
  io::patch(patched, io::save(config), "fuzz");
  if (!io::equal(over, patched)) return "a full dump over a preset is another config than the preset patched with it";
  io::check(over, "fuzz");
  return "";
}

// Reads the bytes as a file of a config or, when they start with "set\n", as overrides, one a line. What a ConfigError
// or a FormatError refuses is right, and `refusal` says why; every other exception leaves.
inline std::string config_broken_promise(std::string_view bytes, std::string& refusal) {
  using io::testing_configs::Rich;
  io::testing_configs::register_rich();
  refusal.clear();
  io::ParseLimits limits;
  limits.comments = true;  // as in files
  Rich config;
  config.plain.needed.path = "given";
  if (bytes.starts_with("set\n")) {
    std::vector<std::string> lines;
    for (bytes.remove_prefix(4); !bytes.empty() && lines.size() < 20;) {
      const std::size_t end = std::min(bytes.find('\n'), bytes.size());
      std::string line(bytes.substr(0, end));
      bytes.remove_prefix(std::min(end + 1, bytes.size()));
      if (line.find("=@") == std::string::npos) lines.push_back(std::move(line));  // no files of this machine
    }
    const std::string before = io::dump_json(io::save(config));
    try {
      io::set(config, lines);
    } catch (const ConfigError& e) {
      refusal = e.what();
      return io::dump_json(io::save(config)) == before ? "" : "refused overrides changed the config";
    }
    return config_broken_promise(config);
  }
  try {
    config = io::load<Rich>(io::parse_json(bytes, "fuzz", limits), "fuzz");
  } catch (const FormatError& e) {
    refusal = e.what();
    return "";
  } catch (const ConfigError& e) {
    refusal = e.what();
    if (std::any_of(refusal.begin(), refusal.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; })) {
      return "a message holds a control character";
    }
    return "";
  }
  return config_broken_promise(config);
}

}  // namespace tapedeck
