// The loops over pixels against plain ones: all results alike, no byte read or written outside.

#include <cmath>
#include <stdexcept>

#include "kernels/depth.hpp"
#include "kernels/kernels.hpp"
#include "kernels/remap.hpp"
#include "memory.hpp"

namespace depthai::fuzz {
namespace {

struct Case {
  std::size_t height, width, offset;
  bool mirrored, at_front;
  std::uint16_t limit;
  Bytes pattern;

  /// The place in the source of the pixel at `index` of a picture of this width.
  std::size_t source_of(std::size_t index) const {
    if (!mirrored) return index;
    const std::size_t row = index / width, column = index % width;
    return row * width + (width - 1 - column);
  }
};

Memory filled(char type, const Shape& shape, const Case& of) {
  Memory memory(type, shape, of.offset, of.at_front);
  memory.fill(of.pattern);
  return memory;
}

template <typename Source, typename Destination>
void check_map(char from, char to, const Case& of) {
  Memory source = filled(from, {of.height, of.width}, of);
  static Memory table =
      filled(to, {sizeof(Source) == 1 ? std::size_t{256} : std::size_t{65536}}, {});
  Memory destination(to, {of.height, of.width}, 0, of.at_front);
  map_table(source.array(), table.array(), destination.array(), of.mirrored);
  for (std::size_t i = 0; i < destination.count(); ++i) {
    const auto wanted = table.at<Destination>(source.at<Source>(of.source_of(i)));
    const auto found = destination.at<Destination>(i);
    expect(std::memcmp(&wanted, &found, sizeof(found)) == 0, "map_table: another value");
  }
}

void check_interleave(const Case& of) {
  Memory source = filled('B', {3, of.height, of.width}, of);
  Memory destination('B', {of.height, of.width, 3}, 0, of.at_front);
  interleave(source.array(), destination.array(), of.mirrored);
  const std::size_t plane = of.height * of.width;
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      expect(destination.data()[3 * i + k] == source.data()[k * plane + of.source_of(i)],
             "interleave: another value");
    }
  }
}

void check_zero_above(const Case& of) {
  Memory source = filled('H', {of.height, of.width}, of);
  Memory destination('H', {of.height, of.width}, 0, of.at_front);
  zero_above(source.array(), destination.array(), of.limit, of.mirrored);
  for (std::size_t i = 0; i < destination.count(); ++i) {
    const auto value = source.at<std::uint16_t>(of.source_of(i));
    expect(destination.at<std::uint16_t>(i) == (value <= of.limit ? value : 0),
           "zero_above: another value");
  }
  zero_above(source.array(), source.array(), of.limit);
  for (std::size_t i = 0; i < destination.count() && !of.mirrored; ++i) {
    expect(source.at<std::uint16_t>(i) == destination.at<std::uint16_t>(i),
           "zero_above: another value in place");
  }
}

void check_metres(const Case& of) {
  Memory source = filled('H', {of.height, of.width}, of);
  Memory destination('f', {of.height, of.width}, 0, of.at_front);
  metres(source.array(), destination.array(), of.limit, of.mirrored);
  for (std::size_t i = 0; i < destination.count(); ++i) {
    const auto mm = source.at<std::uint16_t>(of.source_of(i));
    const auto m = destination.at<float>(i);
    const bool is_measured = mm > 0 && mm <= of.limit;
    expect(is_measured ? m == static_cast<float>(mm) / 1000.0F : std::isnan(m),
           "metres: another value");
  }
}

