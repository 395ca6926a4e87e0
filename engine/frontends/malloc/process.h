// The engine and the process it lives in: start, end of threads, fork, pressure.
#pragma once

namespace tri {

// The calling thread has a cache now: empty it when the thread ends.
void watch_thread_end();

// Puts g_settings.limit and soft_limit into force.
void apply_limits();

void set_pressure_hook(void (*hook)(void* context), void* context);
void call_pressure_hook();

// Makes the key whose destructor watch_thread_end relies on. False when the process has none left.
bool can_watch_threads();

// Registers the fork handlers. Once, when the engine starts.
void watch_forks();

// Starts the engine and learns about libc; once, from a constructor.
void settle_in();

}  // namespace tri
