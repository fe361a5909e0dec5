#include <sndfile.h>
#include <soxr.h>
#include <tapedeck/io/audio.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/sound_header.h>
#include <tapedeck/io/text.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>

namespace tapedeck::io {
namespace {

// libsndfile reading from a ByteSource. An exception may not cross the C library: it is kept and thrown afterwards.
class Decoder {
 public:
  Decoder(const ByteSource& source, std::string name) : source_(source), name_(std::move(name)) {
    header_ = inspect_header(source_, name_);
    SF_VIRTUAL_IO io{};
    io.get_filelen = [](void* d) -> sf_count_t { return self(d).source_.size; };
    io.tell = [](void* d) -> sf_count_t { return self(d).position_; };
    io.seek = [](sf_count_t offset, int whence, void* d) -> sf_count_t { return self(d).seek(offset, whence); };
    io.read = [](void* into, sf_count_t n, void* d) -> sf_count_t { return self(d).fetch(into, n); };
    io.write = [](const void*, sf_count_t, void*) -> sf_count_t { return 0; };
    file_.reset(sf_open_virtual(&io, SFM_READ, &info_, this));
    if (failure_) std::rethrow_exception(failure_);
    TD_CHECK(file_, DataError, name_, ": is not a readable ", container_name(header_.container),
             " file: ", complaint());
    const int major = info_.format & SF_FORMAT_TYPEMASK, kind = info_.format & SF_FORMAT_SUBMASK;
    TD_CHECK(major == expected_major() || (header_.container == Container::wav && major == SF_FORMAT_WAVEX) ||
                 (header_.container == Container::wav && major == SF_FORMAT_RF64),
             DataError, name_, ": begins like a ", container_name(header_.container), " file but is another kind");
    TD_CHECK(!encoding().empty(), DataError, name_, ": its encoding (libsndfile kind ", kind,
             ") is not read; convert it to PCM, for example with sox");
    TD_CHECK(info_.channels >= 1 && info_.channels <= max_channels, DataError, name_, ": has ", info_.channels,
             " channels, but 1 to ", max_channels, " are read");
    TD_CHECK(info_.samplerate >= 1 && info_.samplerate <= max_sample_rate, DataError, name_, ": has a sample rate of ",
             info_.samplerate, " Hz, but 1 to ", max_sample_rate, " Hz are read");
  }

  int channels() const { return info_.channels; }
  int rate() const { return info_.samplerate; }
  const SoundHeader& header() const { return header_; }

  std::int64_t promised() const {
    if (header_.container == Container::wav || header_.container == Container::aiff) return header_.frames;
    return info_.frames > 0 && info_.frames < (1LL << 50) ? info_.frames : -1;
  }

  std::string format() const { return std::string(container_name(header_.container)) + " " + encoding(); }

  // Frames read into the buffer; 0 at the end, or where the file is damaged.
  std::int64_t read(std::vector<float>& buffer) {
    const auto n = sf_readf_float(file_.get(), buffer.data(), static_cast<sf_count_t>(buffer.size()) / channels());
    if (failure_) std::rethrow_exception(failure_);
    return std::max<std::int64_t>(n, 0);
  }
  bool damaged() const { return sf_error(file_.get()) != SF_ERR_NO_ERROR; }
  std::string complaint() const {
    std::string text = sf_strerror(file_.get());
    while (!text.empty() && (text.back() == '.' || text.back() == '\n')) text.pop_back();
    return printable(text);
  }

 private:
  static Decoder& self(void* d) { return *static_cast<Decoder*>(d); }

