// trace_to: what happens over time, in Chrome's trace format.
#include <tapedeck/autograd/inspect.h>
#include <tapedeck/autograd/recording.h>
#include <tapedeck/autograd/watchers.h>
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>

namespace tapedeck {
namespace {

using detail::Tensors;

// A file that grows while the program runs. Its array may lack the closing bracket: the format allows that.
class TraceFile {
 public:
  static TraceFile& get() {
    static TraceFile* file = new TraceFile;  // never destroyed: threads may still work when statics are
    return *file;
  }

  void open(const std::string& path) {
    close();
    const std::lock_guard lock(mutex_);
    TD_CHECK(replaceable(path), IoError, "trace: ", path, " exists and is no trace; choose another name");
    file_ = std::fopen(path.c_str(), "we");
    TD_CHECK(file_, IoError, "trace: cannot write ", path, ": ", std::strerror(errno));
    path_ = path, failed_ = 0;
    buffer_ = kStart + std::to_string(getpid()) + R"(,"args":{"name":"tapedeck"}})";
    static const int at_exit = std::atexit([] {
      try {
        get().close();
      } catch (const std::exception& e) {
        std::fprintf(stderr, "tapedeck: %s\n", e.what());
      }
    });
    static_cast<void>(at_exit);
    detail::watch(detail::kWatchTrace, true);
  }

  void close() {
    detail::watch(detail::kWatchTrace, false);
    const std::lock_guard lock(mutex_);
    if (!file_) return;
    buffer_ += "\n]\n";
    flush();
    if (std::fclose(std::exchange(file_, nullptr)) != 0 && !failed_) failed_ = errno;
    TD_CHECK(!failed_, IoError, "trace: cannot write ", path_, ": ", std::strerror(failed_));
  }

  void add(const std::string& event) {
    const std::lock_guard lock(mutex_);
    if (!file_) return;
    buffer_ += ",\n";
    buffer_ += event;
    if (buffer_.size() > kBlock) flush();
  }

 private:
  static constexpr const char* kStart = "[\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":";
  static constexpr std::size_t kBlock = 1 << 16;

  static bool replaceable(const std::string& path) {
    std::error_code none;
    if (!std::filesystem::is_regular_file(path, none) || std::filesystem::file_size(path, none) == 0) return true;
    char head[32] = {};
    std::FILE* f = std::fopen(path.c_str(), "re");
    const std::size_t n = f ? std::fread(head, 1, sizeof head, f) : 0;
    if (f) std::fclose(f);
    return n == sizeof head && std::memcmp(head, kStart, n) == 0;
  }
  void flush() {
    if (!failed_ && (std::fwrite(buffer_.data(), 1, buffer_.size(), file_) != buffer_.size() || std::fflush(file_)))
      failed_ = errno;
    buffer_.clear();
  }

  std::mutex mutex_;
  std::FILE* file_ = nullptr;
  std::string path_, buffer_;
  int failed_ = 0;  // errno of the first write that failed
};

// ---- events ---------------------------------------------------------------------------------------------------------
thread_local double first_kernel = -1;  // when the first kernel since the last op began: that is where an op begins
thread_local double kernel_start = 0;

int thread_number() {
  static std::atomic<int> next{1};
  thread_local int mine = next.fetch_add(1);
  return mine;
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\', out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", c);
      out += code;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string number(double v) {
  char digits[40];
  std::snprintf(digits, sizeof digits, "%.3f", v);
  return digits;
}

void add_event(std::string_view name, const char* category, double start, const std::string& args) {
  const double end = detail::trace_now();
  const std::string where = R"(,"pid":)" + std::to_string(getpid()) + R"(,"tid":)" + std::to_string(thread_number());
  TraceFile::get().add(R"({"name":)" + in_quotes(name) + R"(,"cat":")" + category + R"(","ph":"X","ts":)" +
                       number(start) + R"(,"dur":)" + number(end - start) + where + R"(,"args":{)" + args + "}}");
}

void add_memory() {
  static std::atomic<std::int64_t> last{-1};
  const std::int64_t live = memory_stats().live_bytes;
  if (last.exchange(live) == live) return;
  TraceFile::get().add(R"({"name":"memory","ph":"C","ts":)" + number(detail::trace_now()) + R"(,"pid":)" +
                       std::to_string(getpid()) + R"(,"args":{"bytes":)" + std::to_string(live) + "}}");
}

void kernel_event(const char* slot, const char* variant, kernels::detail::KernelEvent event) {
  using enum kernels::detail::KernelEvent;
  if (event == begins) {
    kernel_start = detail::trace_now();
    if (first_kernel < 0) first_kernel = kernel_start;
  } else if (event == done) {
    add_event(slot, "kernel", kernel_start, R"("variant":)" + in_quotes(variant));
  }
}

std::int64_t bytes_of(const Tensor& x) {
  return x.defined() ? x.numel() * static_cast<std::int64_t>(size_of(x.dtype())) : 0;
}
std::string text_of(const Tensor& x) {
  return in_quotes(x.defined() ? name(x.dtype()) + to_string(x.sizes()) : "none");
}

struct List {
  std::string text;
  std::int64_t bytes = 0;
  void add(const Tensor& x) {
    if (!text.empty()) text += ',';
    text += text_of(x);
    bytes += bytes_of(x);
  }
};

std::string arguments(std::uint64_t module, const List& inputs, const List& outputs, double flops) {
  std::string out = R"("inputs":[)" + inputs.text + R"(],"outputs":[)" + outputs.text + R"(],"bytes":)" +
                    std::to_string(inputs.bytes + outputs.bytes);
  if (flops > 0) out += R"(,"flops":)" + number(flops);
  if (const std::string path = detail::module_name(module); !path.empty()) out += R"(,"module":)" + in_quotes(path);
  return out;
}

}  // namespace

void trace_to(const std::string& file) {
  if (file.empty()) {
    kernels::detail::watch_kernels(kernel_event, false);
    return TraceFile::get().close();
  }
  TraceFile::get().open(file);
  kernels::detail::watch_kernels(kernel_event, true);
}

double detail::trace_now() {
  static const auto origin = std::chrono::steady_clock::now();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - origin).count();
}

void detail::trace_op(const char* op, Tensors outputs, Tensors inputs) {
  List in, out;
  for (const Tensor* x : inputs) in.add(*x);
  for (const Tensor* y : outputs) out.add(*y);
  const double start = std::exchange(first_kernel, -1);
  note.flops = flops_of(op, outputs, inputs);
  add_event(op, *running_rule ? "op in backward" : "op", start < 0 ? trace_now() : start,
            arguments(module_path, in, out, note.flops));
  add_memory();
}

// Each gradient of a factor costs as much as the product did; attention has two products and three factors.
void detail::trace_rule(const Node& node, const Tensor& gy, const Grads& grads, double start) {
  const std::string_view op = node.name;
  const bool addend = op == "addmm" || op == "baddbmm", attention = op == "scaled_dot_product_attention";
  List in, out;
  in.add(gy);
  int factors = 0;
  for (int i = 0; i < node.inputs; ++i) {
    if (!grads.wants(i)) continue;
    out.add(grads.so_far(i));
    if (i >= addend && i < (addend || attention ? 3 : 2)) ++factors;
  }
  first_kernel = -1;
  const double flops = node.note.flops * factors * (attention ? 2. / 3 : 1);
  add_event(node.name + std::string(" backward"), "backward", start, arguments(node.module, in, out, flops));
  add_memory();
}

}  // namespace tapedeck
