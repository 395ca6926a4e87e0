// Where a value lives between two instructions, for the dozen instructions where it matters.
// Nothing is computed here; the empty assembly only keeps the compiler from folding an address into
// each of its uses, or from choosing a register that costs a move later.
//
// Why the fast paths want the address of a stack's top in a register of its own: Golden Cove and
// later cores forward a store to the next load without delay when both name the address in the same
// simple way (base register, no index). malloc and free each load the top that the other has just
// stored, so a pair costs 2.0 ns instead of 4.1 (bench: python -m bench run --suite micro
// --programs 'pair*').
#pragma once

namespace tri::platform {

// Two registers, neither of them that of a function's result, which the object wants.
#if defined(__x86_64__)
#define TRI_FIRST "+d"
#define TRI_SECOND "+c"
#else
#define TRI_FIRST "+r"
#define TRI_SECOND "+r"
#endif

template <typename T>
[[gnu::always_inline]] inline void hold_first(T& value) {
  asm("" : TRI_FIRST(value));
}
template <typename T>
[[gnu::always_inline]] inline void hold_second(T& value) {
  asm("" : TRI_SECOND(value));
}

#undef TRI_FIRST
#undef TRI_SECOND

}  // namespace tri::platform
