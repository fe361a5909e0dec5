// What the config protocol must refuse to compile; CASE 0 is the same config written rightly.
#include <tapedeck/io/config.h>

using tapedeck::io::Meta;

struct Part {  // has no description
  double value = 0;
};
enum class Word { one, two };

struct C {
  int a = 1;
  double b = 2;
#if CASE == 2
  Part c{};
#elif CASE == 3
  std::vector<bool> c{};
#elif CASE == 11
  Word c{};
#elif CASE == 12
  char c = 'c';
#elif CASE == 13
  std::optional<std::optional<int> > c{};
#elif CASE == 14
  int c = 0;
  explicit C(int) {}
  C() = default;
#elif CASE == 15
  std::map<int, double> c{};
#elif CASE == 19
  std::vector<std::string> c{};
#endif
  static constexpr const char* type_name = "C";
  static constexpr void fields(auto&& f) {
#if CASE == 9
    f("a", &C::a, Meta{.aliases = {"b"}});
#elif CASE == 18
    f("a", &C::a, Meta{.choices = {"1", "two"}});
#elif CASE == 10
    f("a", &C::a, Meta{.min = 2, .max = 1});
#else
    f("a", &C::a);
#endif
#if CASE == 8
    f("b", &C::a);
#elif CASE != 1
    f("b", &C::b, Meta{.min = 0, .choices = {"2", "-1e3"}});
#endif
#if CASE == 19
    f("c", &C::c, Meta{.max = 5});
#elif CASE == 2 || CASE == 3 || (CASE >= 11 && CASE <= 15)
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

#if CASE == 0 || CASE >= 16
struct D : C {
  int d = 0;
  static constexpr const char* type_name = "D";
  static constexpr void fields(auto&& f) {
#if CASE == 16
    f("a", &C::a);
#elif CASE != 17
    C::fields(f);
#endif
    f("d", &D::d);
  }
};
#endif

int main() {
#if CASE == 6
  const double wide = 2.5;
  const C c{.a = wide};
#elif CASE == 7
  const C c{.aa = 1};
#elif CASE == 14
  const C c;
#else
  const C c{.a = 1};
#endif
  tapedeck::io::save(c);
#if CASE == 0 || CASE >= 16
  tapedeck::io::save(D());
#endif
}
