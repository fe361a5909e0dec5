// Included before all else in files of kernels: -fsanitize=thread calls a function before each access to memory, and
// these lines give the calls to races.cpp under names of its own.
#pragma once
asm(R"(
.set __tsan_read1, tapedeck_read1
.set __tsan_read2, tapedeck_read2
.set __tsan_read4, tapedeck_read4
.set __tsan_read8, tapedeck_read8
.set __tsan_read16, tapedeck_read16
.set __tsan_unaligned_read2, tapedeck_read2
.set __tsan_unaligned_read4, tapedeck_read4
.set __tsan_unaligned_read8, tapedeck_read8
.set __tsan_unaligned_read16, tapedeck_read16
.set __tsan_volatile_read1, tapedeck_volatile_read1
.set __tsan_volatile_read2, tapedeck_volatile_read2
.set __tsan_volatile_read4, tapedeck_volatile_read4
.set __tsan_volatile_read8, tapedeck_volatile_read8
.set __tsan_volatile_read16, tapedeck_volatile_read16
.set __tsan_unaligned_volatile_read2, tapedeck_volatile_read2
.set __tsan_unaligned_volatile_read4, tapedeck_volatile_read4
.set __tsan_unaligned_volatile_read8, tapedeck_volatile_read8
.set __tsan_unaligned_volatile_read16, tapedeck_volatile_read16
.set __tsan_read_range, tapedeck_read_range
.set __tsan_write1, tapedeck_write1
.set __tsan_write2, tapedeck_write2
.set __tsan_write4, tapedeck_write4
.set __tsan_write8, tapedeck_write8
.set __tsan_write16, tapedeck_write16
.set __tsan_unaligned_write2, tapedeck_write2
.set __tsan_unaligned_write4, tapedeck_write4
.set __tsan_unaligned_write8, tapedeck_write8
.set __tsan_unaligned_write16, tapedeck_write16
.set __tsan_volatile_write1, tapedeck_volatile_write1
.set __tsan_volatile_write2, tapedeck_volatile_write2
.set __tsan_volatile_write4, tapedeck_volatile_write4
.set __tsan_volatile_write8, tapedeck_volatile_write8
.set __tsan_volatile_write16, tapedeck_volatile_write16
.set __tsan_unaligned_volatile_write2, tapedeck_volatile_write2
.set __tsan_unaligned_volatile_write4, tapedeck_volatile_write4
.set __tsan_unaligned_volatile_write8, tapedeck_volatile_write8
.set __tsan_unaligned_volatile_write16, tapedeck_volatile_write16
.set __tsan_write_range, tapedeck_write_range
)");
