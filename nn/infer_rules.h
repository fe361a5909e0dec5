// Rules from names and shapes to hyper-parameters: what infer.cpp and infer_rules.cpp share (private to this folder).
#pragma once
#include <tapedeck/nn/infer.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tapedeck::nn {

// A node of the tree that the names make.
struct Branch {
  std::map<std::string, Shape> own;                    // tensors here; a parametrised one as the whole
  std::vector<std::pair<std::string, io::Node>> made;  // how those are made
  std::vector<std::pair<std::string, std::unique_ptr<Branch>>> children;  // in the order of the file
  std::map<std::string, Branch*> by_name;
  std::size_t count = 0;  // tensors here and below

  const Shape* tensor(const std::string& name) const {
    const auto hit = own.find(name);
    return hit == own.end() ? nullptr : &hit->second;
  }
  const Branch* child(const std::string& name) const {
    const auto hit = by_name.find(name);
    return hit == by_name.end() ? nullptr : hit->second;
  }
};

struct Guess {
  io::Node hparams;
  std::vector<std::string> also, unknown;
};
// What the branch may be, the likeliest first; `name` is its own, as a hint. Whether one fits is for build() to say.
std::vector<Guess> guesses(const Branch& branch, const std::string& name);

}  // namespace tapedeck::nn
