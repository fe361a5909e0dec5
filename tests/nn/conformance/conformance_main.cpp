// The conformance table of all module types.
#include "nn/conformance/conformance.h"

int main() { return tapedeck::nn::conformance::print_table() == 0 ? 0 : 1; }
