// to_dot: a tape as a drawing.
#include <tapedeck/autograd/inspect.h>
#include <tapedeck/autograd/tape.h>

namespace tapedeck {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string shape_of(const detail::Slot& slot) { return name(slot.options.dtype) + to_string(slot.shape); }

}  // namespace

std::string to_dot(const Tape& tape) {
  std::string out = "digraph tape {\n  node [shape=box, fontname=monospace];\n";
  std::vector<std::string> maker(tape.slots_.size());  // of each slot: the node that its edges come from
  for (std::size_t s = 0; s < tape.slots_.size(); ++s) {
    const detail::Slot& slot = tape.slots_[s];
    if (slot.kind == detail::Slot::Kind::output) continue;
    maker[s] = "leaf" + std::to_string(s);
    const bool parameter = slot.kind == detail::Slot::Kind::parameter;
    out += "  " + maker[s] + " [label=\"" + (parameter ? "parameter " : "watched ") + shape_of(slot) +
           "\", style=rounded];\n";
  }
  std::vector<bool> used(tape.slots_.size());
  for (std::size_t n = 0; n < tape.nodes_.size(); ++n) {
    const detail::Node& node = tape.nodes_[n];
    const std::string here = "op" + std::to_string(n), module = detail::module_name(node.module);
    out += "  " + here + " [label=\"" + escaped(node.name) + (module.empty() ? "" : "\\n" + escaped(module)) +
           "\\nsaves " + std::to_string(node.note.saved_bytes) + " B\"];\n";
    for (std::int32_t e = node.first_edge; e < node.first_edge + node.inputs + node.outputs; ++e) {
      const std::int32_t s = tape.edges_[static_cast<std::size_t>(e)];
      if (s < 0) continue;  // an input that needs no gradient
      std::string& from = maker[static_cast<std::size_t>(s)];
      if (e >= node.first_edge + node.inputs) {
        from = here;
        continue;
      }
      used[static_cast<std::size_t>(s)] = true;
      out += "  " + from + " -> " + here + " [label=\"" + shape_of(tape.slots_[static_cast<std::size_t>(s)]) + "\"];\n";
    }
  }
  for (std::size_t s = 0; s < tape.slots_.size(); ++s) {  // what nothing has used yet: the results
    const detail::Slot& slot = tape.slots_[s];
    if (used[s] || slot.kind != detail::Slot::Kind::output) continue;
    const std::string end = "end" + std::to_string(s);
    out += "  " + end + " [label=\"" + shape_of(slot) + "\", shape=plaintext];\n  " + maker[s] + " -> " + end + ";\n";
  }
  return out + "}\n";
}

}  // namespace tapedeck
