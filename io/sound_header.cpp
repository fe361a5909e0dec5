#include <tapedeck/io/sound_header.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <array>

namespace tapedeck::io {
namespace {

// A few bytes of the file, as numbers of either byte order.
class Field {
 public:
  Field(const ByteSource& source, std::int64_t position) : count_(source.read(position, bytes_)) {}
  std::size_t count() const { return count_; }
  std::string text(std::size_t at, std::size_t n) const {
    return std::string(reinterpret_cast<const char*>(bytes_.data()) + at, n);
  }
  std::uint64_t little(std::size_t at, std::size_t n) const {
    std::uint64_t v = 0;
    for (std::size_t i = n; i-- > 0;) v = v << 8 | std::to_integer<std::uint64_t>(bytes_[at + i]);
    return v;
  }
  std::uint64_t big(std::size_t at, std::size_t n) const {
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < n; ++i) v = v << 8 | std::to_integer<std::uint64_t>(bytes_[at + i]);
    return v;
  }

 private:
  std::array<std::byte, 40> bytes_{};
  std::size_t count_;
};

struct Chunk {
  std::string id;
  std::int64_t start, promised, present;  // bytes after the chunk's head
};

// The chunks of a RIFF or FORM file in order; `visit` returns false to stop.
template <class Visit>
void walk_chunks(const ByteSource& source, bool big, const std::string& name, Visit visit) {
  constexpr int limit = 10'000;
  std::int64_t at = 12;
  for (int i = 0; at + 8 <= source.size; ++i) {
    TD_CHECK(i < limit, DataError, name, ": has more than ", limit, " chunks");
    const Field head(source, at);
    const auto promised = static_cast<std::int64_t>(big ? head.big(4, 4) : head.little(4, 4));
    at += 8;
    if (!visit(Chunk{head.text(0, 4), at, promised, std::min(promised, source.size - at)})) return;
    at += promised + (promised & 1);
  }
}

// Whether another chunk starts here and ends within the file, after a data chunk that is really empty.
bool chunk_follows(const ByteSource& source, std::int64_t at) {
  const Field head(source, at);
  const std::string id = head.text(0, 4);
  return head.count() >= 8 && std::all_of(id.begin(), id.end(), [](char c) { return c >= ' ' && c <= '~'; }) &&
         static_cast<std::int64_t>(head.little(4, 4)) <= source.size - at - 8;
}

void check_layout(const std::string& name, std::int64_t channels, std::int64_t rate) {
  TD_CHECK(channels >= 1 && channels <= max_channels, DataError, name, ": its header says ", channels,
           " channels, but 1 to ", max_channels, " are read");
  TD_CHECK(rate >= 1 && rate <= max_sample_rate, DataError, name, ": its header says a sample rate of ", rate,
           " Hz, but 1 to ", max_sample_rate, " Hz are read");
}

void check_wav_format(const std::string& name, const Chunk& chunk, const Field& f, std::int64_t* block) {
  TD_CHECK(chunk.present >= 16, DataError, name, ": its header is cut off: the 'fmt ' chunk has ", chunk.present,
           " bytes, but needs 16");
  std::uint64_t code = f.little(0, 2);
  const auto channels = static_cast<std::int64_t>(f.little(2, 2)), bits = static_cast<std::int64_t>(f.little(14, 2));
  const auto align = static_cast<std::int64_t>(f.little(12, 2));
  if (code == 0xFFFE) {
    TD_CHECK(chunk.present >= 40, DataError, name, ": its header is cut off: the extensible 'fmt ' chunk has ",
             chunk.present, " bytes, but needs 40");
    code = f.little(24, 2);
  }
  check_layout(name, channels, static_cast<std::int64_t>(f.little(4, 4)));
  const bool pcm = code == 1, real = code == 3, companded = code == 6 || code == 7;
  TD_CHECK(pcm || real || companded, DataError, name, ": WAV encoding ", code,
           " is not read (PCM, float, A-law and mu-law are); convert it, for example with sox");
  const bool known = pcm    ? bits == 8 || bits == 16 || bits == 24 || bits == 32
                     : real ? bits == 32 || bits == 64
                            : bits == 8;
  TD_CHECK(known, DataError, name, ": its header says ", bits, " bits per sample, but this encoding has ",
           pcm    ? "8, 16, 24 or 32"
           : real ? "32 or 64"
                  : "8");
  TD_CHECK(align == channels * bits / 8, DataError, name, ": its header says ", align, " bytes per frame, but ",
           channels, " channels of ", bits, " bits take ", channels * bits / 8);
  *block = align;
}

void inspect_wav(const ByteSource& source, const std::string& name, SoundHeader& out) {
  std::int64_t block = 0, wide_size = -1;
  bool data = false;
  walk_chunks(source, false, name, [&](const Chunk& chunk) {
    const Field f(source, chunk.start);
    if (chunk.id == "ds64" && chunk.present >= 24) wide_size = static_cast<std::int64_t>(f.little(8, 8));
    if (chunk.id == "fmt ") check_wav_format(name, chunk, f, &block);
    if (chunk.id != "data") return true;
    TD_CHECK(block > 0, DataError, name, ": its 'data' chunk comes without a 'fmt ' chunk before it");
    data = true;
    const std::int64_t rest = source.size - chunk.start;
    // A recorder that was cut off leaves 0 or all ones; RF64 keeps the true size elsewhere.
    const bool unsaid = (chunk.promised == 0xFFFFFFFF && wide_size < 0) ||
                        (chunk.promised == 0 && rest > 0 && !chunk_follows(source, chunk.start));
    const std::int64_t promised = wide_size >= 0 && chunk.promised == 0xFFFFFFFF ? wide_size : chunk.promised;
    if (unsaid) {
      out.wav_size_at = chunk.start - 4;
      out.shorts.push_back("its header does not say how long it is; it has " + std::to_string(rest / block) +
                           " frames");
      return false;
    }
    out.frames = promised / block;
    if (promised > rest || promised < 0) {
      out.shorts.push_back("its header promises " + std::to_string(promised) + " bytes of samples, but the file has " +
                           std::to_string(rest));
    } else if (promised % block != 0) {
      out.shorts.push_back("its last frame has " + std::to_string(promised % block) + " of " + std::to_string(block) +
                           " bytes");
    }
    return false;
  });
  TD_CHECK(data, DataError, name, ": its header is cut off: there is no ", block == 0 ? "'fmt ' or " : "",
           "'data' chunk in its ", source.size, " bytes");
}

void inspect_aiff(const ByteSource& source, const std::string& name, SoundHeader& out) {
  bool common = false, data = false;
  walk_chunks(source, true, name, [&](const Chunk& chunk) {
    const Field f(source, chunk.start);
    if (chunk.id == "COMM") {
      TD_CHECK(chunk.present >= 18, DataError, name, ": its header is cut off: the 'COMM' chunk has ", chunk.present,
               " bytes, but needs 18");
      const auto bits = static_cast<std::int64_t>(f.big(6, 2));
      check_layout(name, static_cast<std::int64_t>(f.big(0, 2)), 1);  // the rate is checked when decoded
      TD_CHECK(bits == 8 || bits == 16 || bits == 24 || bits == 32 || bits == 64, DataError, name, ": its header says ",
               bits, " bits per sample, but 8, 16, 24, 32 or 64 are read");
      out.frames = static_cast<std::int64_t>(f.big(2, 4));
      common = true;
    }
    if (chunk.id == "SSND") {
      data = true;
      if (chunk.present < chunk.promised) {
        out.shorts.push_back("its header promises " + std::to_string(chunk.promised) +
                             " bytes of samples, but the file has " + std::to_string(chunk.present));
      }
    }
    return true;
  });
  TD_CHECK(common && data, DataError, name, ": its header is cut off: there is no ", common ? "'SSND'" : "'COMM'",
           " chunk in its ", source.size, " bytes");
}

// An Ogg stream ends with a whole page that says so. The last page starts within the longest page's length of the end.
void inspect_ogg(const ByteSource& source, SoundHeader& out) {
  const std::int64_t from = std::max<std::int64_t>(0, source.size - 65'307);
  std::vector<std::byte> tail(static_cast<std::size_t>(source.size - from));
  tail.resize(source.read(from, tail));
  const std::string_view text(reinterpret_cast<const char*>(tail.data()), tail.size());
  const auto page = text.rfind("OggS");
  bool ends = false;
  if (page != std::string_view::npos && page + 27 <= text.size()) {
    const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(text[i])); };
    const std::size_t segments = byte(page + 26);
    std::size_t end = page + 27 + segments;
    for (std::size_t i = 0; i < segments && page + 27 + i < text.size(); ++i) end += byte(page + 27 + i);
    constexpr std::size_t last_page = 4;
    ends = (byte(page + 5) & last_page) != 0 && end <= text.size();
  }
  if (!ends) out.shorts.push_back("it is cut short: the page that ends its stream is missing");
}

