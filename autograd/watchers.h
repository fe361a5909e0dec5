// Those who look at ops and rules (inspect.h), as watch.cpp calls them. Private to autograd/.
#pragma once
#include <tapedeck/autograd/grads.h>
#include <tapedeck/autograd/rule.h>
#include <tapedeck/autograd/watch.h>
#include <tapedeck/tensor/parallel.h>

#include <span>
#include <string_view>

namespace tapedeck::detail {

using Tensors = std::span<const Tensor* const>;

void watch(unsigned kind, bool on);  // kWatchFinite, …

void finite_op(const char* op, Tensors outputs, Tensors inputs);
void finite_rule(const Node& node, const Tensor& gy, const Grads& grads, FunctionRef<void()> run);

void memory_op(const char* op, Tensors outputs, Tensors inputs);
void memory_rule(const Node& node, const Grads& grads);

double flops_of(std::string_view op, Tensors outputs, Tensors inputs);  // from its name and shapes; 0 when not counted
void count_op(const char* op, Tensors outputs, Tensors inputs);

double trace_now();  // microseconds
void trace_op(const char* op, Tensors outputs, Tensors inputs);
void trace_rule(const Node& node, const Tensor& gy, const Grads& grads, double start);

}  // namespace tapedeck::detail
