#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/tensor.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tapedeck {
namespace {

template <class T>
double as_double(T v) {
  if constexpr (requires { v.to_float(); })
    return v.to_float();
  else
    return static_cast<double>(v);
}
template <class T>
T from_double(double v) {
  if constexpr (requires { T::from(0.f); })
    return T::from(static_cast<float>(v));
  else if constexpr (std::is_same_v<T, bool>)
    return v != 0;
  else
    return static_cast<T>(v);
}

// The first `most` elements of a host tensor in row-major order, whatever its strides.
template <class F>
void for_each_offset(const Tensor& x, std::int64_t most, F&& f) {
  const Shape& shape = x.sizes();
  std::int64_t index[kMaxRank] = {}, offset = 0;
  for (std::int64_t n = std::min(x.numel(), most); n > 0; --n) {
    f(offset);
    for (int d = shape.rank() - 1; d >= 0; --d) {
      offset += x.strides()[d];
      if (++index[d] < shape[d]) break;
      offset -= shape[d] * x.strides()[d];
      index[d] = 0;
    }
  }
}

}  // namespace

namespace detail {

Tensor make_tensor(Storage* storage, std::int64_t offset, const Shape& shape, const Strides& strides, DType dtype) {
  auto* impl = new (Pool<TensorImpl>::take()) TensorImpl;
  impl->storage = storage, impl->offset = offset, impl->shape = shape, impl->strides = strides, impl->dtype = dtype;
  return Tensor::wrap(impl);
}

void fail_undefined() { TD_FAIL(ValueError, "tensor: an undefined tensor was used; give it a value first"); }

void destroy(TensorImpl* impl) {
  impl->storage->release();
  impl->~TensorImpl();
  Pool<TensorImpl>::give(impl);
}

}  // namespace detail

std::int64_t Tensor::size(int i) const { return sizes()[normalize_dim("size", i, dim())]; }

bool Tensor::is_contiguous() const { return numel() == 0 || view().contiguous(); }

double Tensor::item() const {
  TD_CHECK(numel() == 1, ShapeError, "item: needs exactly one element", arg("x", *this));
  const Tensor host = to(kCpu);
  return visit(dtype(), [&](auto zero) { return as_double(*static_cast<decltype(zero)*>(host.data())); });
}

namespace {
// On the host: the tensor itself, or the same view of a copy of its storage.
Tensor on_host(const Tensor& x) {
  if (x.device() == kCpu) return x;
  if (x.is_contiguous()) return x.to(kCpu);
  const Storage& from = *x.impl()->storage;
  Storage* copy = Storage::create(from.bytes(), kCpu);
  runtime(x.device().type).copy(copy->data(), kCpu, from.data(), x.device(), from.bytes());
  return detail::make_tensor(copy, x.impl()->offset, x.sizes(), x.strides(), x.dtype());
}
}  // namespace

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Tensor host = on_host(*this);
  const T* p = host.data<T>();
  std::vector<T> out;
  out.reserve(static_cast<std::size_t>(numel()));
  for_each_offset(host, host.numel(), [&](std::int64_t at) { out.push_back(p[at]); });
  return out;
}
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<BFloat16> Tensor::to_vector() const;
template std::vector<Float16> Tensor::to_vector() const;
template std::vector<std::int64_t> Tensor::to_vector() const;
template std::vector<std::int32_t> Tensor::to_vector() const;
template std::vector<std::uint8_t> Tensor::to_vector() const;
template std::vector<bool> Tensor::to_vector() const;

Tensor Tensor::to(Device target) const {
  if (target == device()) return *this;
  TD_CHECK(is_contiguous(), ShapeError, "to: only contiguous tensors move between devices; make it contiguous first",
           arg("x", *this));
  Tensor out = empty(sizes(), {dtype(), target});
  const DeviceRuntime& rt = runtime(target.type == DeviceType::cuda ? DeviceType::cuda : device().type);
  rt.copy(out.data(), target, data(), device(), static_cast<std::size_t>(numel()) * size_of(dtype()));
  return out;
}

void Tensor::fill_from(std::span<const std::byte> bytes) const {
  TD_CHECK(is_contiguous(), ShapeError, "fill_from: needs a contiguous tensor", arg("x", *this));
  TD_CHECK(bytes.size() == static_cast<std::size_t>(numel()) * size_of(dtype()), ValueError, "fill_from: got ",
           bytes.size(), " bytes", arg("x", *this));
  runtime(device().type).copy(data(), device(), bytes.data(), kCpu, bytes.size());
  impl_->storage->bump();
}

const Tensor& Tensor::set_requires_grad(bool on) const {
  TD_CHECK(!on || is_real(dtype()), DTypeError, "set_requires_grad: only real tensors have gradients", arg("x", *this));
  here().trainable = on;
  return *this;
}

