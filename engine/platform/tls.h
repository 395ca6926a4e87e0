// How thread-local state is reached. The preloaded library is there at program start and may use
// the static block: one load from the thread pointer. The importable one may be loaded late, when
// the static block is full ("cannot allocate memory in static TLS block"), and uses the dynamic
// model.
#pragma once

#ifdef TRIMALLOC_PRELOAD
#define TRI_TLS_MODEL [[gnu::tls_model("initial-exec")]]
#else
#define TRI_TLS_MODEL [[gnu::tls_model("global-dynamic")]]
#endif
