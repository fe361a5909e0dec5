// The rules of config values and their wording, shared by reading, checking, overriding and showing.
#pragma once
#include <tapedeck/io/config_type.h>

#include <string>
#include <string_view>
#include <vector>

namespace tapedeck::io::table {

std::string child(const std::string& pointer, std::string_view key);  // JSON pointer of a part, key escaped
const Field* find_field(const Type& object, std::string_view key);    // by name or alias
const void* element(const Type& type, const void* value, std::size_t i);
std::int64_t integer(const Type& type, const void* value);          // of either width
const std::string* enum_name(const Type& type, const void* value);  // nullptr when it has none

// Rules: what is broken, "" when nothing is. The limits of 32 bits count as a range.
std::string number_rule(Kind kind, Meta meta, const Node& value);
std::string string_rule(const Meta& meta, const std::string& value);
// The object's validate(); lines come from the node that it was read from, when there is one.
void validate(const Type& type, const void* value, const Node* node, const std::string& pointer, std::int64_t line,
              Issues& issues);

// Wording.
std::string shown(const Node& node);                             // a value, shortened
std::string quoted_list(const std::vector<std::string>& words);  // "a", "b"
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);
std::string expectation(const Type& type);              // "an integer", "a list of 3 values"
std::string range_text(const Meta& meta);               // "between 1 and 9 taps"; "" without a range
std::string choices_text(Kind kind, const Meta& meta);  // one of "a", "b"
std::string no_such_key(const Type& object, std::string_view key);
std::vector<std::string> alternative_names(const std::string& family);
std::string must_be_registered(const std::string& family);  // one of "Adam", "Sgd"
std::string poly_without_type(const Type& type);

}  // namespace tapedeck::io::table