  std::int64_t seek(std::int64_t offset, int whence) {
    const std::int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position_ : source_.size;
    if (__builtin_add_overflow(base, offset, &offset) || offset < 0) return -1;
    return position_ = offset;
  }
  std::int64_t fetch(void* into, std::int64_t n) {
    try {
      const auto got = source_.read(position_, {static_cast<std::byte*>(into), static_cast<std::size_t>(n)});
      if (header_.wav_size_at >= 0) state_size({static_cast<std::byte*>(into), got});
      position_ += static_cast<std::int64_t>(got);
      return static_cast<std::int64_t>(got);
    } catch (...) {
      failure_ = std::current_exception();
      return 0;
    }
  }
  // Where a WAV file does not say how long it is, the library reads the size of what is there.
  void state_size(std::span<std::byte> bytes) const {
    const std::int64_t rest = std::min<std::int64_t>(source_.size - header_.wav_size_at - 4, 0xFFFFFFFE);
    for (int i = 0; i < 4; ++i) {
      const std::int64_t at = header_.wav_size_at + i - position_;
      if (at >= 0 && at < std::ssize(bytes))
        bytes[static_cast<std::size_t>(at)] = static_cast<std::byte>(rest >> 8 * i);
    }
  }
  int expected_major() const {
    constexpr int majors[] = {SF_FORMAT_WAV, SF_FORMAT_FLAC, SF_FORMAT_OGG, SF_FORMAT_MPEG, SF_FORMAT_AIFF};
    return majors[static_cast<int>(header_.container)];
  }
  std::string encoding() const {
    switch (info_.format & SF_FORMAT_SUBMASK) {
      case SF_FORMAT_PCM_U8:
      case SF_FORMAT_PCM_S8:
        return "pcm8";
      case SF_FORMAT_PCM_16:
        return "pcm16";
      case SF_FORMAT_PCM_24:
        return "pcm24";
      case SF_FORMAT_PCM_32:
        return "pcm32";
      case SF_FORMAT_FLOAT:
        return "float32";
      case SF_FORMAT_DOUBLE:
        return "float64";
      case SF_FORMAT_ULAW:
        return "mu-law";
      case SF_FORMAT_ALAW:
        return "a-law";
      case SF_FORMAT_VORBIS:
        return "vorbis";
      case SF_FORMAT_OPUS:
        return "opus";
      case SF_FORMAT_MPEG_LAYER_I:
        return "layer 1";
      case SF_FORMAT_MPEG_LAYER_II:
        return "layer 2";
      case SF_FORMAT_MPEG_LAYER_III:
        return "layer 3";
      default:
        return "";
    }
  }

  struct Close {
    void operator()(SNDFILE* f) const { sf_close(f); }
  };

  const ByteSource& source_;
  std::string name_;
  SoundHeader header_{};
  std::int64_t position_ = 0;
  std::exception_ptr failure_;
  SF_INFO info_{};
  std::unique_ptr<SNDFILE, Close> file_;
};

// Takes decoded frames: refuses or repairs what is not finite, follows the peak, keeps the channels asked for.
class Collector {
 public:
  Collector(Audio& audio, const ReadOptions& options, const std::string& name, int channels)
      : audio_(audio), options_(options), name_(name), channels_(channels) {
    audio_.channels = options.channel == all_channels ? channels : 1;
    TD_CHECK(options.channel < channels, DataError, name, ": has no channel ", options.channel, ", only ", channels,
             " (counted from 0)");
  }

  void take(std::span<float> frames) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      if (!std::isfinite(frames[i])) {
        TD_CHECK(options_.repair, DataError, name_, ": sample ", std::isnan(frames[i]) ? "NaN" : "Inf", " at frame ",
                 (taken_ + static_cast<std::int64_t>(i)) / channels_, "; repair the file",
                 options_.repair_by.empty() ? "" : ", or have such samples set to 0: ", options_.repair_by);
        frames[i] = 0;
        ++repaired_;
      }
      peak_ = std::max(peak_, std::abs(frames[i]));
    }
    taken_ += static_cast<std::int64_t>(frames.size());
    const std::size_t kept =
        frames.size() / static_cast<std::size_t>(channels_) * static_cast<std::size_t>(audio_.channels);
    TD_CHECK(static_cast<std::int64_t>((audio_.samples.size() + kept) * sizeof(float)) <= options_.max_bytes, DataError,
             name_, ": decodes to more than the limit of ", options_.max_bytes, " bytes; cut it into parts");
    if (audio_.channels == channels_) {
      audio_.samples.insert(audio_.samples.end(), frames.begin(), frames.end());
      return;
    }
    for (auto f = frames; !f.empty(); f = f.subspan(static_cast<std::size_t>(channels_))) {
      audio_.samples.push_back(options_.channel >= 0 ? f[static_cast<std::size_t>(options_.channel)] : mean(f));
    }
  }

