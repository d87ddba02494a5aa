# The JIT is the only user of LLVM: a shared module beside the program, loaded by commands that compile (loading libLLVM
# costs 20 ms). Sources: runtime/cpu/jit/*.cpp, interface: runtime/cpu/jit.h.
file(GLOB jit_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/runtime/cpu/jit/*.cpp)
if(jit_sources)
  add_library(mlc_jit MODULE ${jit_sources})
  target_include_directories(mlc_jit SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS})
  target_compile_definitions(mlc_jit PRIVATE ${LLVM_DEFINITIONS_LIST})
  if(NOT LLVM_ENABLE_RTTI)
    target_compile_options(mlc_jit PRIVATE -fno-rtti)
  endif()
  target_link_libraries(mlc_jit PRIVATE mlc_base LLVM)
  add_dependencies(mlc_cpu mlc_jit)
endif()
