// The filters on depth, for sizes that leave a rest: with a sanitizer, nothing outside is touched.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/depth_filters.hpp"

namespace depthai {
namespace {

template <typename Value>
struct Image {
  Image(std::size_t height, std::size_t width) : values(height * width), shape{height, width} {}
  Array array() {
    const char type = sizeof(Value) == 1 ? 'B' : sizeof(Value) == 2 ? 'H' : kFour;
    return {reinterpret_cast<std::uint8_t*>(values.data()), values.size() * sizeof(Value), type,
            sizeof(Value), shape};
  }
  static constexpr char kFour = std::is_same_v<Value, float> ? 'f' : 'I';
  std::vector<Value> values;
  std::vector<std::size_t> shape;
};
using Depth = Image<std::uint16_t>;

class Filters : public testing::TestWithParam<std::pair<std::size_t, std::size_t>> {
 protected:
  std::size_t height = GetParam().first, width = GetParam().second;

  Depth noise() {
    Depth depth(height, width);
    std::mt19937 random(1);
    for (auto& value : depth.values) {
      value = static_cast<std::uint16_t>(random() % 3 == 0 ? 0 : random());
    }
    return depth;
  }
};

TEST_P(Filters, ResultsOfDecimationWereMeasured) {
  Depth depth = noise();
  for (std::size_t size = 2; size <= 8; ++size) {
    Depth small(height / size, width / size);
    decimate(depth.array(), small.array(), static_cast<unsigned>(size));
    for (const auto value : small.values) {
      EXPECT_NE(std::find(depth.values.begin(), depth.values.end(), value), depth.values.end());
    }
  }
}

TEST_P(Filters, SmoothingStaysWithinWhatWasMeasured) {
  Depth depth = noise(), smooth(height, width);
  Image<float> disparity(height, width), state(height, width);
  Image<float> strip(16, std::max(height, width));
  Image<std::uint8_t> history(height, width);
  Image<std::uint32_t> runs(3 * height, width);
  runs.shape = {3, height, width};
  disparity_of_depth(depth.array(), disparity.array(), 66'000.0F);
  remove_speckles(disparity.array(), runs.array(), 2, 100'000.0F);
  smooth_in_space(disparity.array(), strip.array(), 0.5F, 100'000.0F, 2);
  smooth_in_time(disparity.array(), state.array(), history.array(), 0.5F, 1.0F, 8);
  depth_of_disparity(disparity.array(), smooth.array(), 66'000.0F);
  const auto most = *std::max_element(depth.values.begin(), depth.values.end());
  for (std::size_t i = 0; i < smooth.values.size(); ++i) {
    EXPECT_LE(smooth.values[i], most);
    if (depth.values[i] == 0) {
      EXPECT_EQ(smooth.values[i], 0);
    }
  }
}

TEST_P(Filters, HolesAreFilledAndMeasuredPixelsStay) {
  Depth depth = noise(), filled(height, width);
  Image<std::uint32_t> columns(1, width);
  for (const char* const mode : {"left", "farthest", "nearest"}) {
    fill_holes(depth.array(), filled.array(), columns.array(), mode, 1000, 66'000.0F, 1e9F);
    for (std::size_t i = 0; i < depth.values.size(); ++i) {
      EXPECT_TRUE(depth.values[i] == 0 || filled.values[i] == depth.values[i]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Filters,
                         testing::Values(std::pair{1, 1}, std::pair{2, 5}, std::pair{17, 19},
                                         std::pair{35, 67}));

}  // namespace
}  // namespace depthai
