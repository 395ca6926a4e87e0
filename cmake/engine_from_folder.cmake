# The engine's libraries as an earlier build has left them in TRIMALLOC_ENGINE: what extensions link
# with, under the names that cmake/engine.cmake gives it, and what is installed beside them. That
# they are of these sources is for the caller to know.

foreach(archive trimalloc_library_engine trimalloc_collected32 trimalloc_collected64)
  add_library(${archive} STATIC IMPORTED GLOBAL)
  set_target_properties(${archive} PROPERTIES
    IMPORTED_LOCATION ${TRIMALLOC_ENGINE}/lib${archive}.a)
endforeach()
target_include_directories(trimalloc_library_engine INTERFACE include)
target_link_libraries(trimalloc_collected32 INTERFACE trimalloc_library_engine)
target_link_libraries(trimalloc_collected64 INTERFACE trimalloc_library_engine)
target_compile_definitions(trimalloc_collected64 INTERFACE TRIMALLOC_WIDE_REFERENCES=1)

install(FILES ${TRIMALLOC_ENGINE}/libtrimalloc.so ${TRIMALLOC_ENGINE}/libtrimalloc_heap.so
    ${TRIMALLOC_ENGINE}/libtrimalloc_heap64.so
  DESTINATION trimalloc/lib)
install(FILES ${TRIMALLOC_ENGINE}/cpu/libtrimalloc.so DESTINATION trimalloc/lib/cpu)
