// operator new and delete in every variant that C++17 has.
#include <malloc.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "cases.h"

namespace {

constexpr std::size_t impossible = static_cast<std::size_t>(1) << 55;

struct alignas(256) Aligned {
  char bytes[512];
};

bool aligned_to(const void* p, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

int handler_calls;

void give_up_after_three() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

void* reserve;

void free_the_reserve() {
  ++handler_calls;
  std::free(reserve);
  reserve = nullptr;
  std::set_new_handler(nullptr);
}

template <typename Allocate>
bool throws_bad_alloc(Allocate allocate) {
  try {
    OPAQUE(allocate());
  } catch (const std::bad_alloc&) {
    return true;
  }
  return false;
}

}  // namespace

CASE(plain_and_array) {
  for (std::size_t size = 0; size < 100000; size += 1 + size / 16) {
    void *p = OPAQUE(::operator new(size)), *q = OPAQUE(::operator new[](size));
    CHECK_SIZE(p && q && p != q, size);
    CHECK_SIZE(aligned_to(p, 16) && aligned_to(q, 16), size);
    CHECK_SIZE(malloc_usable_size(p) >= size, size);
    std::memset(p, 1, size);
    ::operator delete(p);
    ::operator delete[](q);
  }
}

CASE(nothrow) {
  void* p = OPAQUE(::operator new(100, std::nothrow));
  void* q = OPAQUE(::operator new[](100, std::nothrow));
  CHECK(p && q);
  ::operator delete(p, std::nothrow);
  ::operator delete[](q, std::nothrow);
}

CASE(nothrow_returns_null_when_it_cannot) {
  const auto line = std::align_val_t{64};
  CHECK(::operator new(OPAQUE(impossible), std::nothrow) == nullptr);
  CHECK(::operator new[](OPAQUE(impossible), std::nothrow) == nullptr);
  CHECK(::operator new(OPAQUE(impossible), line, std::nothrow) == nullptr);
  CHECK(::operator new[](OPAQUE(impossible), line, std::nothrow) == nullptr);
}

CASE(throwing_forms_throw_bad_alloc) {
  const auto line = std::align_val_t{64};
  CHECK(throws_bad_alloc([] { return ::operator new(impossible); }));
  CHECK(throws_bad_alloc([] { return ::operator new[](impossible); }));
  CHECK(throws_bad_alloc([=] { return ::operator new(impossible, line); }));
  CHECK(throws_bad_alloc([=] { return ::operator new[](impossible, line); }));
  CHECK(throws_bad_alloc([] { return ::operator new(SIZE_MAX); }));
}

CASE(sized) {
  for (std::size_t size = 1; size < 3000000; size *= 3) {
    ::operator delete(OPAQUE(::operator new(size)), size);
    ::operator delete[](OPAQUE(::operator new[](size)), size);
  }
}

CASE(aligned) {
  for (std::size_t alignment = 8; alignment <= 1 << 20; alignment *= 2) {
    const auto wanted = std::align_val_t{alignment};
    void *p = OPAQUE(::operator new(100, wanted)), *q = OPAQUE(::operator new[](100, wanted));
    CHECK_SIZE(aligned_to(p, alignment) && aligned_to(q, alignment), alignment);
    ::operator delete(p, wanted);
    ::operator delete[](q, wanted);
    p = OPAQUE(::operator new(5000, wanted));
    q = OPAQUE(::operator new(5000, wanted, std::nothrow));
    CHECK_SIZE(aligned_to(p, alignment) && aligned_to(q, alignment), alignment);
    ::operator delete(p, 5000, wanted);
    ::operator delete(q, wanted, std::nothrow);
    q = OPAQUE(::operator new[](5000, wanted, std::nothrow));
    CHECK_SIZE(aligned_to(q, alignment), alignment);
    ::operator delete[](q, wanted, std::nothrow);
  }
}

CASE(over_aligned_types) {
  auto* one = OPAQUE(new Aligned);
  auto* many = OPAQUE(new Aligned[7]);
  CHECK(aligned_to(one, 256) && aligned_to(many, 256));
  delete one;
  delete[] many;
}

CASE(deleting_null_does_nothing) {
  ::operator delete(OPAQUE(static_cast<void*>(nullptr)));
  ::operator delete[](nullptr);
  ::operator delete(nullptr, 8);
  ::operator delete(nullptr, std::align_val_t{64});
}

CASE(new_and_malloc_share_blocks) {
  std::free(OPAQUE(::operator new(100)));
  ::operator delete(OPAQUE(std::malloc(100)));
}

CASE(the_new_handler_is_called_until_it_gives_up) {
  std::set_new_handler(give_up_after_three);
  CHECK(throws_bad_alloc([] { return ::operator new(impossible); }));
  CHECK(handler_calls == 3);
}

CASE(the_nothrow_forms_call_the_new_handler_too) {
  std::set_new_handler(give_up_after_three);
  CHECK(::operator new(OPAQUE(impossible), std::nothrow) == nullptr);
  CHECK(handler_calls == 3);
}

CASE(a_throwing_handler_is_an_answer) {
  std::set_new_handler([] { throw std::bad_alloc(); });
  CHECK(throws_bad_alloc([] { return ::operator new(impossible); }));
  CHECK(::operator new(OPAQUE(impossible), std::nothrow) == nullptr);
}

// Run under an address-space limit that two of these blocks do not fit in.
CASE(a_handler_that_frees_lets_new_succeed) {
  constexpr std::size_t big = static_cast<std::size_t>(300) << 20;
  reserve = std::malloc(big);
  CHECK(reserve != nullptr);
  std::set_new_handler(free_the_reserve);
  void* p = OPAQUE(::operator new(big));
  CHECK(p != nullptr && handler_calls == 1);
  ::operator delete(p);
}

CASE(standard_containers) {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < 100000; i++) words.push_back(std::string(i % 200, 'x'));
  for (std::size_t i = 0; i < 100000; i++) CHECK_SIZE(words[i] == std::string(i % 200, 'x'), i);
}
