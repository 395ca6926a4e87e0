# The engine's libraries, built here. Paths are from the top of the checkout.

file(GLOB ENGINE_CORE CONFIGURE_DEPENDS
  engine/base/*.cc engine/platform/*.cc engine/metadata/*.cc engine/pages/*.cc
  engine/central/*.cc engine/cache/*.cc engine/observe/*.cc)
set(ENGINE_FRONT
  engine/frontends/malloc/api.cc engine/frontends/malloc/background.cc
  engine/frontends/malloc/engine.cc engine/frontends/malloc/large.cc
  engine/frontends/malloc/misuse.cc engine/frontends/malloc/process.cc
  engine/frontends/malloc/reports.cc engine/frontends/malloc/resize.cc
  engine/frontends/malloc/settings.cc engine/frontends/pymalloc_arenas/hooks.cc
  engine/frontends/pools/block_pool.cc engine/frontends/pools/c_interface.cc
  engine/frontends/pools/pools.cc)
# The collected heap is for programs that ask for it: it is not in the preloaded library.
file(GLOB ENGINE_COLLECTED CONFIGURE_DEPENDS
  engine/frontends/collected/*.cc engine/frontends/collected/containers/*.cc)
file(GLOB ENGINE_COLLECTED_C CONFIGURE_DEPENDS
  engine/frontends/collected/c_*.cc engine/frontends/collected/c_*.c)
list(REMOVE_ITEM ENGINE_COLLECTED ${ENGINE_COLLECTED_C})
set(ENGINE_PRELOAD
  engine/frontends/preload.cc engine/frontends/malloc/c_interface.cc
  engine/frontends/malloc/glibc_interface.cc engine/frontends/malloc/identity.cc
  engine/frontends/malloc/operator_new.cc
  engine/frontends/malloc/resource_limits.cc)

# Warnings are errors. No exceptions, RTTI or guarded statics: the engine has no C++ runtime.
# -fno-builtin-malloc: the compiler must not turn malloc+memset in our calloc into our calloc.
add_library(engine_options INTERFACE)
target_include_directories(engine_options INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_options(engine_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror
  -O2 -g -fno-exceptions -fvisibility=hidden -fno-builtin-malloc -fno-plt -fno-stack-protector
  -fno-asynchronous-unwind-tables -funwind-tables
  $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti -fno-threadsafe-statics -fvisibility-inlines-hidden>)

# Twice, under one name; only the order of malloc's two ways differs (engine/platform/build.h), which
# these files decide.
set(ENGINE_WAYS
  engine/frontends/malloc/c_interface.cc engine/frontends/malloc/engine.cc
  engine/frontends/malloc/operator_new.cc)
set(preload_common ${ENGINE_CORE} ${ENGINE_FRONT} ${ENGINE_PRELOAD})
list(REMOVE_ITEM preload_common ${ENGINE_WAYS})
add_library(preload_objects OBJECT ${preload_common})
target_link_libraries(preload_objects PRIVATE engine_options)
target_compile_definitions(preload_objects PRIVATE TRIMALLOC_PRELOAD=1)
foreach(preload trimalloc_preload trimalloc_preload_cpu)
  add_library(${preload} SHARED ${ENGINE_WAYS} $<TARGET_OBJECTS:preload_objects>)
  set_target_properties(${preload} PROPERTIES OUTPUT_NAME trimalloc LINKER_LANGUAGE C)
  target_link_libraries(${preload} PRIVATE engine_options dl pthread)
  target_compile_definitions(${preload} PRIVATE TRIMALLOC_PRELOAD=1)
  target_link_options(${preload} PRIVATE
    -Wl,-z,initfirst -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete -Wl,--no-undefined
    -Wl,--hash-style=gnu -Wl,--gc-sections -Wl,-O1)
endforeach()
target_compile_definitions(trimalloc_preload_cpu PRIVATE TRIMALLOC_CPU=1)
set_target_properties(trimalloc_preload_cpu PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/cpu)

add_library(trimalloc_library_engine STATIC ${ENGINE_CORE} ${ENGINE_FRONT})
target_link_libraries(trimalloc_library_engine PRIVATE engine_options)
target_include_directories(trimalloc_library_engine PUBLIC include)

# Collected heaps by the width of their references (engine/frontends/collected/reference.h). What is
# linked with one of these is of its width.
foreach(bits 32 64)
  add_library(trimalloc_collected${bits} STATIC ${ENGINE_COLLECTED})
  target_link_libraries(trimalloc_collected${bits}
    PRIVATE engine_options PUBLIC trimalloc_library_engine)
endforeach()
target_compile_definitions(trimalloc_collected64 PUBLIC TRIMALLOC_WIDE_REFERENCES=1)

# A library of its own, so that a program can have collected heaps and keep its malloc: linking with
# libtrimalloc.so would replace that. Only what the heap needs comes out of the archives.
add_library(trimalloc_heap SHARED ${ENGINE_COLLECTED_C})
target_link_libraries(trimalloc_heap PRIVATE trimalloc_collected32)
add_library(trimalloc_heap64 SHARED ${ENGINE_COLLECTED_C})
target_link_libraries(trimalloc_heap64 PRIVATE trimalloc_collected64)
foreach(heap trimalloc_heap trimalloc_heap64)
  set_target_properties(${heap} PROPERTIES LINKER_LANGUAGE C C_STANDARD 11)
  target_include_directories(${heap} PRIVATE include)
  target_link_libraries(${heap} PRIVATE engine_options pthread)
  target_link_options(${heap} PRIVATE
    -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete -Wl,--no-undefined -Wl,--hash-style=gnu
    -Wl,--gc-sections -Wl,-O1 -Wl,--exclude-libs,ALL)
endforeach()

if(SKBUILD)
  install(TARGETS trimalloc_preload trimalloc_heap trimalloc_heap64 LIBRARY DESTINATION trimalloc/lib)
  install(TARGETS trimalloc_preload_cpu LIBRARY DESTINATION trimalloc/lib/cpu)
endif()
