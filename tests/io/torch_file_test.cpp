#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/npy.h>
#include <tapedeck/io/torch_file.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "fuzz/torch_oracle.h"
#include "io/temp_folder.h"
#include "io/throws.h"

namespace tapedeck {
namespace {

using io::NamedTensor;

std::string given(const std::string& name) { return TAPEDECK_TEST_DATA "/io/torch_files/" + name; }

const Tensor& named(const std::vector<NamedTensor>& all, const std::string& name) {
  const auto hit = std::find_if(all.begin(), all.end(), [&](const NamedTensor& t) { return t.name == name; });
  if (hit == all.end()) throw std::runtime_error("no tensor " + name);
  return hit->tensor;
}

void expect_same(const Tensor& x, const Tensor& y, const std::string& name) {
  EXPECT_EQ(x.dtype(), y.dtype()) << name;
  EXPECT_EQ(x.sizes(), y.sizes()) << name;
  EXPECT_TRUE(std::ranges::equal(io::raw_bytes(io::to_host(x)), io::raw_bytes(io::to_host(y)))) << name;
}

// What PyTorch saved, against what NumPy saved of the same tensors.
TEST(TorchFile, HoldsWhatPyTorchSaved) {
  for (const std::string name : {"state_dict", "protocol4", "training", "views", "dtypes", "weight_norm"}) {
    SCOPED_TRACE(name);
    const io::TorchFile file = io::read_torch(given(name + ".pth"));
    const auto arrays = io::read_npz(given(name + ".npz"));
    ASSERT_EQ(file.tensors.size(), arrays.size());
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      EXPECT_EQ(file.tensors[i].name, arrays[i].name);
      const Tensor& x = file.tensors[i].tensor;
      expect_same(x.dtype() == DType::bf16 ? cast(x, DType::f32) : x, arrays[i].tensor, arrays[i].name);
    }
  }
}

// What PyTorch wrote before 1.6: the same values.
TEST(TorchFile, TheOlderFormat) {
  const io::TorchFile file = io::read_torch(given("legacy.pth")), now = io::read_torch(given("state_dict.pth"));
  ASSERT_EQ(file.tensors.size(), 2u);
  for (const auto& [name, t] : file.tensors) EXPECT_EQ(t.sizes(), now.find("head." + name)->sizes());
  const io::TorchFile training = io::read_torch(given("legacy_training.pth")),
                      same = io::read_torch(given("training.pth"));
  ASSERT_EQ(training.tensors.size(), same.tensors.size());
  for (std::size_t i = 0; i < same.tensors.size(); ++i) {
    EXPECT_EQ(training.tensors[i].name, same.tensors[i].name);
    expect_same(training.tensors[i].tensor, same.tensors[i].tensor, same.tensors[i].name);
  }
  EXPECT_EQ(training.others, same.others);
  const io::TorchFile views = io::read_torch(given("legacy_views.pth"));
  for (const auto& [name, t] : io::read_torch(given("views.pth")).tensors) expect_same(*views.find(name), t, name);
}

TEST(TorchFile, OtherValuesKeepTheirPaths) {
  const io::TorchFile file = io::read_torch(given("training.pth"));
  const auto value = [&](const char* name) { return io::dump_json(*file.others.find(name), -1); };
  EXPECT_EQ(value("step"), "12");
  EXPECT_EQ(value("loss"), "0.25");
  EXPECT_EQ(value("best"), "1.5");
  EXPECT_EQ(value("name"), "\"na\u00efve\"");
  EXPECT_EQ(value("none"), "null");
  EXPECT_EQ(value("flags.1"), "false");
  EXPECT_EQ(value("large"), "1099511627776");
  EXPECT_EQ(value("size.1"), "4");
  EXPECT_EQ(value("device"), "\"cpu\"");
  EXPECT_EQ(value("optimizer.param_groups.0.lr"), "0.001");
  EXPECT_NE(file.find("model.gru.weight_ih_l1_reverse"), nullptr);
}

TEST(TorchFile, WhatIsNoStateDictIsRefusedByName) {
  const auto message = [&](const std::string& name) {
    return error_of<FormatError>([&] { io::read_torch(given(name)); });
  };
  EXPECT_NE(message("module.pth").find("asks for \"torch.nn.modules.linear.Linear\""), std::string::npos);
  EXPECT_NE(message("script.pth").find("TorchScript"), std::string::npos);
  EXPECT_NE(message("orders.npz").find("no entry data.pkl"), std::string::npos);
  EXPECT_NE(message("make.py").find("no ZIP archive"), std::string::npos);
  EXPECT_THROW(io::read_torch(given("missing.pth")), IoError);
}

// Tensors that are none of ours: by the tensor's name, with what helps.
TEST(TorchFile, OtherTensorsAreRefusedByName) {
  const auto message = [](const std::string& name) {
    const auto pickle = io::read_file(TAPEDECK_TEST_DATA "/fuzz/corpus/torch/" + name, 1 << 20);
    return error_of<FormatError>([&] { io::parse_torch(archive_of(pickle), "a.pth"); });
  };
  EXPECT_NE(message("bad-complex").find("\"w\" has a storage of type torch.ComplexFloatStorage; real numbers"),
            std::string::npos);
  EXPECT_NE(message("bad-neg-view").find("\"w\" is a view of the kind \"neg\""), std::string::npos);
  EXPECT_NE(message("bad-conj-view").find("resolve_conj()"), std::string::npos);
  EXPECT_NE(
      message("bad-quantized").find("_rebuild_qtensor\", which no file of weights needs; save a state_dict of plain"),
      std::string::npos);
}

std::vector<NamedTensor> some_tensors() {
  const Tensor x = reshape(arange(24.0), {2, 3, 4});
  return {{"a.weight", x},
          {"turned", transpose(x, 0, 2)},
          {"scalar", scalar(2.5, {DType::f64, kCpu})},
          {"empty", zeros({0, 3})},
          {"bits", gt(x, full({}, 10))},
          {"half", cast(x, DType::f16)},
          {"brain", cast(x, DType::bf16)},
          {"bytes", cast(x, DType::u8)},
          {"n\u00e4me", cast(x, DType::i64)},
          {"int", cast(x, DType::i32)}};
}

TEST(TorchFile, WrittenAndReadAgain) {
  const auto tensors = some_tensors();
  const auto bytes = io::serialize_torch(tensors, "out");
  const io::TorchFile back = io::parse_torch(bytes, "out");
  ASSERT_EQ(back.tensors.size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(back.tensors[i].name, tensors[i].name);
    expect_same(back.tensors[i].tensor, tensors[i].tensor, tensors[i].name);
  }
  EXPECT_EQ(io::serialize_torch(back.tensors, "out"), bytes);
  EXPECT_THROW(io::serialize_torch({tensors[0], tensors[0]}, "out"), ValueError);
  EXPECT_THROW(io::serialize_torch({{"x", Tensor()}}, "out"), ValueError);
}

bool python_has(const std::string& module) {
  return std::system(("/usr/bin/python3 -c 'import " + module + "' >/dev/null 2>&1").c_str()) == 0;
}

// Python opens both of our files: torch.load of the .pth with weights only, numpy.load of the .npz.
TEST(TorchFile, PyTorchReadsOurs) {
  if (!python_has("torch")) GTEST_SKIP() << "python3-torch is not installed";
  const TempFolder folder;
  std::vector<NamedTensor> tensors = some_tensors();
  io::write_torch(folder / "ours.pth", tensors);
  std::erase_if(tensors, [](const NamedTensor& t) { return t.name == "brain"; });
  io::write_npz(folder / "ours.npz", tensors);
  const std::string program = R"(
import sys, numpy as np, torch
ours = torch.load(sys.argv[1] + "/ours.pth", weights_only=True)
arrays = np.load(sys.argv[1] + "/ours.npz")
assert list(ours)[:2] == ["a.weight", "turned"], list(ours)
x = torch.arange(24.).reshape(2, 3, 4)
assert torch.equal(ours["a.weight"], x) and torch.equal(ours["turned"], x.transpose(0, 2))
assert ours["brain"].dtype == torch.bfloat16 and torch.equal(ours["brain"].float(), x)
for name in arrays.files:
    t = ours[name]
    assert t.numpy().dtype == arrays[name].dtype and np.array_equal(t.numpy(), arrays[name]), name
torch.save(ours, sys.argv[1] + "/again.pth")
)";
  const std::string command = "/usr/bin/python3 -c '" + program + "' " + folder.path();
  ASSERT_EQ(std::system(command.c_str()), 0);
  const io::TorchFile again = io::read_torch(folder / "again.pth");
  ASSERT_EQ(again.tensors.size(), some_tensors().size());
  for (const auto& [name, t] : some_tensors()) expect_same(*again.find(name), t, name);
}

TEST(TorchFile, WeightNormFoldsInBothSpellings) {
  const auto folded = io::fold_weight_norm(io::read_torch(given("weight_norm.pth")).tensors);
  const Tensor wanted = named(io::read_npz(given("weight_norm_folded.npz")), "weight");
  std::set<std::string> names;
  for (const auto& t : folded) names.insert(t.name);
  EXPECT_EQ(names, (std::set<std::string>{"old.bias", "old.weight", "new.bias", "new.weight"}));
  for (const char* name : {"old.weight", "new.weight"}) {
    const auto got = named(folded, name).to_vector<float>(), want = wanted.to_vector<float>();
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_LE(std::abs(got[i] - want[i]), 4e-7f * std::abs(want[i]));
  }
  EXPECT_THROW(io::fold_weight_norm({{"w_g", zeros({2, 2})}, {"w_v", zeros({3, 2})}}), FormatError);
  EXPECT_EQ(io::fold_weight_norm({{"w_v", zeros({3, 2})}})[0].name, "w_v");  // no partner: left alone
}

}  // namespace
}  // namespace tapedeck
