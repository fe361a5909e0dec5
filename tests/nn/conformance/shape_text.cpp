#include "nn/conformance/shape_text.h"

#include <cctype>
#include <cmath>

namespace tapedeck::nn {
namespace {

std::string trimmed(const std::string& s) {
  const auto first = s.find_first_not_of(' '), last = s.find_last_not_of(' ');
  return first == std::string::npos ? "" : s.substr(first, last - first + 1);
}
bool is_name(const std::string& s) {
  const auto fits = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '\'';
  };
  return !s.empty() && std::isalpha(static_cast<unsigned char>(s[0])) && std::all_of(s.begin(), s.end(), fits);
}

// "x [a, b[0] + 1], [c]" -> {{"a", "b[0] + 1"}, {"c"}}
std::vector<Dims> read_tensors(const std::string& side) {
  std::vector<Dims> out;
  int depth = 0;
  std::string word;
  for (const char c : side) {
    if (c == '[' && depth++ == 0) {
      TD_CHECK(trimmed(word).empty() || is_name(trimmed(word)), ValueError, "shapes: \"", word, "\" is no name");
      out.emplace_back(), word.clear();
    } else if (c == ']' && --depth == 0) {
      out.back().push_back(trimmed(word)), word.clear();
    } else if (c == ',' && depth <= 1) {
      if (depth == 1) out.back().push_back(trimmed(word));
      TD_CHECK(depth == 1 || trimmed(word).empty(), ValueError, "shapes: \"", word, "\" has no dimensions");
      word.clear();
    } else {
      word += c;
    }
  }
  TD_CHECK(depth == 0 && trimmed(word).empty() && !out.empty(), ValueError, "shapes: cannot read \"", side, "\"");
  return out;
}

std::string list_of(const Shape& shape) {
  std::string out;
  for (const std::int64_t size : shape) out += (out.empty() ? "" : ", ") + std::to_string(size);
  return "[" + out + "]";
}
std::string list_of(const Dims& dims) {
  std::string out;
  for (const std::string& d : dims) out += (out.empty() ? "" : ", ") + d;
  return "[" + out + "]";
}

// + - * / and parentheses over whole numbers; names by `named`. Empty when a name is not known.
class Calculator {
 public:
  Calculator(const std::string& text, std::function<std::optional<std::int64_t>(const std::string&)> named)
      : text_(text), named_(std::move(named)) {}
  std::optional<std::int64_t> result() {
    const std::int64_t v = sum();
    TD_CHECK(at_ == text_.size(), ValueError, "shapes: cannot read \"", text_, "\"");
    return known_ ? std::optional(v) : std::nullopt;
  }

 private:
  char next() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  std::int64_t sum() {
    std::int64_t v = product();
    while (next() == '+' || next() == '-') v = text_[at_++] == '+' ? v + product() : v - product();
    return v;
  }
  std::int64_t product() {
    std::int64_t v = atom();
    while (next() == '*' || next() == '/') {
      const bool times = text_[at_++] == '*';
      const std::int64_t by = atom();
      TD_CHECK(times || by > 0, ValueError, "shapes: \"", text_, "\" divides by ", by);
      v = times ? v * by : v / by;
    }
    return v;
  }
  std::int64_t atom() {
    if (next() == '(') {
      ++at_;
      const std::int64_t v = sum();
      TD_CHECK(next() == ')', ValueError, "shapes: a ) is missing in \"", text_, "\"");
      ++at_;
      return v;
    }
    std::string word;
    const auto part = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '\'';
    };
    while (at_ < text_.size() && part(text_[at_])) word += text_[at_++];
    TD_CHECK(!word.empty(), ValueError, "shapes: cannot read \"", text_, "\"");
    if (std::isdigit(static_cast<unsigned char>(word[0]))) return std::stoll(word);
    if (at_ < text_.size() && text_[at_] == '[') {
      const auto end = text_.find(']', at_);
      TD_CHECK(end != std::string::npos, ValueError, "shapes: a ] is missing in \"", text_, "\"");
      word += text_.substr(at_, end + 1 - at_), at_ = end + 1;
    }
    const auto v = named_(word);
    known_ = known_ && v;
    return v.value_or(1);
  }

