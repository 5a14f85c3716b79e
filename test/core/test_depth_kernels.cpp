// Kernels on depth at the ends of their arrays, with hostile numbers; sanitizers see each byte.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>

#include "kernels/depth.hpp"
#include "kernels/remap.hpp"

namespace depthai {
namespace {

using Shape = std::vector<std::size_t>;

/// An array of its exact size.
template <typename Value>
class Values {
 public:
  explicit Values(Shape shape, Value value = {}) : shape_(std::move(shape)) {
    const std::size_t count =
        std::accumulate(shape_.begin(), shape_.end(), std::size_t{1}, std::multiplies<>());
    values_.assign(count, value);
    values_.shrink_to_fit();
  }
  Array array() {
    constexpr char kType = std::is_same_v<Value, float>          ? 'f'
                           : std::is_same_v<Value, std::int32_t> ? 'i'
                           : sizeof(Value) == 2                  ? 'H'
                                                                 : 'B';
    return {reinterpret_cast<std::uint8_t*>(values_.data()), values_.size() * sizeof(Value), kType,
            sizeof(Value), shape_};
  }
  template <typename Distribution>
  Values& fill(Distribution distribution) {
    for (Value& value : values_) value = static_cast<Value>(distribution(random_));
    return *this;
  }
  Value& operator[](std::size_t index) { return values_[index]; }
  const std::vector<Value>& all() const { return values_; }

