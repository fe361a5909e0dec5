// What each variant file adds to the slots; a family's registration calls them in order of preference.
#pragma once

namespace tapedeck::kernels {

void add_simd_elementwise();
void add_eigen_elementwise();
void add_ref_elementwise();
void add_simd_gate();
void add_ref_gate();
void add_ref_copy();
void add_simd_reduce();
void add_simd_softmax();
void add_eigen_reduce();
void add_ref_reduce();
void add_ref_softmax();
void add_simd_scan();
void add_ref_scan();
void add_ref_sort();
void add_ref_index();
void add_ref_pool();
void add_ref_index_moves();
void add_ref_index_sums();
void add_ref_scatter_reduce();
void add_simd_random();
void add_ref_random();
void add_ref_draws();
void add_simd_ctc();
void add_simd_mixture();
void add_ref_ctc();
void add_ref_mixture();
void add_simd_optim();
void add_ref_optim();
void add_simd_norm();
void add_ref_norm();
void add_simd_distance();
void add_ref_distance();
void add_simd_rnn();
void add_ref_rnn();
void add_simd_attention();
void add_ref_attention();
void add_simd_wavenet();
void add_ref_wavenet();
void add_simd_fft();
void add_stockham_fft();
void add_ref_fft();

}  // namespace tapedeck::kernels
