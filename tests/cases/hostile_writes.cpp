// Random options of random numbers, of writes in place and of initialisers.
#include "cases/hostile_options.h"

namespace tapedeck::cases {
namespace {

using S = Source&;

Nonlinearity nonlinearity(S s) { return s.one_of<Nonlinearity>(7); }

}  // namespace

void add_writing_options(OptionCalls& t) {
  t.add("rand", [](S s) { return rand(s.shape(), s.options()); });
  t.add("randn", [](S s) { return randn(s.shape(), s.options()); });
  t.add("randint", [](S s) { return randint(s.whole(), s.whole(), s.shape(), s.options()); });
  t.add("randint high", [](S s) { return randint(s.whole(), s.shape(), s.options()); });
  t.add("rand_like", [](S s) { return rand_like(s.any()); });
  t.add("randn_like", [](S s) { return randn_like(s.any()); });
  t.add("randint_like", [](S s) { return randint_like(s.any(), s.whole(), s.whole()); });
  t.add("randperm", [](S s) { return randperm(s.count(), {s.flag() ? DType::i64 : s.dtype()}); });
  t.add("bernoulli", [](S s) { return bernoulli(s.any(), s.part()); });
  t.add("bernoulli tensor", [](S s) { return bernoulli(s.any()); });
  t.add("multinomial", [](S s) { return multinomial(s.reals(2), s.count(), s.flag()); });
  t.add("sample_categorical", [](S s) { return sample_categorical(s.of({3, 4}), s.of({3}), s.real()); });
  t.add("dropout", [](S s) { return dropout(s.any(), s.part(), s.flag()); });
  t.add("dropout1d", [](S s) { return dropout1d(s.reals(3), s.part(), s.flag()); });
  t.add("dropout2d", [](S s) { return dropout2d(s.reals(4), s.part(), s.flag()); });
  t.add("feature_dropout", [](S s) { return feature_dropout(s.any(), s.part(), s.flag()); });
  t.add("alpha_dropout", [](S s) { return alpha_dropout(s.any(), s.part(), s.flag()); });

  t.add("copy_", [](S s) { return copy_(s.buffer({3, 4}), s.buffer({4})); });
  t.add("fill_", [](S s) { return fill_(s.buffer({3, 4}), s.real()); });
  t.add("add_", [](S s) { return add_(s.buffer({3, 4}), s.buffer({3, 4})); });
  t.add("mul_", [](S s) { return mul_(s.buffer({3, 4}), s.real()); });
  t.add("uniform_", [](S s) { return uniform_(s.buffer({3, 4}), s.real(), s.real()); });
  t.add("normal_", [](S s) { return normal_(s.buffer({3, 4}), s.real(), s.real()); });
  t.add("truncated_normal_", [](S s) {
    return truncated_normal_(s.buffer({3, 4}), s.real(), s.real(), s.real(), s.real());
  });
  t.add("exponential_", [](S s) { return exponential_(s.buffer({3, 4}), s.real()); });
  t.add("bernoulli_", [](S s) { return bernoulli_(s.buffer({3, 4}), s.part()); });
  t.add("xavier_uniform_", [](S s) { return xavier_uniform_(s.buffer({3, 4}), s.real()); });
  t.add("xavier_normal_", [](S s) { return xavier_normal_(s.buffer({3, 4, 2}), s.real()); });
  t.add("kaiming_uniform_", [](S s) {
    return kaiming_uniform_(s.buffer({3, 4}), s.real(), s.one_of<Fan>(2), nonlinearity(s));
  });
  t.add("kaiming_normal_", [](S s) {
    return kaiming_normal_(s.buffer({3, 4}), s.real(), s.one_of<Fan>(2), nonlinearity(s));
  });
  t.add("orthogonal_", [](S s) { return orthogonal_(s.buffer({3, 4}), s.real()); });
  t.add("eye_", [](S s) { return eye_(s.buffer({3, 4})); });
  t.add("dirac_", [](S s) { return dirac_(s.buffer({4, 2, 3}), s.count()); });
}

}  // namespace tapedeck::cases