 private:
  Shape shape_;
  std::vector<Value> values_;
  static inline std::mt19937 random_{1};
};

constexpr float kHostile[] = {
    0.0F, 1e-30F, 1e38F, -1e38F, std::numeric_limits<float>::infinity(), std::nanf(""), -0.5F, 1.0F,
};
const auto kAnyDepth = std::uniform_int_distribution<>(0, 65535);
const auto kAnyLevel = std::uniform_int_distribution<>(0, 255);

// ---- points

TEST(Points, HostileProjectionsAndTablesStayInsideTheImage) {
  constexpr std::size_t kHeight = 5, kWidth = 300;
  auto depth = Values<std::uint16_t>({kHeight, kWidth}).fill(kAnyDepth);
  auto image = Values<std::uint8_t>({4, 7, 3}).fill(kAnyLevel);
  auto table = Values<std::int32_t>({3, 9});
  table.fill(std::uniform_int_distribution<std::int32_t>(std::numeric_limits<std::int32_t>::min(),
                                                         std::numeric_limits<std::int32_t>::max()));
  table[0] = 27;  // the last pixel
  table[1] = 28;
  for (const float value : kHostile) {
    Values<float> projection({3, 4}, value), columns({kWidth}, value), rows({kHeight}, value);
    for (const bool has_table : {false, true}) {
      Values<float> points({kHeight, kWidth, 4});
      const Array pixels = table.array(), bgr = image.array(), matrix = projection.array();
      const PointColor color{&bgr, &matrix, has_table ? &pixels : nullptr};
      make_points(depth.array(), columns.array(), rows.array(), points.array(), {1, 65534}, color);
    }
  }
}

TEST(Points, TheLastBlockIsReadAndNothingBehindIt) {
  for (const std::size_t step : {1U, 2U, 3U, 16U}) {
    for (const std::size_t side : {16U, 17U, 31U, 259U}) {
      auto depth = Values<std::uint16_t>({side, side}).fill(kAnyDepth);
      auto image = Values<std::uint8_t>({side, side}).fill(kAnyLevel);
      const std::size_t count = side / step;
      Values<float> columns({count}, 0.5F), rows({count}, 0.25F), points({count, count, 4});
      const Array gray = image.array();
      make_points(depth.array(), columns.array(), rows.array(), points.array(), {step, 65534},
                  {&gray, nullptr, nullptr});
      const std::size_t last = (count - 1) * step + step / 2;
      const int mm = depth[last * side + last];
      const float z = points[points.all().size() - 2];
      EXPECT_TRUE(mm == 0 || mm > 65534 ? std::isnan(z) : std::fabs(z * 1000 - mm) < 0.01) << mm;
    }
  }
}

TEST(Points, ArraysThatDoNotFitAreRefused) {
  Values<std::uint16_t> depth({6, 8});
  Values<float> columns({8}), rows({6}), points({6, 8, 4}), short_rows({5}), matrix({4, 3});
  Values<std::uint8_t> bgr({6, 8, 3});
  const Array image = bgr.array(), wrong = matrix.array();
  const auto make = [&](Values<float>& y, PointSelection selection, const PointColor& color) {
    make_points(depth.array(), columns.array(), y.array(), points.array(), selection, color);
  };
  EXPECT_NO_THROW(make(rows, {1, 9}, {}));
  EXPECT_THROW(make(short_rows, {1, 9}, {}), std::invalid_argument);
  EXPECT_THROW(make(rows, {0, 9}, {}), std::invalid_argument);
  EXPECT_THROW(make(rows, {2, 9}, {}), std::invalid_argument);
  EXPECT_THROW(make(rows, {1, 9}, {&image, nullptr, nullptr}), std::invalid_argument);
  EXPECT_THROW(make(rows, {1, 9}, {&image, &wrong, nullptr}), std::invalid_argument);
  const Array own = points.array();
  EXPECT_THROW(make_points(depth.array(), columns.array(), own, own, {1, 9}, {}),
               std::invalid_argument);
}

// ---- register_depth

TEST(Registration, HostileNumbersStayInsideTheTarget) {
  constexpr std::size_t kHeight = 7, kWidth = 261;
  auto depth = Values<std::uint16_t>({kHeight, kWidth}).fill(kAnyDepth);
  Values<std::uint16_t> target({9, 13}, 1);
  Values<float> scratch({10 * kWidth}, std::nanf(""));
  const auto any_number = std::uniform_real_distribution<float>(-3.0F, 3.0F);
  for (const float value : kHostile) {
    for (std::size_t at = 0; at < 12; ++at) {
      auto columns = Values<float>({kWidth}).fill(any_number);
      auto rows = Values<float>({kHeight}).fill(any_number);
      auto projection = Values<float>({3, 4}).fill(any_number);
      projection[at] = value;
      if (at % 3 == 0) columns[at] = value;
      register_depth(depth.array(), columns.array(), rows.array(), projection.array(),
                     scratch.array(), target.array());
    }
  }
}

TEST(Registration, ArraysThatDoNotFitAreRefused) {
  Values<std::uint16_t> depth({6, 8}), target({3, 3}), flat({8}), narrow({6, 1});
  Values<float> columns({8}), rows({6}), matrix({3, 4}), scratch({80}), small({79}), one({1});
  const auto make = [&](Array from, Array x, Array memory, Array to) {
    register_depth(from, x, rows.array(), matrix.array(), memory, to);
  };
  const Array source = depth.array(), x = columns.array(), memory = scratch.array();
  EXPECT_NO_THROW(make(source, x, memory, target.array()));
  EXPECT_THROW(make(flat.array(), x, memory, target.array()), std::invalid_argument);
  EXPECT_THROW(make(narrow.array(), one.array(), memory, target.array()), std::invalid_argument);
  EXPECT_THROW(make(source, rows.array(), memory, target.array()), std::invalid_argument);
  EXPECT_THROW(make(source, x, small.array(), target.array()), std::invalid_argument);
  EXPECT_THROW(make(source, x, memory, source), std::invalid_argument);
}

// ---- undistortion

TEST(Undistortion, HostileTablesReadNothingOutside) {
  const Shape shape{5, 300};
  auto depth = Values<std::uint16_t>(shape).fill(kAnyDepth);
  auto places = Values<std::int32_t>(shape).fill(std::uniform_int_distribution<std::int32_t>(
      std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()));
  for (std::int32_t last : {0, 299, 1499, 1500, -1})
    places[static_cast<std::size_t>(last & 7)] = last;
  for (const float value : kHostile) {
    Values<float> left(shape, value), right(shape, -value);
    Values<std::uint16_t> to(shape);
    for (const float measured : {0.0F, 1.0F, 67e3F, 1e38F}) {
      undistort_depth(depth.array(), places.array(), left.array(), right.array(), to.array(),
                      measured, value);
    }
  }
}

TEST(Undistortion, ArraysThatDoNotFitAreRefused) {
  Values<std::uint16_t> depth({4, 6}), to({4, 6}), small({4, 5});
  Values<std::int32_t> places({4, 6});
  Values<float> left({4, 6}), right({4, 6}), flat({24});
  const auto refused = [&](Array d, Array l, Array t, float measured = 1.0F) {
    EXPECT_THROW(undistort_depth(d, places.array(), l, right.array(), t, measured, 1.0F),
                 std::invalid_argument);
  };
  refused(small.array(), left.array(), to.array());
  refused(depth.array(), flat.array(), to.array());
  refused(depth.array(), left.array(), small.array());
  refused(depth.array(), left.array(), depth.array());
  refused(depth.array(), left.array(), to.array(), -1.0F);
  refused(depth.array(), left.array(), to.array(), std::nanf(""));
}

// ---- Remap

TEST(Remap, PlacesAtTheEndsOfTheImageReadNothingBehindIt) {
  for (const std::size_t channels : {1U, 3U}) {
    constexpr std::size_t kHeight = 4, kWidth = 5;
    Shape from{kHeight, kWidth}, to{9, 40};
    if (channels == 3) from.push_back(3), to.push_back(3);
    auto source = Values<std::uint8_t>(from).fill(kAnyLevel);
    Values<std::uint8_t> target(to);
    for (int part = -40; part <= 40; ++part) {
      const float shift = static_cast<float>(part) / 32;
      Values<float> x({9, 40}, kWidth - 1 + shift), y({9, 40}, kHeight - 1 + shift);
      Remap(x.array(), y.array(), kWidth, kHeight).apply(source.array(), target.array());
      if (part == 0) {
        EXPECT_EQ(target.all().back(), source.all().back());
      }
    }
    for (const float value : kHostile) {
      Values<float> x({9, 40}, value), y({9, 40}, 1.0F);
      Remap(x.array(), y.array(), kWidth, kHeight).apply(source.array(), target.array());
    }
  }
}

TEST(Remap, ArraysThatDoNotFitAreRefused) {
  Values<float> x({3, 4}), y({4, 3});
  EXPECT_THROW(Remap(x.array(), y.array(), 8, 8), std::invalid_argument);
  EXPECT_THROW(Remap(x.array(), x.array(), 3, 8), std::invalid_argument);
  const Remap remap(x.array(), x.array(), 8, 5);
  Values<std::uint8_t> source({5, 8}), target({3, 4}), turned({8, 5}), colors({5, 8, 3});
  EXPECT_NO_THROW(remap.apply(source.array(), target.array()));
  EXPECT_THROW(remap.apply(turned.array(), target.array()), std::invalid_argument);
  EXPECT_THROW(remap.apply(source.array(), turned.array()), std::invalid_argument);
  EXPECT_THROW(remap.apply(colors.array(), target.array()), std::invalid_argument);
}

}  // namespace
}  // namespace depthai
