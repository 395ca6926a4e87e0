// The table of functions that include/trimalloc/trimalloc.h describes.
#include <cerrno>
#include <cstring>

#include "engine/base/bits.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/process.h"
#include "engine/frontends/malloc/settings.h"
#include "engine/frontends/pools/c_interface.h"
#include "engine/frontends/pymalloc_arenas/hooks.h"
#include "engine/observe/snapshot.h"
#include "include/trimalloc/trimalloc.h"

namespace tri {
namespace {

void* api_allocate(size_t bytes) { return allocate(bytes); }
void* api_allocate_zeroed(size_t count, size_t bytes) { return allocate_zeroed(count, bytes); }
void* api_allocate_aligned(size_t alignment, size_t bytes) {
  if (!is_power_of_two(alignment)) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_aligned(alignment, bytes);
}
void* api_reallocate(void* block, size_t bytes) { return reallocate(block, bytes); }
void api_deallocate(void* block) { deallocate(block); }
int api_owns(const void* block) { return g_tiers.arena.contains(block) ? 1 : 0; }

int api_stats(trimalloc_stats* out) {
  if (out->struct_size != sizeof(trimalloc_stats) || !ensure_started()) return -1;
  take_snapshot(g_tiers, out);
  return 0;
}

int api_set_limit(size_t hard_bytes, size_t soft_bytes) {
  if (hard_bytes != 0 && soft_bytes > hard_bytes) return EINVAL;
  g_settings.limit.store(hard_bytes);
  g_settings.soft_limit.store(soft_bytes);
  apply_limits();
  return 0;
}

int api_set_setting(const char* name, const char* text) {
  const int result = store_setting(name, text);
  if (result != 0) return result;
  g_tiers.caches.set_budget(g_settings.thread_cache_max);
  apply_limits();
  return 0;
}

#ifdef TRIMALLOC_PRELOAD
constexpr int kPreloaded = 1;
#else
constexpr int kPreloaded = 0;
#endif

int api_is_preloaded() { return kPreloaded; }
const char* api_mode() { return kPreloaded != 0 ? hooked_mode() : "library"; }

int api_verify() {
  if (ensure_started()) g_tiers.caches.verify();
  return 0;
}

constexpr trimalloc_api kApi = {
    .abi_version = TRIMALLOC_ABI_VERSION,
    .struct_size = sizeof(trimalloc_api),
    .allocate = api_allocate,
    .allocate_zeroed = api_allocate_zeroed,
    .allocate_aligned = api_allocate_aligned,
    .reallocate = api_reallocate,
    .deallocate = api_deallocate,
    .usable_bytes = usable_bytes,
    .owns = api_owns,
    .release = release_everything,
    .stats = api_stats,
    .stats_of = take_snapshot_of,
    .set_limit = api_set_limit,
    .set_pressure_hook = set_pressure_hook,
    .get_setting = get_setting,
    .set_setting = api_set_setting,
    .setting_name = setting_name,
    .setting_help = setting_help,
    .is_preloaded = api_is_preloaded,
    .mode = api_mode,
    .verify = api_verify,
    .pool_create = pools::api_create,
    .pool_destroy = pools::api_destroy,
    .pool_take = pools::api_take,
    .pool_take_within = pools::api_take_within,
    .pool_give = pools::api_give,
    .pool_trim = pools::api_trim,
    .pool_read_stats = pools::api_read_stats,
};

}  // namespace
}  // namespace tri

#ifdef TRIMALLOC_PRELOAD
extern "C" [[gnu::visibility("default")]] const trimalloc_api* trimalloc_get_api() {
  return &tri::kApi;
}
#else
extern "C" const trimalloc_api* trimalloc_library_api() {
  // No constructor: importing the extension costs nothing until it is used.
  static constinit std::atomic<bool> settled{false};
  if (!settled.exchange(true)) {
    tri::read_settings_from_environment(true);
    tri::settle_in();
  }
  return &tri::kApi;
}
#endif
