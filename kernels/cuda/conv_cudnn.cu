// Convolutions by the vendor's library where it is there: variants `cudnn`, behind our own.
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/cuda/conv_vendor.h>
#include <tapedeck/kernels/elementwise.h>

#include <algorithm>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

constexpr std::int64_t kMost = 0x7fffffff;  // of sizes and of elements: the library's kernels count in 32 bits
using Operand = VendorConv::Operand;

// [B,S…,C] as [B,C,S…] of `space` dimensions. Nobody walks a dimension of size 1: its stride is what follows from the
// one inside it, for the library tells layouts by strides.
const char* channels_second(const TensorView& v, int space, Operand* o) {
  const int given = v.rank - 2;
  std::int64_t extent = v.sizes[v.rank - 1];  // elements from the first to behind the last of what was walked
  std::int64_t next = extent;
  if (extent > 1 && v.strides[v.rank - 1] != 1) return "channels that are not contiguous";
  o->data = v.data, o->sizes[1] = extent, o->strides[1] = 1;
  for (int i = space; i >= 0; --i) {  // from the innermost outwards; 0 is the batch
    const int from = i == 0 ? 0 : i - (space - given), to = i == 0 ? 0 : i + 1;
    o->sizes[to] = i > 0 && from < 1 ? 1 : v.sizes[from];
    o->strides[to] = o->sizes[to] == 1 ? next : v.strides[from];
    if (o->strides[to] < extent) return "rows overlap";
    if (o->sizes[to] > kMost || o->strides[to] > kMost) return "more than 2^31 elements";
    extent += (o->sizes[to] - 1) * o->strides[to], next = o->sizes[to] * o->strides[to];
    if (extent > kMost) return "more than 2^31 elements";
  }
  return nullptr;
}

// [O,I,K…], which lies in this order or with the taps before the channels: the orders that every engine reads. Another
// is to be copied into the first, and has no data yet.
void weight_of(const TensorView& w, int space, Operand* o) {
  const int given = w.rank - 2, missing = space - given;
  for (int d = 0; d < 2 + space; ++d) o->sizes[d] = d < 2 ? w.sizes[d] : d - 2 < missing ? 1 : w.sizes[d - missing];
  for (const bool channels_last : {true, false}) {
    std::int64_t step = 1;
    bool lies = true;
    for (int i = 0; i < 2 + space; ++i) {  // from the innermost outwards
      const int d = i == 1 + space ? 0 : channels_last ? (i == 0 ? 1 : 2 + space - i) : 1 + space - i;
      o->strides[d] = step;
      const bool filled_in = d >= 2 && d - 2 < missing;
      lies = lies && (o->sizes[d] == 1 || filled_in || w.strides[d < 2 ? d : d - missing] == step);
      step *= o->sizes[d];
    }
    o->data = lies ? w.data : nullptr;
    if (lies) return;
  }
}

}  // namespace

const char* describe(ConvResult result, const TensorView& x, const TensorView& w, const TensorView& y,
                     const ConvShape& shape, bool add, VendorConv* c) {
  const int given = x.rank - 2, space = std::max(given, 2);
  if (x.numel() == 0 || w.numel() == 0 || y.numel() == 0) return "no terms";
  for (const TensorView* v : {&x, &w, &y})
    for (int d = 0; d < v->rank; ++d)
      if (v->sizes[d] > kMost) return "more than 2^31 elements";
  if (x.numel() > kMost || w.numel() > kMost || y.numel() > kMost) return "more than 2^31 elements";
  c->result = result, c->device = x.device, c->dtype = x.dtype, c->space = space, c->add = add;
  if (const char* why = channels_second(x, space, &c->x)) return why;
  weight_of(w, space, &c->w);
  if (const char* why = channels_second(y, space, &c->y)) return why;
  std::int64_t padded = c->x.sizes[0] * c->x.sizes[1];
  for (int d = 0; d < space; ++d) {
    const int from = d - (space - given);
    if (from >= 0) {
      c->stride[d] = shape.stride[from], c->dilation[d] = shape.dilation[from], c->before[d] = shape.pad[from];
      if (c->stride[d] > kMost || c->dilation[d] > kMost || c->before[d] > kMost) return "steps of more than 2^31";
      if (c->before[d] < 0) return "padding that crops";
    }
    const std::int64_t size = c->x.sizes[2 + d], taps = c->w.sizes[2 + d], out = c->y.sizes[2 + d];
    if (taps == 1) c->dilation[d] = 1;
    if (taps - 1 > kMost / c->dilation[d] || out - 1 > kMost / c->stride[d]) return "taps too far apart";
    c->behind[d] = zeros_behind(size, c->before[d], c->stride[d], c->dilation[d], taps, out);
    if (c->behind[d] < 0) return "y is shorter than x allows";
    if (c->behind[d] < c->before[d] && places(size + 2 * c->before[d], c->stride[d], c->dilation[d], taps) == out)
      c->behind[d] = c->before[d];
    const std::int64_t whole = size + c->before[d] + c->behind[d];
    if (whole > kMost / padded) return "more than 2^31 elements with the padding";
    padded *= whole;
  }
  return nullptr;
}

