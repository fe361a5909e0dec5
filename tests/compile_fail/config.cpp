// What the config protocol must refuse to compile; CASE 0 is the same config written rightly.
#include <tapedeck/io/config.h>

struct Part {
  float value = 0;  // not a kind of member
};

struct C {
  int a = 1;
  double b = 2;
#if CASE == 2
  Part c{};
#elif CASE == 3
  std::vector<bool> c{};
#endif
  static constexpr const char* type_name = "C";
  static constexpr void fields(auto&& f) {
    f("a", &C::a);
#if CASE != 1
    f("b", &C::b);
#endif
#if CASE == 2 || CASE == 3
    f("c", &C::c);
#endif
#if CASE == 4
    f("b", &C::b);
#endif
  }
#if CASE == 5
  static constexpr int version = 2;
#endif
};

int main() {
#if CASE == 6
  const double wide = 2.5;
  const C c{.a = wide};
#elif CASE == 7
  const C c{.aa = 1};
#else
  const C c{.a = 1};
#endif
  tapedeck::io::save(c);
}
