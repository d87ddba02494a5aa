# Embeds kernels/std/*.yaml: mlc_std holds a table of (file name, text), see compiler/model/std_files.h.
file(GLOB std_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/std/*.yaml)
set(std_source ${CMAKE_BINARY_DIR}/std_files.cpp)
add_custom_command(OUTPUT ${std_source}
  COMMAND ${CMAKE_COMMAND} -DOUT=${std_source} -DDIR=${CMAKE_SOURCE_DIR}/kernels/std -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${std_files} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake)
add_library(mlc_std STATIC ${std_source})