  const std::string& text_;
  std::function<std::optional<std::int64_t>(const std::string&)> named_;
  std::size_t at_ = 0;
  bool known_ = true;
};

}  // namespace

ShapeText::ShapeText(const std::string& text, io::Node hparams) : hparams_(std::move(hparams)) {
  const auto arrow = text.find("->");
  TD_CHECK(arrow != std::string::npos, ValueError, "shapes: \"", text, "\" has no ->");
  inputs_ = read_tensors(text.substr(0, arrow)), outputs_ = read_tensors(text.substr(arrow + 2));
}

int ShapeText::batch_of(const Dims& dims, int rank) {
  const int n = static_cast<int>(dims.size());
  bool behind = false;  // the "..."
  for (int d = 0; d < n; ++d) {
    if (dims[static_cast<std::size_t>(d)] == "batch") return behind ? rank - (n - d) : d;
    behind = behind || dims[static_cast<std::size_t>(d)] == "...";
  }
  return behind && dims[0] == "..." && rank >= n ? 0 : -1;
}

std::string ShapeText::compare(const std::vector<Shape>& inputs, const std::vector<Shape>& outputs) {
  if (inputs.size() != inputs_.size() || outputs.size() != outputs_.size())
    return std::to_string(inputs.size()) + " inputs and " + std::to_string(outputs.size()) +
           " outputs, but the text has " + std::to_string(inputs_.size()) + " and " + std::to_string(outputs_.size());
  std::string wrong;
  for (std::size_t i = 0; i < inputs.size() && wrong.empty(); ++i) wrong = compare_one(inputs_[i], inputs[i], true);
  for (std::size_t i = 0; i < outputs.size() && wrong.empty(); ++i) wrong = compare_one(outputs_[i], outputs[i], false);
  return wrong;
}

std::string ShapeText::compare_one(const Dims& dims, const Shape& shape, bool input) {
  const std::string where = list_of(shape) + " is not " + list_of(dims);
  const bool open = std::find(dims.begin(), dims.end(), "...") != dims.end();
  const int more = shape.rank() - static_cast<int>(dims.size()) + (open ? 1 : 0);  // dimensions in "..."
  if (open ? more < 0 : more != 0) return where;
  int d = 0;
  for (const std::string& dim : dims) {
    if (dim == "...") {
      std::vector<std::int64_t> sizes;
      for (int i = 0; i < more; ++i) sizes.push_back(shape[d++]);
      if (!dots_) dots_ = sizes;
      if (*dots_ != sizes) return where + ": other sizes for ...";
      continue;
    }
    const std::int64_t size = shape[d++];
    const std::optional<std::int64_t> expected = value(dim);
    if (!expected && !(is_name(dim) && (input || dim.back() == '\''))) return where + ": " + dim + " is not known";
    if (expected.value_or(size) != size) return where + ": " + dim + " is " + std::to_string(*expected);
    if (!expected) sizes_[dim] = size;
  }
  return "";
}

std::optional<std::int64_t> ShapeText::value(const std::string& expression) {
  return Calculator(expression, [this](const std::string& name) { return named(name); }).result();
}

// "layer.d_model", "kernel_size[0]", or a size met before.
std::optional<std::int64_t> ShapeText::named(const std::string& name) {
  if (const auto met = sizes_.find(name); met != sizes_.end()) return met->second;
  const io::Node* node = &hparams_;
  std::string word = name;
  std::optional<std::size_t> index;
  if (const auto open = name.find('['); open != std::string::npos)
    index = std::stoull(name.substr(open + 1)), word = name.substr(0, open);
  for (std::size_t start = 0; node && start <= word.size();) {
    const std::size_t dot = std::min(word.find('.', start), word.size());
    node = node->find(word.substr(start, dot - start)), start = dot + 1;
  }
  if (node && index) node = node->is_array() && *index < node->size() ? &node->items()[*index] : nullptr;
  if (!node || !node->is_number()) return {};
  if (node->kind() == io::Node::Kind::integer) return node->integer();
  return node->real() == std::floor(node->real()) ? std::optional(static_cast<std::int64_t>(node->real()))
                                                  : std::nullopt;
}

}  // namespace tapedeck::nn