/// As the loop for the last pixels of a row, in whole numbers.
std::uint8_t bgr_value(int y, int u, int v, std::size_t channel) {
  const auto per_256 = [](double factor) {
    return static_cast<int>(256 * 32 * factor + (factor < 0 ? -0.5 : 0.5));
  };
  const auto times = [](int level, int factor) { return level * 256 * factor >> 16; };
  const int from_u = u - 128, from_v = v - 128, bright = per_256(1.164);
  const int chroma[] = {
      times(from_u, per_256(2.018)),
      times(from_u, per_256(-0.391)) + times(from_v, per_256(-0.813)),
      times(from_v, per_256(1.596)),
  };
  const int level = y > 16 ? y - 16 : 0;
  const int luma = level * (bright >> 8) + (level * (bright & 255) >> 8);
  const int sum = (luma + chroma[channel] + 17) >> 5;
  return static_cast<std::uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

void check_bgr(const Case& of) {
  const std::size_t height = of.height / 2 * 2, width = of.width / 2 * 2;
  Memory source = filled('B', {height / 2 * 3, width}, of);
  Memory destination('B', {height, width, 3}, 0, of.at_front);
  bgr_from_i420(source.array(), destination.array());
  const std::uint8_t* const u = source.data() + height * width;
  const std::uint8_t* const v = u + height * width / 4;
  for (std::size_t i = 0; i < height * width; ++i) {
    const std::size_t half = i / width / 2 * (width / 2) + i % width / 2;
    for (std::size_t k = 0; k < 3; ++k) {
      expect(destination.data()[3 * i + k] == bgr_value(source.data()[i], u[half], v[half], k),
             "bgr_from_i420: another value");
    }
  }
}

void check_mirror(const Case& of) {
  Memory source = filled('B', {of.height, of.width}, of);
  Memory destination('B', {of.height, of.width}, 0, of.at_front);
  mirror(source.array(), destination.array());
  Case turned = of;
  turned.mirrored = true;
  for (std::size_t i = 0; i < destination.count(); ++i) {
    expect(destination.data()[i] == source.data()[turned.source_of(i)], "mirror: another value");
  }
}

void check_colorize(const Case& of) {
  Memory source = filled('B', {of.height, of.width}, of);
  Memory table = filled('B', {256, 3}, of);
  Memory destination('B', {of.height, of.width, 3}, 0, of.at_front);
  colorize(source.array(), table.array(), destination.array(), of.mirrored);
  for (std::size_t i = 0; i < source.count(); ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      const std::size_t color = source.data()[of.source_of(i)];
      expect(destination.data()[3 * i + k] == table.data()[3 * color + k],
             "colorize: another value");
    }
  }
}

/// Float32, one for each index.
template <typename Value>
Memory computed(const Shape& shape, const Case& of, Value value) {
  Memory memory('f', shape, 0, of.at_front);
  for (std::size_t i = 0; i < memory.count(); ++i) memory.set(i, static_cast<float>(value(i)));
  return memory;
}

void check_points(const Case& of) {
  const std::size_t step = of.limit % 3 + 1, height = of.height / step, width = of.width / step;
  Memory depth = filled('H', {of.height, of.width}, of);
  Memory mono = filled('B', {of.height, of.width}, of);
  Memory columns = computed({width}, of, [](std::size_t i) { return i / 7.0F - 9.0F; });
  Memory rows = computed({height}, of, [](std::size_t i) { return i / 5.0F - 1.0F; });
  Memory points('f', {height, width, 4}, 0, of.at_front);
  const Array gray = mono.array();
  make_points(depth.array(), columns.array(), rows.array(), points.array(), {step, of.limit},
              {of.mirrored ? &gray : nullptr, nullptr, nullptr});
  for (std::size_t i = 0; i < height * width; ++i) {
    const std::size_t row = i / width, column = i % width;
    const std::size_t from = (row * step + step / 2) * of.width + column * step + step / 2;
    const auto mm = depth.at<std::uint16_t>(from);
    const float z = mm > 0 && mm <= of.limit ? static_cast<float>(mm) * 0.001F : std::nanf("");
    const float wanted[] = {columns.at<float>(column) * z, rows.at<float>(row) * z, z};
    for (std::size_t k = 0; k < 3; ++k) {
      const auto found = points.at<float>(4 * i + k);
      expect(std::isnan(z) ? std::isnan(found) : found == wanted[k], "points: another value");
    }
    const std::uint32_t color = of.mirrored ? mono.data()[from] * 0x01'01'01U : 0;
    expect(points.at<std::uint32_t>(4 * i + 3) == color, "points: another colour");
  }
}

/// The camera of the target is that of the source.
void check_registration(const Case& of) {
  if (of.height < 2 || of.width < 2) return;
  Memory depth = filled('H', {of.height, of.width}, of);
  Memory columns = computed({of.width}, of, [](std::size_t i) { return i; });
  Memory rows = computed({of.height}, of, [](std::size_t i) { return i; });
  Memory projection = computed({3, 4}, of, [](std::size_t i) { return i % 5 == 0 ? 1 : 0; });
  Memory scratch('f', {10 * of.width}, 0, of.at_front);
  Memory target('H', {of.height, of.width}, 0, of.at_front);
  register_depth(depth.array(), columns.array(), rows.array(), projection.array(), scratch.array(),
                 target.array());
  for (std::size_t i = 0; i < depth.count(); ++i) {
    const auto mm = depth.at<std::uint16_t>(i);
    expect(target.at<std::uint16_t>(i) == (mm < 65535 ? mm : 0), "register_depth: another value");
  }
}

