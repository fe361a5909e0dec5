#include "cases/coverage.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "cases/driver.h"
#include "op_declarations.h"

namespace tapedeck::cases {

using kernels::SlotBase;

namespace {

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::bf16, DType::f16,
                            DType::i64, DType::i32, DType::u8,   DType::boolean};

std::uint64_t calls_of(const SlotBase& s, DType t) {
  std::uint64_t n = 0;
  for (int v = 0; v < s.variant_count(DeviceType::cpu); ++v) n += s.calls(DeviceType::cpu, v, t);
  return n;
}

}  // namespace

Callers::Callers() : entries_(2 * kernels::all().size()) {}

void Callers::note(const OpCase& c) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& e = entries_[i];
    if (e.cases.size() == 4) continue;
    const DType t = i % 2 ? DType::f64 : DType::f32;
    const std::uint64_t now = calls_of(*kernels::all()[i / 2], t);
    // The reference of an f32 case calls slots in f64: forcing needs cases whose own type it is.
    if (now != e.calls && !c.inputs.empty() && c.inputs.back().dtype == t) e.cases.push_back(&c);
    e.calls = now;
  }
}

const std::vector<const OpCase*>& Callers::of(std::size_t slot, DType t) const {
  return entries_[2 * slot + (t == DType::f64)].cases;
}

int coverage(const Callers& callers, const std::set<std::string>& ops_run, bool table) {
  int missing = 0;
  for (std::size_t i = 0; i < kernels::all().size(); ++i) {
    SlotBase* s = kernels::all()[i];
    if (s->variant_count(DeviceType::cpu) == 0) continue;  // of other devices alone
    std::uint64_t total = 0;
    for (int t = 0; t < kDTypes; ++t) total += calls_of(*s, static_cast<DType>(t));
    if (total == 0) std::printf("NOT COVERED slot %s: never called\n", s->name()), ++missing;
    for (int v = 0; v < s->variant_count(DeviceType::cpu); ++v) {
      const char* variant = s->variant_name(DeviceType::cpu, v);
      std::string faults, line;
      for (const DType t : {DType::f32, DType::f64}) {
        std::string refusal;
        for (const OpCase* c : callers.of(i, t)) {
          if (s->calls(DeviceType::cpu, v, t) > 0) break;
          try {
            faults += run_forced(*c, *s, variant);
            if (t == DType::f64 && has_gradient_case(*c)) faults += run_forced_gradient(*c, *s, variant);
          } catch (const DeviceError& e) {
            refusal = e.what();
          }
        }
        const std::uint64_t n = s->calls(DeviceType::cpu, v, t);
        const bool needed = !callers.of(i, t).empty() && refusal.empty();
        if (n > 0)
          line += std::string("  ") + tapedeck::name(t) + " " + std::to_string(n);
        else if (needed)
          faults += std::string("never called in ") + tapedeck::name(t);
        else
          line += std::string("  ") + tapedeck::name(t) + " refused" +
                  (refusal.empty() ? ": no op asks" : refusal.substr(refusal.rfind(": ")));
      }
      for (int t = static_cast<int>(DType::bf16); t < kDTypes; ++t)
        if (const auto n = s->calls(DeviceType::cpu, v, static_cast<DType>(t)); n > 0)
          line += std::string("  ") + tapedeck::name(static_cast<DType>(t)) + " " + std::to_string(n);
      if (table) std::printf("%-26s %-8s%s\n", s->name(), variant, line.c_str());
      if (!faults.empty()) std::printf("NOT COVERED %s %s: %s\n", s->name(), variant, faults.c_str()), ++missing;
    }
  }
  // Each declaration of ops.h needs a label of its own: "pow" and "pow scalar" are the two functions pow.
  std::map<std::string, int> declared, run;
  for (const char* op : kOpDeclarations) ++declared[op];
  for (const std::string& op : ops_run) ++run[op.substr(0, op.find(' '))];
  for (const auto& [op, n] : declared)
    if (run[op] < n)
      std::printf("NOT COVERED op %s: %d of %d declared in ops.h were called\n", op.c_str(), run[op], n), ++missing;
  std::printf("coverage: %zu slots, %zu functions of ops.h, %d without a case\n", kernels::all().size(),
              std::size(kOpDeclarations), missing);
  return missing;
}

void print_support() {
  std::printf("%-26s %-6s %-8s", "slot", "device", "variant");
  for (const DType t : kTypes) std::printf(" %5s", tapedeck::name(t));
  std::printf("\n");
  for (const SlotBase* s : kernels::all())
    for (const DeviceType d : {DeviceType::cpu, DeviceType::cuda})
      for (int v = 0; v < s->variant_count(d); ++v) {
        std::printf("%-26s %-6s %-8s", s->name(), d == DeviceType::cpu ? "cpu" : "cuda", s->variant_name(d, v));
        for (const DType t : kTypes) std::printf(" %5s", s->calls(d, v, t) > 0 ? "yes" : "-");
        std::printf("\n");
      }
}

// ---- the matrix in the README ---------------------------------------------------------------------------------------
namespace {

// "simd ref eigen": the variants that were called with t, in order of preference.
std::string variants_with(const SlotBase& s, DType t) {
  std::string out;
  for (int v = 0; v < s.variant_count(DeviceType::cpu); ++v)
    if (s.calls(DeviceType::cpu, v, t) > 0)
      out += (out.empty() ? "" : " ") + std::string(s.variant_name(DeviceType::cpu, v));
  return out.empty() ? "-" : out;
}

struct Page {
  std::string before, matrix, after;
};
bool read_page(const std::string& file, Page& page) {
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::string open = "<!-- support matrix -->\n", close = "<!-- end -->";
  const std::size_t begin = text.find(open), end = text.find(close, begin == std::string::npos ? 0 : begin);
  if (begin == std::string::npos || end == std::string::npos) {
    std::printf("%s has no support matrix between its two marks\n", file.c_str());
    return false;
  }
  const std::size_t from = begin + open.size();
  page = {text.substr(0, from), text.substr(from, end - from), text.substr(end)};
  return true;
}

}  // namespace

std::string support_matrix() {
  std::vector<std::string> rows;  // in order of the first slot
  std::map<std::string, std::string> slots;
  for (const SlotBase* s : kernels::all()) {
    if (s->variant_count(DeviceType::cpu) == 0) continue;
    std::string row;
    for (const DType t : kTypes) row += " | " + variants_with(*s, t);
    auto [names, is_new] = slots.try_emplace(row);
    if (is_new) rows.push_back(row);
    const std::string name = s->name();
    const bool backward = names->second.ends_with(name.substr(0, name.rfind("_backward")));
    names->second += backward && name.ends_with("_backward") ? "\\*" : (is_new ? "" : " ") + name;
  }
  std::string out = "| slots (\\*: and its `_backward`)", rule = "|---";
  for (const DType t : kTypes) out += " | " + std::string(tapedeck::name(t)), rule += "|---";
  out += " |\n" + rule + "|\n";
  for (const std::string& row : rows) out += "| " + slots[row] + row + " |\n";
  return out;
}

bool check_matrix(const std::string& file) {
  Page page;
  if (!read_page(file, page)) return false;
  if (page.matrix == support_matrix()) return true;
  std::printf("NOT CURRENT: the support matrix of %s; op_cases --write-matrix %s mends it\n", file.c_str(),
              file.c_str());
  return false;
}

bool write_matrix(const std::string& file) {
  Page page;
  if (!read_page(file, page)) return false;
  std::ofstream(file) << page.before << support_matrix() << page.after;
  return true;
}

}  // namespace tapedeck::cases
