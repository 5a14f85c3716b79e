// RVL: A. D. Wilson, "Fast Lossless Depth Image Compression", 2017. Runs of zeros and of measured
// pixels take turns; of each run its length, of each measured pixel the difference to the one
// before. Numbers are nibbles, the lowest three bits first, the fourth says that more follow; eight
// nibbles are a word, the first in the highest bits.

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <array>

#include "codecs/image.hpp"

namespace depthai {
namespace {

/// Nibbles of one number, and how many bits they are.
struct Code {
  std::uint16_t nibbles;
  std::uint8_t bits;
};

/// A number of at most four nibbles.
constexpr Code code_of(unsigned value) {
  unsigned nibbles = 0, bits = 0;
  do {
    nibbles = nibbles << 4 | (value & 7) | (value > 7 ? 8 : 0);
    bits += 4;
    value >>= 3;
  } while (value > 0);
  return {static_cast<std::uint16_t>(nibbles), static_cast<std::uint8_t>(bits)};
}

constexpr unsigned kShort = 4096;  // numbers of at most four nibbles

constexpr std::array<Code, kShort> make_codes() {
  std::array<Code, kShort> codes{};
  for (unsigned value = 0; value < kShort; ++value) codes[value] = code_of(value);
  return codes;
}

constexpr std::array<Code, kShort> kCodes = make_codes();

/// Appends nibbles. Writes up to four bytes behind them.
class Nibbles {
 public:
  explicit Nibbles(std::uint8_t* to) : to_(to) {}

  void put(std::uint64_t value) {
    for (; value >= 8; value >>= 3) put_bits((value & 7) | 8, 4);
    put_bits(value, 4);
  }
  void put(unsigned first, unsigned second) {
    if ((first | second) < kShort) {
      const Code a = kCodes[first], b = kCodes[second];
      put_bits(std::uint64_t{a.nibbles} << b.bits | b.nibbles, a.bits + b.bits);
    } else {
      put(first);
      put(second);
    }
  }
  /// The end of all bytes.
  std::uint8_t* finish() {
    if (bits_ > 0) put_bits(0, 32 - bits_);
    return to_;
  }

 private:
  /// At most 32 bits; fewer than 32 wait.
  void put_bits(std::uint64_t code, unsigned count) {
    waiting_ = waiting_ << count | code;
    bits_ += count;
    const auto word = static_cast<std::uint32_t>(waiting_ >> ((bits_ - 32) & 63));
    std::memcpy(to_, &word, sizeof(word));  // again, if there are fewer bits
    to_ += bits_ / 32 * sizeof(word);
    bits_ %= 32;
  }

  std::uint64_t waiting_ = 0;
  unsigned bits_ = 0;
  std::uint8_t* to_;
};

/// A bit for each of 64 pixels: 0 < pixel <= most.
std::uint64_t measured_bits(const std::uint16_t* pixels, std::uint16_t most) {
  std::uint64_t bits = 0;
#ifdef __SSE2__
  const __m128i one = _mm_set1_epi16(1);
  const __m128i range = _mm_set1_epi16(static_cast<short>(most - 1));
  const auto inside = [=](const std::uint16_t* eight) {
    const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(eight));
    const __m128i above = _mm_subs_epu16(_mm_sub_epi16(values, one), range);
    return _mm_cmpeq_epi16(above, _mm_setzero_si128());
  };
  for (int k = 0; k < 64; k += 16) {
    const __m128i both = _mm_packs_epi16(inside(pixels + k), inside(pixels + k + 8));
    bits |= std::uint64_t{static_cast<std::uint16_t>(_mm_movemask_epi8(both))} << k;
  }
#else
  for (int k = 0; k < 64; ++k) {
    const bool is_inside = static_cast<std::uint16_t>(pixels[k] - 1) < most;
    bits |= std::uint64_t{is_inside} << k;
  }
#endif
  return bits;
}

/// Where runs of pixels begin and end.
class Runs {
 public:
  Runs(const std::uint16_t* pixels, std::size_t count, std::uint16_t most)
      : count_(count), memory_((count / 64 + 1) * sizeof(std::uint64_t)) {
    std::size_t i = 0;
    for (; i + 64 <= count; i += 64) words()[i / 64] = measured_bits(pixels + i, most);
    std::array<std::uint16_t, 64> last{};
    if (i < count) std::memcpy(last.data(), pixels + i, (count - i) * sizeof(*pixels));
    words()[i / 64] = measured_bits(last.data(), most);
  }

  /// The first pixel from `start` on that is measured, or is not; the number of pixels if none is.
  std::size_t first(bool measured, std::size_t start) {
    if (start >= count_) return count_;
    const std::uint64_t flip = measured ? 0 : ~std::uint64_t{0};
    std::size_t place = start / 64;
    std::uint64_t found = (words()[place] ^ flip) >> (start % 64) << (start % 64);
    while (found == 0 && (place + 1) * 64 < count_) found = words()[++place] ^ flip;
    if (found == 0) return count_;
    const std::size_t pixel = place * 64 + static_cast<std::size_t>(__builtin_ctzll(found));
    return pixel < count_ ? pixel : count_;
  }

 private:
  std::uint64_t* words() { return reinterpret_cast<std::uint64_t*>(memory_.data()); }

  const std::size_t count_;
  Buffer memory_;
};

unsigned zigzag(unsigned current, unsigned previous) {
  const int difference = static_cast<int>(current) - static_cast<int>(previous);
  return (static_cast<unsigned>(difference) << 1) ^ static_cast<unsigned>(difference >> 31);
}

/// At most six nibbles a pixel, and a few for the length of a very long run.
std::size_t longest(std::size_t pixels) { return 3 * pixels + pixels / 512 + 64; }

}  // namespace

void write_rvl(Output& output, const std::uint16_t* pixels, std::size_t width, std::size_t height,
               std::uint16_t most) {
  const std::size_t count = width * height;
  const std::uint32_t size[] = {static_cast<std::uint32_t>(width),
                                static_cast<std::uint32_t>(height)};
  output.append(size, sizeof(size));
  output.reserve(output.size() + longest(count));
  Runs runs(pixels, count, most);
  Nibbles nibbles(output.data() + output.size());
  unsigned previous = 0;
  for (std::size_t i = 0; i < count;) {
    const std::size_t start = runs.first(true, i), end = runs.first(false, start);
    nibbles.put(start - i);
    nibbles.put(end - start);
    for (i = start; i + 2 <= end; i += 2) {
      const unsigned first = pixels[i], second = pixels[i + 1];
      nibbles.put(zigzag(first, previous), zigzag(second, first));
      previous = second;
    }
    if (i < end) {
      nibbles.put(zigzag(pixels[i], previous));
      previous = pixels[i];
    }
    i = end;
  }
  output.set_size(static_cast<std::size_t>(nibbles.finish() - output.data()));
}

}  // namespace depthai
