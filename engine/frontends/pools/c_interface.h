// The pools' part of the table of functions that include/trimalloc/trimalloc.h describes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "include/trimalloc/trimalloc.h"

namespace tri::pools {

trimalloc_pool* api_create(const trimalloc_pool_options* options);
void api_destroy(trimalloc_pool* pool);
void* api_take(trimalloc_pool* pool);
void* api_take_within(trimalloc_pool* pool, uint32_t ms);
void api_give(trimalloc_pool* pool, void* block);
size_t api_trim(trimalloc_pool* pool);
int api_read_stats(trimalloc_pool* pool, trimalloc_pool_stats* out);

}  // namespace tri::pools