  void finish() {
    if (repaired_ > 0) audio_.notes.push_back(std::to_string(repaired_) + " NaN or Inf samples were set to 0");
    if (peak_ > 1) audio_.notes.push_back("samples reach beyond full scale: peak " + fixed(peak_, 3));
  }

 private:
  float mean(std::span<const float> f) const {
    double sum = 0;
    for (int c = 0; c < channels_; ++c) sum += f[static_cast<std::size_t>(c)];
    return static_cast<float>(sum / channels_);
  }

  Audio& audio_;
  const ReadOptions& options_;
  const std::string& name_;
  int channels_;
  std::int64_t taken_ = 0, repaired_ = 0;
  float peak_ = 0;
};

Audio decode(const ByteSource& source, const std::string& name, const ReadOptions& options) {
  TD_CHECK(options.sample_rate >= 0 && options.sample_rate <= max_sample_rate, ValueError, "read_audio: sample rate ",
           options.sample_rate, " Hz is not in 0 (the file's own) to ", max_sample_rate);
  TD_CHECK(options.channel >= all_channels, ValueError, "read_audio: channel ", options.channel,
           " is neither a number from 0 nor mix_channels or all_channels");
  Decoder decoder(source, name);
  Audio audio;
  audio.sample_rate = decoder.rate();
  Collector collector(audio, options, name, decoder.channels());
  std::vector<float> buffer(static_cast<std::size_t>(decoder.channels()) * 16384);
  std::int64_t frames = 0;
  while (const std::int64_t n = decoder.read(buffer)) {
    collector.take(std::span(buffer).first(static_cast<std::size_t>(n * decoder.channels())));
    frames += n;
  }
  std::vector<std::string> shorts = decoder.header().shorts;
  if (decoder.damaged()) {
    shorts.push_back("damaged at " + fixed(static_cast<double>(frames) / audio.sample_rate, 3) +
                     " s: " + decoder.complaint());
  }
  if (shorts.empty() && decoder.promised() > frames) {
    shorts.push_back("its header promises " + std::to_string(decoder.promised()) + " frames, but " +
                     std::to_string(frames) + " could be decoded");
  }
  for (const std::string& text : shorts) {
    TD_CHECK(!options.strict, DataError, name, ": ", text);
    audio.notes.push_back(text + "; what is there was read");
  }
  TD_CHECK(frames > 0, DataError, name, ": holds no samples", shorts.empty() ? "" : " (",
           shorts.empty() ? "" : shorts[0], shorts.empty() ? "" : ")");
  collector.finish();
  if (options.channel == mix_channels && decoder.channels() > 1) {
    audio.notes.push_back(std::to_string(decoder.channels()) + " channels mixed to one");
  }
  if (options.sample_rate != 0 && options.sample_rate != audio.sample_rate) {
    const double bytes =
        static_cast<double>(audio.samples.size()) * sizeof(float) * options.sample_rate / audio.sample_rate;
    TD_CHECK(bytes <= static_cast<double>(options.max_bytes), DataError, name, ": would take ", bytes, " bytes at ",
             options.sample_rate, " Hz, more than the limit of ", options.max_bytes);
    audio.samples = resample(audio.samples, audio.channels, audio.sample_rate, options.sample_rate);
    audio.notes.push_back("resampled from " + std::to_string(audio.sample_rate) + " Hz to " +
                          std::to_string(options.sample_rate) + " Hz");
    audio.sample_rate = options.sample_rate;
    TD_CHECK(!audio.samples.empty(), DataError, name, ": its ", frames, " frames are less than one at ",
             options.sample_rate, " Hz");
  }
  return audio;
}

