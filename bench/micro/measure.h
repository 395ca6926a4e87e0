/* What every micro program shares: a clock, repetitions, and one JSON line of results.
 *
 * A program describes one row: what one iteration does, and how many operations that is. The
 * number of iterations is found so that one repetition lasts long enough for the clock; then the
 * repetitions are timed one by one: the figure is their median ("ns"), because rows with several
 * threads have more than one mode and their best is luck; the best is printed beside it. The line
 * that is printed at the end also says, from inside the process, how much memory was resident and
 * which library `malloc` came from: the environment of a benchmark proves nothing, the process's
 * own mappings do. */
#ifndef BENCH_MICRO_MEASURE_H
#define BENCH_MICRO_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Runs the row's work `iterations` times. */
typedef void (*measure_body)(void* context, long iterations);

/* Times `body` and prints the row's line. Call it once, at the end of main. */
void measure_and_report(measure_body body, void* context, double operations_per_iteration);

/* Takes time out of the repetition that is running: what the body waited and nobody worked. */
void measure_exclude_ns(double ns);

/* Adds a figure of the program's own to the line that measure_and_report prints. */
void measure_add(const char* metric, double value);

/* Prints the line for a program that has only figures of its own, and no time per operation. */
void measure_report_only(void);

/* Nanoseconds of CLOCK_MONOTONIC. */
double measure_now_ns(void);

/* A field of /proc/self/status in KiB, such as "VmRSS:" or "VmHWM:". Allocates nothing. */
long measure_status_kib(const char* field);

void measure_sleep_ms(long milliseconds);

/* The same sequence in every run and for every allocator (xorshift64*). */
uint64_t measure_random(uint64_t* state);

/* Shuffles `count` indices, the same way each time for the same seed. */
void measure_shuffle(uint32_t* indices, size_t count, uint64_t seed);

/* Writes one byte to each 4 KiB of a block, so that memory really stands behind it. */
void measure_touch(void* block, size_t bytes);

/* malloc that ends the program with a clear word instead of returning NULL. */
void* measure_malloc(size_t bytes);

/* The decimal number in argv[index]; ends the program with `usage` where there is none. */
long measure_argument(int argc, char** argv, int index, const char* usage);

/* Ends the program with `usage` on stderr. */
_Noreturn void measure_usage(const char* usage);

#endif
