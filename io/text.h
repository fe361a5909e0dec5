// Numbers as text for people, the same in every locale.
#pragma once
#include <string>

namespace tapedeck::io {

// The number with so many digits after the point; "huge" when that takes more than 64 characters.
std::string fixed(double value, int digits);

}  // namespace tapedeck::io
