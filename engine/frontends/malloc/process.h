// The engine and the process it lives in: start, end of threads, fork, pressure.
#pragma once

namespace tri {

// The calling thread has a cache now: empty it when the thread ends.
void watch_thread_end();

// Puts g_settings.limit and soft_limit into force.
void apply_limits();

void set_pressure_hook(void (*hook)(void* context), void* context);
void call_pressure_hook();

// Registers the fork handlers and learns about libc; once, from a constructor.
void settle_in();

}  // namespace tri
