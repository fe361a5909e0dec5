// einsum: the equation is read into one label per dimension; pairs are contracted from left to right by matmul.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>

namespace tapedeck {
namespace {

// Labels count as bits: A … Z, a … z, then the dimensions that "..." stands for, which line up at their end.
using Labels = std::vector<int>;
using Set = std::uint64_t;
constexpr int kLetters = 52, kLabels = kLetters + kMaxRank, kEllipsis = -1;

Set bit(int label) { return Set{1} << label; }
Set set_of(const Labels& labels) {
  Set s = 0;
  for (const int l : labels) s |= bit(l);
  return s;
}
bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
int label_of(char letter) { return letter <= 'Z' ? letter - 'A' : letter - 'a' + 26; }
std::string text_of(int label) {
  if (label >= kLetters) return "a dimension of \"...\"";
  return std::string("'") + static_cast<char>(label < 26 ? 'A' + label : 'a' + label - 26) + "'";
}

struct Equation {
  const std::string& text;
  std::vector<Labels> inputs;            // kEllipsis stands for "..."
  std::vector<std::vector<int>> places;  // of each label in the text
  Labels output;
  std::vector<int> output_places;
  bool has_output = false;

  explicit Equation(const std::string& equation) : text(equation) {
    inputs.emplace_back(), places.emplace_back();
    const int size = static_cast<int>(text.size());
    for (int i = 0; i < size; ++i) {
      const char c = text[static_cast<std::size_t>(i)];
      Labels& labels = has_output ? output : inputs.back();
      std::vector<int>& at = has_output ? output_places : places.back();
      if (c == ' ') {
        continue;
      } else if (is_letter(c)) {
        labels.push_back(label_of(c)), at.push_back(i);
      } else if (c == ',' && !has_output) {
        inputs.emplace_back(), places.emplace_back();
      } else if (text.compare(static_cast<std::size_t>(i), 3, "...") == 0) {
        if (std::find(labels.begin(), labels.end(), kEllipsis) != labels.end()) fail(i, "a second \"...\"");
        labels.push_back(kEllipsis), at.push_back(i);
        i += 2;
      } else if (text.compare(static_cast<std::size_t>(i), 2, "->") == 0 && !has_output) {
        has_output = true, ++i;
      } else {
        fail(i, std::string("unexpected '") + c + "'");
      }
    }
  }
  std::string at(int place) const { return "at " + std::to_string(place) + " of \"" + text + "\": "; }
  [[noreturn]] void fail(int place, const std::string& what) const {
    TD_FAIL(ValueError, "einsum: ", at(place), what,
            "; an equation has letters, commas, \"...\" once in a term, and \"->\" once");
  }
};

struct Term {
  Tensor x;
  Labels labels;
};

// ---- diagonals ------------------------------------------------------------------------------------------------------
Tensor diagonal_view(const Tensor& x, int i, int j) {
  Shape shape = x.sizes();
  Strides strides = x.strides();
  strides[i] += strides[j];
  shape.erase(j), strides.erase(j);
  return detail::as_strided(x, shape, strides, x.impl()->offset);
}
Tensor on_diagonal(const Tensor& y, const Shape& shape, int i, int j);
// Dimensions i < j of equal size become one at i.
Tensor diagonal(const Tensor& x, int i, int j) {
  const Tensor y = diagonal_view(x, i, j);
  record("diagonal", y, {&x}, [i, j](const Tensor& gy, Grads& g) { g.give(0, on_diagonal(gy, g.shape(0), i, j)); });
  return y;
}
Tensor on_diagonal(const Tensor& y, const Shape& shape, int i, int j) {
  const Tensor x = zeros(shape, y.options());
  kernels::copy(y.device(), {y, diagonal_view(x, i, j)});
  record("on_diagonal", x, {&y}, [i, j](const Tensor& gx, Grads& g) { g.give(0, diagonal(gx, i, j)); });
  return x;
}

// ---- terms ----------------------------------------------------------------------------------------------------------
// Operand `n` with its labels: "..." spelled out, repeated letters taken as diagonals.
Term make_term(const Equation& e, std::size_t n, const Tensor& x, int most_ellipsis) {
  const Labels& names = e.inputs[n];
  const int named = static_cast<int>(names.size());
  const bool open = std::find(names.begin(), names.end(), kEllipsis) != names.end();
  Term t{x, {}};
  std::vector<int> place;
  for (std::size_t k = 0; k < names.size(); ++k) {
    const int repeats = names[k] == kEllipsis ? x.dim() - (named - 1) : 1;
    for (int i = 0; i < repeats; ++i) {
      t.labels.push_back(names[k] == kEllipsis ? kLetters + most_ellipsis - repeats + i : names[k]);
      place.push_back(e.places[n][k]);
    }
  }
  TD_CHECK(static_cast<int>(t.labels.size()) == x.dim() && (!open || x.dim() >= named - 1), ShapeError,
           "einsum: ", e.at(e.places[n].empty() ? 0 : e.places[n][0]), "operand ", n, " has ", x.dim(),
           " dimensions but ", open ? named - 1 : named, open ? " letters or more" : " letters", arg("operand", x));
  for (std::size_t i = 0; i < t.labels.size(); ++i)
    for (std::size_t j = t.labels.size() - 1; j > i; --j) {
      if (t.labels[i] != t.labels[j]) continue;
      TD_CHECK(t.x.sizes()[static_cast<int>(i)] == t.x.sizes()[static_cast<int>(j)], ShapeError,
               "einsum: ", e.at(place[j]), text_of(t.labels[i]), " is repeated in operand ", n,
               " for dimensions of sizes ", t.x.sizes()[static_cast<int>(i)], " and ", t.x.sizes()[static_cast<int>(j)],
               arg("operand", x));
      t.x = diagonal(t.x, static_cast<int>(i), static_cast<int>(j));
      t.labels.erase(t.labels.begin() + static_cast<std::ptrdiff_t>(j));
      place.erase(place.begin() + static_cast<std::ptrdiff_t>(j));
    }
  return t;
}

// Sums the dimensions whose labels are in `away`.
Term summed(Term t, Set away) {
  std::vector<int> dims;
  Labels rest;
  for (std::size_t i = 0; i < t.labels.size(); ++i)
    away& bit(t.labels[i]) ? dims.push_back(static_cast<int>(i)) : rest.push_back(t.labels[i]);
  return dims.empty() ? t : Term{sum(t.x, dims), rest};
}

// t with its dimensions in the order of `labels`, which may name more: those get size 1.
Tensor arranged(const Term& t, const Labels& labels) {
  std::vector<int> order;
  for (const int l : labels)
    if (const auto at = std::find(t.labels.begin(), t.labels.end(), l); at != t.labels.end())
      order.push_back(static_cast<int>(at - t.labels.begin()));
  Tensor x = std::is_sorted(order.begin(), order.end()) ? t.x : permute(t.x, order);
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (!(set_of(t.labels) & bit(labels[i]))) x = unsqueeze(x, static_cast<int>(i));
  return x;
}

Labels picked(const Labels& labels, Set which) {
  Labels out;
  for (const int l : labels)
    if (which & bit(l)) out.push_back(l);
  return out;
}
void append(Labels& to, const Labels& more) { to.insert(to.end(), more.begin(), more.end()); }

// a and b become one term; labels outside `keep` are summed.
Term contract(Term a, Term b, Set keep) {
  a = summed(std::move(a), set_of(a.labels) & ~set_of(b.labels) & ~keep);
  b = summed(std::move(b), set_of(b.labels) & ~set_of(a.labels) & ~keep);
  const Set in_a = set_of(a.labels), in_b = set_of(b.labels), inner = in_a & in_b & ~keep;
  const Labels own_a = picked(a.labels, in_a & ~in_b), own_b = picked(b.labels, in_b & ~in_a);
  if (inner == 0 || (own_a.empty() && own_b.empty())) {  // elementwise
    Labels all = a.labels;
    append(all, own_b);
    return summed({mul(arranged(a, all), arranged(b, all)), all}, inner);
  }
  const Labels batch = picked(a.labels, in_a & in_b & keep), terms = picked(a.labels, inner);
  Labels left = batch, right = batch, out = batch;
  append(left, own_a), append(left, terms);
  append(right, terms), append(right, own_b);
  append(out, own_a), append(out, own_b);
  const Tensor l = arranged(a, left), r = arranged(b, right);
  Shape l_shape, r_shape, shape;
  const int shared = static_cast<int>(batch.size()), rows = static_cast<int>(own_a.size());
  const int k = static_cast<int>(terms.size());
  std::int64_t m = 1, inside = 1, n = 1;
  for (int d = 0; d < shared; ++d) l_shape.push(l.sizes()[d]), r_shape.push(r.sizes()[d]), shape.push(l.sizes()[d]);
  for (int d = shared; d < shared + rows; ++d) m *= l.sizes()[d], shape.push(l.sizes()[d]);
  for (int d = shared; d < shared + k; ++d) inside *= r.sizes()[d];
  for (int d = shared + k; d < r.dim(); ++d) n *= r.sizes()[d], shape.push(r.sizes()[d]);
  l_shape.push(m), l_shape.push(inside);
  r_shape.push(inside), r_shape.push(n);
  return {reshape(matmul(reshape(l, l_shape), reshape(r, r_shape)), shape), out};
}

// What the output has: as written, or each letter that appears once, in order, behind the "...".
Labels output_of(const Equation& e, Set seen, int most_ellipsis) {
  Labels ellipsis, out;
  for (int i = 0; i < most_ellipsis; ++i) ellipsis.push_back(kLetters + i);
  if (!e.has_output) {
    int count[kLetters] = {};
    for (const Labels& names : e.inputs)
      for (const int l : names)
        if (l != kEllipsis) ++count[l];
    out = ellipsis;
    for (int l = 0; l < kLetters; ++l)
      if (count[l] == 1) out.push_back(l);
    return out;
  }
  for (std::size_t i = 0; i < e.output.size(); ++i) {
    const int l = e.output[i];
    if (l == kEllipsis) {
      append(out, ellipsis);
      continue;
    }
    TD_CHECK(seen & bit(l), ValueError, "einsum: ", e.at(e.output_places[i]), text_of(l), " appears in no operand");
    TD_CHECK(!(set_of(out) & bit(l)), ValueError, "einsum: ", e.at(e.output_places[i]), text_of(l),
             " appears twice in the output");
    out.push_back(l);
  }
  return out;
}

}  // namespace

Tensor einsum(const std::string& equation, const std::vector<Tensor>& operands) {
  return detail::composed("einsum", [&] {
    const Equation e(equation);
    TD_CHECK(!operands.empty() && operands.size() == e.inputs.size(), ValueError, "einsum: \"", equation, "\" has ",
             e.inputs.size(), " terms but there are ", operands.size(), " operands");
    int most_ellipsis = 0;
    for (std::size_t n = 0; n < operands.size(); ++n) {
      detail::check_real("einsum", operands[n], "operand");
      detail::check_same("einsum", "operand 0", operands[0], "operand", operands[n]);
      if (std::find(e.inputs[n].begin(), e.inputs[n].end(), kEllipsis) != e.inputs[n].end())
        most_ellipsis = std::max(most_ellipsis, operands[n].dim() + 1 - static_cast<int>(e.inputs[n].size()));
    }
    std::vector<Term> terms;
    std::int64_t sizes[kLabels];
    std::fill_n(sizes, kLabels, 1);
    Set seen = 0;
    for (std::size_t n = 0; n < operands.size(); ++n) {
      const Term& t = terms.emplace_back(make_term(e, n, operands[n], most_ellipsis));
      seen |= set_of(t.labels);
      for (std::size_t i = 0; i < t.labels.size(); ++i) {
        const int label = t.labels[i];
        const std::int64_t size = t.x.sizes()[static_cast<int>(i)];
        const auto name = std::find(e.inputs[n].begin(), e.inputs[n].end(), label < kLetters ? label : kEllipsis);
        TD_CHECK(size == 1 || sizes[label] == 1 || size == sizes[label], ShapeError,
                 "einsum: ", e.at(e.places[n][static_cast<std::size_t>(name - e.inputs[n].begin())]), text_of(label),
                 " has size ", size, " in operand ", n, " but ", sizes[label], " before", arg("operand", operands[n]));
        if (size != 1) sizes[label] = size;
      }
    }
    const Labels output = output_of(e, seen, most_ellipsis);
    // A size of 1 that broadcasts drops out: the others have the dimension.
    for (Term& t : terms)
      for (std::size_t i = t.labels.size(); i-- > 0;)
        if (const int d = static_cast<int>(i); t.x.sizes()[d] == 1 && sizes[t.labels[i]] != 1) {
          t.x = squeeze(t.x, d);
          t.labels.erase(t.labels.begin() + d);
        }
    std::vector<Set> later(terms.size(), set_of(output));  // what the output and the terms behind need
    for (std::size_t n = terms.size() - 1; n-- > 0;) later[n] = later[n + 1] | set_of(terms[n + 1].labels);
    Term y = summed(terms[0], set_of(terms[0].labels) & ~later[0]);
    for (std::size_t n = 1; n < terms.size(); ++n) y = contract(std::move(y), terms[n], later[n]);
    const Tensor result = arranged(y, output);
    return result.impl() == operands[0].impl() ? reshape(result, result.sizes()) : result;
  });
}

}  // namespace tapedeck