namespace {

// What each slot's arguments are: beta is 0 or 1, and the result is added to a bias.
struct Problem {
  ConvResult result;
  TensorView x, w, y;
  ConvShape shape;
  bool add;
};
Problem problem_of(const ConvArgs& a) { return {ConvResult::y, a.x, a.w, a.y, a.shape, a.beta != 0 || a.bias}; }
Problem problem_of(const ConvInputGradArgs& a) {
  return {ConvResult::x, a.gx, a.w, a.gy, a.shape, a.beta != 0 || a.bias};
}
Problem problem_of(const ConvWeightGradArgs& a) { return {ConvResult::w, a.x, a.gw, a.gy, a.shape, a.beta != 0}; }
Problem problem_of(const Conv1dArgs& a) { return problem_of(any_rank(a)); }
Problem problem_of(const Conv1dInputGradArgs& a) { return problem_of(any_rank(a)); }
Problem problem_of(const Conv1dWeightGradArgs& a) { return problem_of(any_rank(a)); }

TensorView contiguous(TensorView v) {
  for (std::int64_t d = v.rank - 1, step = 1; d >= 0; --d) v.strides[d] = step, step *= v.sizes[d];
  v.data = nullptr;
  return v;
}

// In the library's words, with as many zeros before x as behind it: some of its engines know no other way, and without
// an error add up what lies behind gy. Where one side has more, those zeros become part of an x that is to be laid out:
// it has no data yet, and x starts `lead` elements into it.
const char* described(Problem* p, VendorConv* c, std::int64_t* lead) {
  const auto words = [&] { return describe(p->result, p->x, p->w, p->y, p->shape, p->add, c); };
  *lead = 0;
  if (const char* why = words()) return why;
  const int given = p->x.rank - 2, missing = c->space - given;
  std::int64_t before[3], total = 0;
  for (int d = 0; d < given; ++d) {
    const std::int64_t ahead = c->before[missing + d], behind = c->behind[missing + d], both = std::min(ahead, behind);
    before[d] = ahead - both, total += ahead + behind - 2 * both;
    p->x.sizes[1 + d] += ahead + behind - 2 * both, p->shape.pad[d] = both;
  }
  if (total == 0) return nullptr;
  p->x = contiguous(p->x);
  for (int d = 0; d < given; ++d) *lead += before[d] * p->x.strides[1 + d];
  return words();
}

template <class Args>
const char* refuses(const Args& a) {
  if (!is_real(a.dtype())) return "dtype is not real";
  VendorConv c;
  Problem p = problem_of(a);
  std::int64_t lead;
  const char* const why = described(&p, &c, &lead);
  return why ? why : conv_refuses(c);
}

// y = bias + beta y: what bf16 and f16 are then added to is exact, and the sum is rounded once. It costs one writing
// and one reading of y.
void begin(const TensorView& y, const TensorView& bias, double beta) {
  TensorView rows = y;
  rows.data = bias.data;
  for (int d = 0; d < y.rank; ++d) rows.strides[d] = d == y.rank - 1 ? bias.strides[0] : 0;
  beta != 0 ? add(y.device, {y, rows, y}) : copy(y.device, {rows, y});
}
std::size_t bytes_of(const TensorView& v) { return static_cast<std::size_t>(v.numel()) * size_of(v.dtype); }

// A weight in an order of its own, or an x with more zeros on one side, costs reading and writing its bytes once more.
template <class Args>
void run(const Args& a) {
  const Problem given = problem_of(a);
  Problem p = given;
  VendorConv c;
  std::int64_t lead;
  static_cast<void>(described(&p, &c, &lead));
  const bool laid_out = !c.x.data, packed = !c.w.data;
  const Device device = given.x.device;
  const Scratch room_x(device, laid_out ? bytes_of(p.x) : 0), room_w(device, packed ? bytes_of(p.w) : 0);
  TensorView x = p.x, w = contiguous(p.w);
  if (laid_out) {
    p.x.data = c.x.data = room_x.as<void>();
    for (int d = 0; d < x.rank; ++d) x.sizes[d] = given.x.sizes[d];
    x.data = room_x.as<char>() + lead * static_cast<std::int64_t>(size_of(x.dtype));
    if (p.result != ConvResult::x) fill(device, {p.x, 0});
    if (p.result != ConvResult::x || p.add) copy(device, {given.x, x});
  }
  if (packed) {
    w.data = c.w.data = room_w.as<void>();
    if (p.result != ConvResult::w || p.add) copy(device, {p.w, w});
  }
  run_conv(c);
  if (laid_out && p.result == ConvResult::x) copy(device, {x, given.x});
  if (packed && p.result == ConvResult::w) copy(device, {w, p.w});
}
template <class Args>
void forward(const Args& a) {
  if (a.bias) begin(a.y, a.bias, a.beta);
  run(a);
}
template <class Args>
void input_grad(const Args& a) {
  if (a.bias) begin(a.gx, a.bias, a.beta);
  run(a);
}

}  // namespace

void add_conv_cudnn() {
  constexpr DeviceType cuda = DeviceType::cuda;
  constexpr const char* kNote = "cuDNN's graphs, where the library is there";
  conv.add(cuda, "cudnn", forward<ConvArgs>, refuses<ConvArgs>, kNote);
  conv_input_grad.add(cuda, "cudnn", input_grad<ConvInputGradArgs>, refuses<ConvInputGradArgs>, kNote);
  conv_weight_grad.add(cuda, "cudnn", run<ConvWeightGradArgs>, refuses<ConvWeightGradArgs>, kNote);
  conv1d.add(cuda, "cudnn", forward<Conv1dArgs>, refuses<Conv1dArgs>, kNote);
  conv1d_input_grad.add(cuda, "cudnn", input_grad<Conv1dInputGradArgs>, refuses<Conv1dInputGradArgs>, kNote);
  conv1d_weight_grad.add(cuda, "cudnn", run<Conv1dWeightGradArgs>, refuses<Conv1dWeightGradArgs>, kNote);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