/// Places from -1 to beyond the end, in 1/32 px.
void check_remap(const Case& of) {
  if (of.height < 4 || of.width < 4) return;
  const std::size_t channels = of.mirrored ? 3 : 1;
  Shape shape{of.height, of.width};
  if (of.mirrored) shape.push_back(3);
  Memory source = filled('B', shape, of);
  Memory destination('B', shape, 0, of.at_front);
  const auto place = [&of](std::size_t i, std::size_t side, std::size_t factor) {
    return static_cast<int>((i * factor + of.limit) % (32 * (side + 2))) - 32;
  };
  const Shape flat{of.height, of.width};
  Memory x = computed(flat, of, [&](std::size_t i) { return place(i, of.width, 37) / 32.0F; });
  Memory y = computed(flat, of, [&](std::size_t i) { return place(i, of.height, 5) / 32.0F; });
  Remap(x.array(), y.array(), of.width, of.height).apply(source.array(), destination.array());
  const auto level = [&](int column, int row, std::size_t k) -> int {
    const bool is_inside = column >= 0 && row >= 0 && column < static_cast<int>(of.width) &&
                           row < static_cast<int>(of.height);
    return is_inside ? source.data()[(row * of.width + column) * channels + k] : 0;
  };
  for (std::size_t i = 0; i < of.height * of.width; ++i) {
    const int px = place(i, of.width, 37), py = place(i, of.height, 5);
    const int left = px >> 5, top = py >> 5, part_x = px & 31, part_y = py & 31;
    for (std::size_t k = 0; k < channels; ++k) {
      const int upper = level(left, top, k) * (32 - part_x) + level(left + 1, top, k) * part_x;
      const int lower =
          level(left, top + 1, k) * (32 - part_x) + level(left + 1, top + 1, k) * part_x;
      const int wanted = (upper * (32 - part_y) + lower * part_y + 512) >> 10;
      const int found = destination.data()[i * channels + k];
      expect(std::abs(found - wanted) <= 1, "Remap: another value");
    }
  }
}

/// Arrays that need not fit together: refused, or nothing outside of them is touched.
void run_mismatch(const Case&, Input& input) {
  std::vector<Memory> memories;
  for (int i = 0; i < 3; ++i) {
    constexpr char kTypes[] = {'B', 'H', 'f'};
    Shape shape;
    for (std::size_t left = input.below(5); left > 0; --left) shape.push_back(input.below(20));
    if (input.flag()) shape = input.flag() ? Shape{256} : Shape{256, 3};
    memories.emplace_back(input.one_of(kTypes), shape);
  }
  const Array a = memories[0].array(), b = memories[1].array(), c = memories[2].array();
  const bool mirrored = input.flag();
  const auto limit = static_cast<std::uint16_t>(input.word());
  switch (input.below(7)) {
    case 0:
      return map_table(a, b, c, mirrored);
    case 1:
      return interleave(a, c, mirrored);
    case 2:
      return zero_above(a, c, limit, mirrored);
    case 3:
      return metres(a, c, limit, mirrored);
    case 4:
      return bgr_from_i420(a, c);
    case 5:
      return mirror(a, c);
    default:
      return colorize(a, b, c, mirrored);
  }
}

constexpr void (*kChecks[])(const Case&) = {
    [](const Case& of) { check_map<std::uint8_t, std::uint16_t>('B', 'H', of); },
    [](const Case& of) { check_map<std::uint8_t, float>('B', 'f', of); },
    [](const Case& of) { check_map<std::uint16_t, std::uint8_t>('H', 'B', of); },
    [](const Case& of) { check_map<std::uint16_t, float>('H', 'f', of); },
    &check_interleave,
    &check_zero_above,
    &check_metres,
    &check_bgr,
    &check_mirror,
    &check_colorize,
    &check_points,
    &check_registration,
    &check_remap,
};
constexpr std::size_t kCheckCount = sizeof(kChecks) / sizeof(*kChecks);

}  // namespace
}  // namespace depthai::fuzz

/// Bytes: kernel, rows, columns (1 or 2), options, limit (4), then pixels.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace depthai::fuzz;
  Input input(data, size);
  const std::size_t which = input.below(kCheckCount + 1);
  Case of{};
  of.height = input.below(7);
  of.width = input.byte();
  if (of.height < 3 && input.flag()) of.width += 256;
  const std::size_t options = input.byte();
  of.mirrored = (options & 1) != 0;
  of.offset = options >> 1 & 1;  // of the source
  of.at_front = (options & 4) != 0;
  of.limit = static_cast<std::uint16_t>(input.word());
  try {
    if (which == kCheckCount) {
      run_mismatch(of, input);
    } else {
      of.pattern = input.bytes(size);
      kChecks[which](of);
    }
  } catch (const std::invalid_argument&) {
    expect(which == kCheckCount || of.offset != 0, "arrays that fit are refused");
  }
  return 0;
}
