#include <gtest/gtest.h>

#include <stdexcept>

#include "transport/usb_boot.hpp"

namespace depthai {
namespace {

TEST(UsbBoot, selector_of_any_length_is_refused_in_one_sentence) {
  for (const std::string& selector :
       {std::string("1..3"), std::string("1:"), std::string(":1"), std::string("1234"),
        std::string("1:2:3"), std::string("1-2-3"), std::string("1-"), std::string("abcdefg"),
        std::string("abcdefg_"), std::string("1.3."), std::string("1:1234567"),
        std::string(1 << 20, 'a'), std::string(1 << 20, '1'), "1:" + std::string(1 << 20, '.')}) {
    try {
      open_usb(selector, {nullptr, 0}, {}, {});
      ADD_FAILURE() << selector.substr(0, 20);
    } catch (const std::invalid_argument& error) {
      EXPECT_LT(std::string(error.what()).size(), 200U);
    }
  }
}

}  // namespace
}  // namespace depthai