const Tensor& Tensor::grad() const {
  static const Tensor none;
  return here().has_grad ? impl_->grad_buffer : none;
}

void Tensor::set_grad_buffer(Tensor buffer) const {
  TD_CHECK(!buffer.defined() || (buffer.sizes() == sizes() && buffer.dtype() == dtype() &&
                                 buffer.device() == device() && buffer.is_contiguous()),
           ShapeError, "set_grad_buffer: the buffer must match the parameter and be contiguous",
           arg("parameter", *this), arg("buffer", buffer));
  here().grad_buffer = std::move(buffer);
  impl_->has_grad = false;
}

void Tensor::zero_grad() const { here().has_grad = false; }

Tensor empty(const Shape& shape, TensorOptions options) {
  const auto bytes = static_cast<std::size_t>(checked_numel(shape)) * size_of(options.dtype);
  return detail::make_tensor(Storage::create(bytes, options.device), 0, shape, contiguous_strides(shape),
                             options.dtype);
}

Tensor zeros(const Shape& shape, TensorOptions options) {
  Tensor t = empty(shape, options);
  runtime(options.device.type)
      .zero(options.device.index, t.data(), static_cast<std::size_t>(t.numel()) * size_of(options.dtype));
  return t;
}

Tensor full(const Shape& shape, double value, TensorOptions options) {
  TD_CHECK(fits(value, options.dtype), DTypeError, "full: ", value, " is no ", name(options.dtype));
  if (value == 0 && !std::signbit(value)) return zeros(shape, options);
  Tensor host = empty(shape, {options.dtype, kCpu});
  visit(options.dtype, [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(static_cast<T*>(host.data()), host.numel(), from_double<T>(value));
  });
  return host.to(options.device);
}

// A dense tensor lends its strides: strides written one by one and read as a vector would stall the processor.
Tensor empty_like(const Tensor& x) {
  const Shape& shape = x.sizes();
  std::int64_t step = 1;
  for (int d = shape.rank() - 1; d >= 0; step *= shape[d--])
    if (x.strides()[d] != step) return empty(shape, x.options());
  const auto bytes = static_cast<std::size_t>(step) * size_of(x.dtype());
  return detail::make_tensor(Storage::create(bytes, x.device()), 0, shape, x.strides(), x.dtype());
}
Tensor zeros_like(const Tensor& x) { return zeros(x.sizes(), x.options()); }
Tensor scalar(double value, TensorOptions options) { return full({}, value, options); }

template <class T>
Tensor tensor(std::span<const T> values, const Shape& shape) {
  TD_CHECK(static_cast<std::int64_t>(values.size()) == checked_numel(shape), ValueError, "tensor: ", values.size(),
           " values do not fill shape ", to_string(shape));
  Tensor t = empty(shape, {dtype_of<T>(), kCpu});
  if (!values.empty()) std::memcpy(t.data(), values.data(), values.size_bytes());
  return t;
}
template Tensor tensor(std::span<const float>, const Shape&);
template Tensor tensor(std::span<const double>, const Shape&);
template Tensor tensor(std::span<const std::int64_t>, const Shape&);
template Tensor tensor(std::span<const std::int32_t>, const Shape&);
template Tensor tensor(std::span<const std::uint8_t>, const Shape&);
template Tensor tensor(std::span<const bool>, const Shape&);

Tensor tensor(std::initializer_list<double> values) {
  const std::vector<float> v(values.begin(), values.end());
  return tensor(v, {static_cast<std::int64_t>(v.size())});
}

std::string describe(const Tensor& x) {
  if (!x.defined()) return "undefined";
  return std::string(name(x.dtype())) + to_string(x.sizes()) + " " + to_string(x.device());
}

std::string arg(const char* name, const Tensor& x) { return std::string("; ") + name + " " + describe(x); }

namespace {
template <class T>
auto shown(T v) {  // integers as they are: double has 53 bits
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
    return std::int64_t{v};
  else
    return as_double(v);
}
}  // namespace

std::string to_string(const Tensor& x, std::int64_t most) {
  std::string out = describe(x);
  if (!x.defined()) return out;
  const Tensor host = on_host(x);
  out += " {";
  visit(x.dtype(), [&](auto zero) {
    const auto* p = static_cast<decltype(zero)*>(host.data());
    const char* comma = "";
    for_each_offset(host, most,
                    [&](std::int64_t at) { out += std::exchange(comma, ", ") + detail::join({shown(p[at])}); });
  });
  if (x.numel() > most) out += ", … " + std::to_string(x.numel() - most) + " more";
  return out + "}";
}

}  // namespace tapedeck