// The head of an MPEG audio frame: sync, a known version, layer, bit rate and sample rate.
bool is_mpeg_frame(const Field& f) {
  const auto head = static_cast<std::uint32_t>(f.big(0, 4));
  return head >> 21 == 0x7FF && (head >> 19 & 3) != 1 && (head >> 17 & 3) != 0 && (head >> 12 & 15) != 15 &&
         (head >> 10 & 3) != 3;
}

}  // namespace

const char* container_name(Container container) {
  constexpr const char* names[] = {"wav", "flac", "ogg", "mp3", "aiff"};
  return names[static_cast<int>(container)];
}

SoundHeader inspect_header(const ByteSource& source, const std::string& name) {
  TD_CHECK(source.size > 0, DataError, name, ": is empty (0 bytes)");
  const Field f(source, 0);
  const std::string magic = f.text(0, 4), kind = f.text(8, 4);
  SoundHeader out{};
  if ((magic == "RIFF" || magic == "RF64") && (kind == "WAVE" || f.count() < 12)) {
    out.container = Container::wav;
    inspect_wav(source, name, out);
  } else if (magic == "FORM" && (kind == "AIFF" || kind == "AIFC" || f.count() < 12)) {
    out.container = Container::aiff;
    inspect_aiff(source, name, out);
  } else if (magic == "fLaC") {
    out.container = Container::flac;
  } else if (magic == "OggS") {
    out.container = Container::ogg;
    inspect_ogg(source, out);
  } else if (magic.starts_with("ID3") || is_mpeg_frame(f)) {
    out.container = Container::mp3;
  } else {
    TD_FAIL(DataError, name, ": is not a sound file: its first bytes are not those of WAV, FLAC, Ogg, MP3 or AIFF");
  }
  return out;
}

}  // namespace tapedeck::io
