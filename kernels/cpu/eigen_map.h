// Eigen maps over our views, for the `eigen` variants of contractions. Included by eigen_*.cpp only.
#pragma once
#define EIGEN_FAST_MATH 0
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>
#include <cstdint>

namespace tapedeck::kernels::eigen {

template <class T>
using RowMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using ColumnMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
template <class T>
using Rows = Eigen::Map<RowMatrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using ConstRows = Eigen::Map<const RowMatrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using ConstColumns = Eigen::Map<const ColumnMatrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using Strided = Eigen::Map<RowMatrix<T>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;
template <class T>
using ConstStrided = Eigen::Map<const RowMatrix<T>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;

// Calls f with a rows x columns matrix that Eigen's products read in place; one without neighbours is copied.
template <class T, class F>
void with_matrix(const T* data, std::int64_t rows, std::int64_t columns, std::int64_t row, std::int64_t column, F&& f) {
  if (column == 1 || columns <= 1) return f(ConstRows<T>(data, rows, columns, Eigen::OuterStride<>(row)));
  if (row == 1 || rows <= 1) return f(ConstColumns<T>(data, rows, columns, Eigen::OuterStride<>(column)));
  const RowMatrix<T> copy = ConstStrided<T>(data, rows, columns, {row, column});
  f(ConstRows<T>(copy.data(), rows, columns, Eigen::OuterStride<>(columns)));
}

}  // namespace tapedeck::kernels::eigen
