// The rules of config values and their wording, shared by reading, checking, overriding and showing.
#pragma once
#include <tapedeck/io/config_type.h>

#include <string>
#include <string_view>
#include <vector>

namespace tapedeck::io::table {

std::string child(const std::string& pointer, std::string_view key);  // JSON pointer of a part, key escaped
const Field* find_field(const Type& object, std::string_view key);    // by name or alias
bool needs_something(const Type& object);  // a file must give a member of it, or of an object inside
std::vector<Element> elements_of(const Type& type, const void* value);
const std::string* enum_name(const Type& type, const void* value);  // nullptr when it has none
double real(const Type& type, const void* value);  // a float as its shortest decimal, which gives it back
bool beyond(const Type& type, const void* value);  // an unsigned integer above 2^63 - 1
std::string beyond_text(const Type& type, const void* value);

// Rules: what is broken, "" when nothing is. The limits of the type count as a range.
std::string number_rule(const Type& type, Meta meta, const Node& value);
std::string string_rule(const Meta& meta, const std::string& value);
std::string key_rule(const std::string& key);  // of a map
// The object's validate(); lines come from the node that it was read from, when there is one.
void validate(const Type& type, const void* value, const Node* node, const std::string& pointer, std::int64_t line,
              Issues& issues);

// Wording.
std::string shown(const Node& node);                             // a value, shortened
std::string shown_whole(const Node& node);                       // with what is in an object
std::string quoted_list(const std::vector<std::string>& words);  // "a", "b"
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);
std::string expectation(const Type& type);              // "an integer", "a list of 3 values"
std::string range_text(const Meta& meta);               // "between 1 and 9 taps"; "" without a range
std::string choices_text(Kind kind, const Meta& meta);  // one of "a", "b"
std::string one_line(std::string_view text);            // for what users' code says
std::string no_such_key(const Type& object, std::string_view key);
std::vector<std::string> alternative_names(const std::string& family);
std::string must_be_registered(const std::string& family);  // one of "Adam", "Sgd"
std::string poly_without_type(const Type& type);

}  // namespace tapedeck::io::table
