// Op cases in the sizes of WaveNet and SampleRNN training: heavier than the table of tests/cases, made from its cases.
#pragma once
#include "cases/op_case.h"

namespace tapedeck::bench {

std::vector<cases::OpCase> shapes();

// Floating-point operations and bytes of one call of the op: what comes in and what goes out, each once.
double bytes_of(cases::Args tensors);

}  // namespace tapedeck::bench