AudioInfo probe(const ByteSource& source, const std::string& name) {
  const Decoder decoder(source, name);
  return {decoder.format(), decoder.channels(), decoder.rate(), decoder.promised()};
}

ByteSource memory(std::span<const std::byte> bytes) {
  return {static_cast<std::int64_t>(bytes.size()), [bytes](std::int64_t at, std::span<std::byte> into) {
            const std::size_t from = std::min(static_cast<std::size_t>(at), bytes.size());
            const std::size_t n = std::min(into.size(), bytes.size() - from);
            std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(from), n, into.begin());
            return n;
          }};
}

// Runs `use` on the file's bytes. A file that cannot be opened or read is bad data.
template <class Use>
auto with_file(const std::string& path, Use use) {
  try {
    InputFile file(path);
    return use({file.size(), [&](std::int64_t at, std::span<std::byte> into) {
                  file.seek(at);
                  return file.read(into);
                }});
  } catch (const IoError& e) {
    throw DataError(e.what());
  }
}

}  // namespace

int channel_policy(const std::string& name) {
  if (name == "mix") return mix_channels;
  if (name == "all") return all_channels;
  if (name == "left") return 0;
  if (name == "right") return 1;
  int n = -1;
  const auto end = std::from_chars(name.data(), name.data() + name.size(), n);
  TD_CHECK(end.ec == std::errc() && end.ptr == name.data() + name.size() && n >= 0 && n < max_channels, ValueError,
           "channel '", printable(name), "' is not mix, all, left, right or a number from 0 to ", max_channels - 1);
  return n;
}

AudioInfo probe_audio(const std::string& path) {
  return with_file(path, [&](const ByteSource& source) { return probe(source, printable(path)); });
}

AudioInfo probe_audio(std::span<const std::byte> bytes, const std::string& name) {
  return probe(memory(bytes), printable(name));
}

Audio read_audio(const std::string& path, const ReadOptions& options) {
  return with_file(path, [&](const ByteSource& source) { return decode(source, printable(path), options); });
}

Audio decode_audio(std::span<const std::byte> bytes, const std::string& name, const ReadOptions& options) {
  return decode(memory(bytes), printable(name), options);
}

std::vector<float> resample(std::span<const float> samples, int channels, int from_rate, int to_rate) {
  TD_CHECK(channels >= 1 && from_rate >= 1 && to_rate >= 1, ValueError, "resample: ", channels, " channels from ",
           from_rate, " Hz to ", to_rate, " Hz: each must be at least 1");
  TD_CHECK(samples.size() % static_cast<std::size_t>(channels) == 0, ValueError, "resample: ", samples.size(),
           " samples are not whole frames of ", channels, " channels");
  if (from_rate == to_rate) return {samples.begin(), samples.end()};
  const auto io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const auto quality = soxr_quality_spec(SOXR_VHQ, 0);
  const auto threads = soxr_runtime_spec(1);
  soxr_error_t error = nullptr;
  const std::unique_ptr<soxr, void (*)(soxr_t)> engine(
      soxr_create(from_rate, to_rate, static_cast<unsigned>(channels), &error, &io, &quality, &threads), soxr_delete);
  TD_CHECK(!error, ValueError, "resample: from ", from_rate, " Hz to ", to_rate, " Hz: ", error);
  std::vector<float> out, block(std::size_t{8192} * static_cast<std::size_t>(channels));
  const auto c = static_cast<std::size_t>(channels);
  for (bool end = false;;) {
    const std::size_t frames = std::min<std::size_t>(samples.size() / c, 8192);
    end = end || frames == 0;
    std::size_t used = 0, made = 0;
    error = soxr_process(engine.get(), end ? nullptr : samples.data(), frames, &used, block.data(), 8192, &made);
    TD_CHECK(!error, ValueError, "resample: from ", from_rate, " Hz to ", to_rate, " Hz: ", error);
    samples = samples.subspan(used * c);
    out.insert(out.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(made * c));
    if (end && made == 0) return out;
  }
}

}  // namespace tapedeck::io
