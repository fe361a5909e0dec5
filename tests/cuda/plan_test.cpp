// Launch plans: every item and every row has its threads, within what devices take.
#define TAPEDECK_EMULATED
#include <gtest/gtest.h>
#include <tapedeck/kernels/cuda/plan.h>
#include <tapedeck/kernels/cuda/scan_rows.h>
#include <tapedeck/kernels/cuda/wavenet_kernel.h>

namespace tapedeck::kernels::cuda_emulated {
namespace {

constexpr std::int64_t kSizes[] = {
    0, 1, 31, 32, 33, 255, 256, 257, 4096, 100000, std::int64_t{1} << 31, std::int64_t{1} << 40};

TEST(LaunchPlans, ItemsAreCoveredOrWalked) {
  for (const std::int64_t n : kSizes)
    for (const int threads : {32, 128, 256, 1024}) {
      const Launch l = plan_items(n, threads);
      EXPECT_EQ(l.block[0], static_cast<unsigned>(threads));
      EXPECT_LE(l.grid[0], 0x7fffffffu);
      const std::int64_t made = std::int64_t{l.grid[0]} * threads;
      EXPECT_TRUE(made >= n || l.grid[0] == 1u << 20) << n;
      EXPECT_LT(made - n, threads) << n << ": a block without work";
    }
  EXPECT_EQ(plan_items(0).grid[0], 0u);
}

TEST(LaunchPlans, RowsHaveWholeWarps) {
  for (const std::int64_t rows : kSizes)
    for (const std::int64_t width : kSizes) {
      const RowPlan p = plan_rows(rows, width);
      EXPECT_EQ(p.threads_per_row % kWarp, 0);
      EXPECT_LE(p.threads_per_row * p.rows_per_block, 1024);
      EXPECT_EQ(p.launch.block[0], static_cast<unsigned>(p.threads_per_row));
      EXPECT_EQ(p.launch.block[1], static_cast<unsigned>(p.rows_per_block));
      const std::int64_t covered = std::int64_t{p.launch.grid[0]} * p.rows_per_block;
      EXPECT_TRUE(covered >= rows || p.launch.grid[0] == 1u << 20) << rows;
      EXPECT_TRUE(p.threads_per_row == kWarp || p.threads_per_row * 4 < 2 * width) << width << ": idle threads";
    }
}

// As few blocks as have room for all layers, and a cluster for each stream.
TEST(LaunchPlans, ChainsOfGeneration) {
  using wavenet::chain_blocks;
  const int h200[] = {66, 33, 16, 7}, portable[] = {66, 33, 16, 0}, none[] = {0, 0, 0, 0};
  EXPECT_EQ(chain_blocks(64, 30, 1, h200), 16);
  EXPECT_EQ(chain_blocks(64, 30, 7, h200), 16);
  EXPECT_EQ(chain_blocks(64, 30, 8, h200), 0);
  EXPECT_EQ(chain_blocks(64, 30, 1, portable), 0);
  EXPECT_EQ(chain_blocks(64, 16, 1, portable), 8);
  EXPECT_EQ(chain_blocks(32, 30, 1, portable), 8);
  EXPECT_EQ(chain_blocks(32, 30, 16, h200), 8);
  EXPECT_EQ(chain_blocks(32, 30, 128, h200), 0);
  EXPECT_EQ(chain_blocks(32, 64, 1, h200), 16);
  EXPECT_EQ(chain_blocks(32, 65, 1, h200), 0);
  EXPECT_EQ(chain_blocks(32, 2, 1, h200), 2);
  EXPECT_EQ(chain_blocks(32, 1, 1, h200), 0);
  EXPECT_EQ(chain_blocks(128, 30, 1, h200), 0);
  EXPECT_EQ(chain_blocks(64, 30, 1, none), 0);
  for (int layers = 1; layers <= 64; ++layers)
    for (const int channels : {32, 64}) {
      const int blocks = chain_blocks(channels, layers, 1, h200);
      for (int b = 0; b < blocks; ++b) {
        const int mine = wavenet::first_layer(layers, blocks, b + 1) - wavenet::first_layer(layers, blocks, b);
        EXPECT_GE(mine, 1) << layers;
        EXPECT_LE(mine, wavenet::chain_layers(channels)) << layers;
      }
    }
}

TEST(LaunchPlans, RowsOfScansAreAllWalked) {
  for (const std::int64_t rows : {1, 3, 100, 128, 2047, 2048, 65536})
    for (const std::int64_t n : {1, 16, 17, 256, 257, 1024, 1025, 4096, 4097, 100000})
      for (const int neighbours : {1, 2, 4}) {
        const RowScanPlan p = plan_scan_rows(rows, n, neighbours);
        if (!p.fits) continue;
        const std::int64_t in_block = p.warps == 1 ? kScanRowThreads / kWarp : 1;
        EXPECT_GE(p.launch.grid[0] * in_block, rows);
        EXPECT_LT(p.launch.grid[0] * in_block - rows, in_block);
        EXPECT_EQ(p.launch.block[0], static_cast<unsigned>(p.warps == 1 ? kScanRowThreads : p.warps * kWarp));
      }
}

}  // namespace
}  // namespace tapedeck::kernels::cuda_emulated
