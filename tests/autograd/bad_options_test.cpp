// Every row of bad_options/: the typed error with the op and the numbers; tape and arguments as they were. And every
// function of ops.h has rows.
#include "autograd/bad_options.h"

#include <gtest/gtest.h>
#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/device.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "autograd/checks.h"
#include "autograd/op_table.h"
#include "op_declarations.h"

namespace tapedeck::test {
namespace {

// A second device, whose memory is the host's.
void use_another_device() {
  static const DeviceRuntime other{
      "another",
      [] { return 1; },
      [](int, std::size_t bytes) { return std::malloc(bytes); },
      [](int, void* p) { std::free(p); },
      [](void* to, Device, const void* from, Device, std::size_t bytes) { std::memcpy(to, from, bytes); },
      [](int, void* p, std::size_t bytes) { std::memset(p, 0, bytes); },
      [](int) {},
      [] { return ""; }};
  set_runtime(DeviceType::cuda, &other);
}

}  // namespace

Given::Given()
    : v(spread({6}, 0.1, 0.9)),
      m(spread({3, 4}, 0.1, 0.9)),
      square(spread({4, 4}, 0.1, 0.9)),
      x(spread({2, 5, 4}, 0.1, 0.9)),
      image(spread({2, 5, 6, 4}, 0.1, 0.9)),
      volume(spread({1, 3, 4, 4, 2}, 0.1, 0.9)),
      w1(spread({4, 4, 2}, 0.1, 0.9)),
      w2(spread({4, 4, 2, 2}, 0.1, 0.9)),
      w3(spread({2, 2, 2, 2, 2}, 0.1, 0.9)),
      whole(i64({0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}, {3, 4})),
      places(i64({0, 2, 1}, {3})),
      far(i64({0, 7, 1}, {3})),
      buffer(spread({4}, 0.1, 0.9)),
      weight(spread({4, 4}, 0.1, 0.9)) {
  for (Tensor* t : {&v, &m, &square, &x, &image, &volume, &w1, &w2, &w3, &buffer, &weight}) *t = cast(*t, DType::f32);
  mask = gt(m, scalar(0.5));
  shared = detail::expand(buffer, {3, 4});
  away = zeros({3, 4}, {DType::f32, {DeviceType::cuda}}), away_whole = zeros({3, 4}, {DType::i64, {DeviceType::cuda}});
}

std::vector<Tensor> Given::all() const {
  std::vector<Tensor> out = recorded();
  for (const Tensor& t : {whole, places, far, mask, buffer, weight, shared, away, away_whole}) out.push_back(t);
  return out;
}

void BadCalls::unary(const std::vector<Unary>& ops, bool of_reals) {
  for (const auto& [op, f] : ops) {
    missing(op, [f = f](In g) { f(g.none); });
    if (of_reals) dtype(op, {"i64[3,4]"}, [f = f](In g) { f(g.whole); });
  }
}

void BadCalls::binary(const std::vector<Binary>& ops) {
  for (const auto& [op, f] : ops) {
    missing(op, [f = f](In g) { f(g.none, g.m); });
    missing(op, [f = f](In g) { f(g.m, g.none); });
    shape(op, {"[3,4]", "[2,5,4]"}, [f = f](In g) { f(g.m, g.x); });
    device(op, [f = f](In g) { f(g.m, g.away); });
  }
}

namespace {

const std::vector<BadCall>& bad_calls() {
  static const std::vector<BadCall> rows = [] {
    BadCalls t;
    for (const auto add : {add_bad_elementwise, add_bad_reduce, add_bad_losses, add_bad_linalg, add_bad_conv,
                           add_bad_index, add_bad_shape, add_bad_sequence, add_bad_signal, add_bad_create,
                           add_bad_bounds, add_bad_composed, add_two_devices})
      add(t);
    return std::move(t.rows);
  }();
  return rows;
}

std::string name_of(const std::string& label) { return label.substr(0, label.find(' ')); }

std::string bytes_of(In g) {
  std::string out;
  for (const Tensor& t : g.all())
    out.append(static_cast<const char*>(t.impl()->storage->data()), t.impl()->storage->bytes());
  return out;
}

// The message, or what was thrown instead of the right error.
std::string message_of(const BadCall& row, In g, bool& right) {
  right = false;
  try {
    row.call(g);
    return "nothing was thrown";
  } catch (const ShapeError& e) {
    right = row.kind == Kind::shape;
    return std::string(right ? "" : "a ShapeError: ") + e.what();
  } catch (const ValueError& e) {
    right = row.kind == Kind::value;
    return std::string(right ? "" : "a ValueError: ") + e.what();
  } catch (const DTypeError& e) {
    right = row.kind == Kind::dtype;
    return std::string(right ? "" : "a DTypeError: ") + e.what();
  } catch (const DeviceError& e) {
    right = row.kind == Kind::device;
    return std::string(right ? "" : "a DeviceError: ") + e.what();
  } catch (const TapeError& e) {
    right = row.kind == Kind::tape;
    return std::string(right ? "" : "a TapeError: ") + e.what();
  } catch (const std::exception& e) {
    return std::string("another error: ") + e.what();
  }
}

TEST(BadOptions, NameTheOpAndTheNumbers) {
  use_another_device();
  const Given g;
  const std::string before = bytes_of(g);
  std::map<std::string, int> number;
  for (const BadCall& row : bad_calls()) {
    const std::string what = row.op + "#" + std::to_string(number[row.op]++) + ": ";
    Tape tape;
    for (const Tensor& t : g.recorded()) tape.watch(t);
    const std::size_t nodes = tape.size();
    bool right = false;
    const std::string message = message_of(row, g, right);
    EXPECT_TRUE(right) << what << message;
    EXPECT_TRUE(bytes_of(g) == before) << what << "an argument was written to";
    if (!right) continue;
    EXPECT_EQ(tape.size(), nodes) << what << message;
    const std::string name = name_of(row.op);
    const bool named = name.starts_with("operator") || message.starts_with(name + ": ");
    EXPECT_TRUE(named) << what << message;
    for (const std::string& part : row.words) EXPECT_TRUE(says(message, part)) << what << message << " lacks " << part;
  }
}

TEST(BadOptions, EveryFunctionOfTheHeaderHasRows) {
  std::map<std::string, int> declared;
  for (const char* op : kOpDeclarations) ++declared[op];
  std::map<std::string, std::set<std::string>> labels;
  for (const BadCall& row : bad_calls()) labels[name_of(row.op)].insert(row.op);
  for (const auto& [op, n] : declared) {
    EXPECT_GE(static_cast<int>(labels[op].size()), n)
        << op << " is declared " << n << " times; give each overload rows in bad_options/";
  }
  for (const auto& [op, rows] : labels) EXPECT_TRUE(declared.contains(op)) << op << " is no function of ops.h";
  RecordProperty("rows", static_cast<int>(bad_calls().size()));
}

}  // namespace
}  // namespace tapedeck::test
