# The tests in Python that `colcon test` runs; CONTRIBUTING.md says what it leaves out.
if(NOT BUILD_TESTING OR NOT ament_cmake_FOUND)
  return()
endif()
find_package(ament_cmake_pytest QUIET)
if(NOT ament_cmake_pytest_FOUND)
  message(STATUS "`colcon test` will run no test in Python: ament_cmake_pytest is not installed")
  return()
endif()

# Path below this folder, and the limit in seconds: several times what a machine with two cores needs.
# They run in the build folder, where nothing hides the installed package.
set(groups "python 1200" "ros 2400" "launch 1200" "test_package.py 180")
foreach(group IN LISTS groups)
  string(REGEX MATCH "^([^ ]+) ([0-9]+)$" matched "${group}")
  set(path ${CMAKE_MATCH_1})
  set(limit_s ${CMAKE_MATCH_2})
  string(REGEX REPLACE "^test_|\\.py$" "" name "${path}")
  ament_add_pytest_test(${name} "${CMAKE_CURRENT_LIST_DIR}/${path}" TIMEOUT ${limit_s})
endforeach()
