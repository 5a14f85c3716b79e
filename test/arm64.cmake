# For CMake: compile for arm64 with what tools/arm64_parts has unpacked.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
cmake_path(SET root NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../build/arm64/root")
set(CMAKE_C_COMPILER ${root}/usr/bin/aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER ${root}/usr/bin/aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_SYSROOT ${root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
# Programs find the libraries there, the C library in a folder of its own. qemu-user can redirect
# paths, too, but then also "/", which libudev opens.
set(libraries ${root}/usr/aarch64-linux-gnu/lib)
string(CONCAT CMAKE_EXE_LINKER_FLAGS_INIT
  "-Wl,--dynamic-linker=${libraries}/ld-linux-aarch64.so.1,--disable-new-dtags"
  ",-rpath=${libraries}:${root}/usr/lib/aarch64-linux-gnu:${root}/lib/aarch64-linux-gnu")
