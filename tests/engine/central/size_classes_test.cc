// The arithmetic of the size classes, for every size and every offset there is.
#include "engine/central/size_classes.h"

#include "engine/base/tunables.h"
#include "engine/cache/thread_cache.h"
#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

CASE(EverySizeGetsTheSmallestClassThatHoldsIt) {
  for (size_t bytes = 0; bytes <= kMaxSmallBytes; ++bytes) {
    const SizeClass size_class = class_of_size(bytes);
    CHECK_SIZE(size_class >= 1 && size_class < kSizeClasses, bytes);
    CHECK_SIZE(kClasses[size_class].object_bytes >= bytes, bytes);
    CHECK_SIZE(size_class == 1 || kClasses[size_class - 1].object_bytes < bytes ||
                   size_class - 1 == kPythonClass,
               bytes);
    CHECK_SIZE(size_class != kPythonClass, bytes);
  }
}

CASE(PythonsObjectsOfSixtyFourBytesHaveAClassForThemselves) {
  for (size_t bytes = 0; bytes <= kMaxSmallBytes; ++bytes) {
    const bool is_theirs = bytes > 48 && bytes <= 64;
    CHECK_SIZE(python_class_of_size(bytes) == (is_theirs ? kPythonClass : class_of_size(bytes)),
               bytes);
  }
  // Each has its header at the end of a cache line and its type in the next one, where the header
  // of the object behind it ends.
  const ClassGeometry& g = kClasses[kPythonClass];
  for (uint32_t i = 0; i < g.span_objects; ++i) {
    CHECK_EQ(object_offset(g, i) % 64, 48u);
    CHECK_LE(object_offset(g, i) + 64, bytes_of(g.span_pages));
  }
}

CASE(ObjectSizesRiseAndAreMultiplesOfTheGranule) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    CHECK_EQ(kClasses[i].object_bytes % 16, 0u);
    CHECK_EQ(kClasses[i].first_offset, i == kPythonClass ? kPythonOffset : 0u);
    if (i == kPythonClass) {
      CHECK_EQ(kClasses[i].object_bytes, 64u);
    } else {
      CHECK_LT(kClasses[i == kPythonClass + 1 ? i - 2 : i - 1].object_bytes,
               kClasses[i].object_bytes);
    }
  }
}

CASE(EveryPowerOfTwoIsExact) {
  for (size_t bytes = 16; bytes <= kMaxSmallBytes; bytes *= 2) {
    CHECK_EQ(kClasses[class_of_size(bytes)].object_bytes, bytes);
  }
}

CASE(RoundingUpStaysWithinItsBounds) {
  for (size_t bytes = 129; bytes <= kMaxSmallBytes; ++bytes) {
    const size_t lost = kClasses[class_of_size(bytes)].object_bytes - bytes;
    const size_t part = bytes <= 16384u ? 7 : bytes <= 32768u ? 6 : 4;
    CHECK_SIZE(lost * part <= bytes, bytes);
  }
}

void check_index_at_every(uint32_t step) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    const ClassGeometry& g = kClasses[i];
    const auto end = static_cast<uint32_t>(bytes_of(g.span_pages));
    uint32_t index = 0;
    uint32_t next = g.first_offset + g.object_bytes;
    for (uint32_t offset = 0; offset < g.first_offset; ++offset) {
      CHECK_SIZE(object_index(g, offset) >= g.span_objects, offset);
    }
    for (uint32_t offset = g.first_offset; offset < end; offset += step) {
      if (offset >= next) {
        ++index;
        next += g.object_bytes;
      }
      CHECK_SIZE(object_index(g, offset) == index, offset);
      const uint64_t quotient = uint64_t{offset - g.first_offset} * g.reciprocal;
      CHECK_SIZE(is_whole(quotient, g.reciprocal) == (object_offset(g, index) == offset), offset);
    }
  }
}

CASE(ObjectIndexIsADivisionAtEveryGranuleOfEverySpan) { check_index_at_every(16); }

CASE(ObjectIndexIsADivisionAtEveryByteOfEverySpan) { check_index_at_every(1); }

CASE(ASpanHoldsWhatItSaysAndItsTailIsShort) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    const ClassGeometry& g = kClasses[i];
    const size_t used = object_offset(g, g.span_objects);
    CHECK_LE(used, bytes_of(g.span_pages));
    CHECK_LT(bytes_of(g.span_pages) - used, g.object_bytes);
    CHECK_LE((bytes_of(g.span_pages) - used) * 28, bytes_of(g.span_pages));
  }
}

// Eight objects of up to 1 KiB, four of up to 8 KiB, two of less than 32 KiB.
uint32_t fewest_objects(uint32_t object_bytes) {
  if (object_bytes <= 1024) return 8;
  if (object_bytes <= 8192) return 4;
  return object_bytes < kSharedSpanBytes ? 2 : 1;
}

CASE(SpansHoldSeveralObjectsAndAreShort) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    const ClassGeometry& g = kClasses[i];
    CHECK_GE(g.span_objects, fewest_objects(g.object_bytes));
    CHECK(g.object_bytes >= kSharedSpanBytes || g.span_pages <= 12);
  }
}

CASE(NoShorterSpanIsCutIntoTheSameSizeAsWell) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    const ClassGeometry& g = kClasses[i];
    const auto tail = [&](uint32_t pages) { return bytes_of(pages) % g.object_bytes; };
    for (uint32_t pages = 1; pages < g.span_pages; ++pages) {
      CHECK(bytes_of(pages) / g.object_bytes < fewest_objects(g.object_bytes) ||
            tail(pages) * g.span_pages > tail(g.span_pages) * pages);
    }
  }
}

constexpr SizeClass kKibAndHeaderClass = class_of_size(1024 + 16);
constexpr SizeClass kPageAndHeaderClass = class_of_size(4368);  // sqlite's page cache

CASE(FromOneKibibyteOnObjectsAreWholeCacheLines) {
  for (unsigned i = class_of_size(1024); i < kSizeClasses; ++i) {
    const bool with_header = i == kKibAndHeaderClass || i == kPageAndHeaderClass;
    if (!with_header) CHECK_EQ(kClasses[i].object_bytes % 64, 0u);
  }
}

CASE(RoundSizesWithAHeaderFitTheirClass) {
  CHECK_EQ(kClasses[kKibAndHeaderClass].object_bytes, 1024u + 16);
  CHECK_EQ(kClasses[kPageAndHeaderClass].object_bytes, 4368u);
  for (SizeClass size_class : {kKibAndHeaderClass, kPageAndHeaderClass}) {
    const ClassGeometry& g = kClasses[size_class];
    CHECK_EQ(class_of_size(g.object_bytes), size_class);
    CHECK_LE(bytes_of(g.span_pages) - size_t{g.span_objects} * g.object_bytes, 64u);
  }
  CHECK_EQ(kClasses[class_of_size(65536 + 8)].object_bytes, 65536u + 8192);
  CHECK_EQ(kClasses[class_of_size(131072 + 8)].object_bytes, 131072u + 8192);
}

CASE(ObjectsAboveThirtyTwoKibibytesAreWholePages) {
  for (unsigned i = class_of_size(32769); i < kSizeClasses; ++i) {
    CHECK_EQ(kClasses[i].object_bytes, bytes_of(kClasses[i].span_pages));
  }
}

CASE(EveryObjectHasABitInTheBitmapOfItsSpan) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    CHECK_LE(kClasses[i].span_objects, kClasses[i].span_pages * (kPageBytes / 16));
  }
}

CASE(AFullSpansBucketIsAmongTheEight) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    const ClassGeometry& g = kClasses[i];
    CHECK_LE(g.span_objects >> g.bucket_shift, 7u);
    CHECK(g.bucket_shift == 0 || (g.span_objects >> (g.bucket_shift - 1)) > 7);
  }
}

CASE(BatchesAreWithinTheirBounds) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    CHECK_GE(kClasses[i].batch, size_class_rules::min_batch(kClasses[i].object_bytes));
    CHECK_LE(kClasses[i].batch, size_class_rules::kMaxBatch);
    CHECK(i == 1 || kClasses[i].batch <= kClasses[i - 1].batch);
    CHECK_LE(kClasses[i].batch, tunable::kBinMaxObjects);
  }
}

CASE(AnAlignmentUpToAPageFindsTheSmallestClassThatHasIt) {
  for (size_t alignment = 16; alignment <= kPageBytes; alignment *= 2) {
    for (size_t bytes = 1; bytes <= kMaxSmallBytes; bytes += bytes < 2048 ? 1 : 64) {
      const SizeClass found = aligned_class_of(alignment, bytes);
      CHECK_SIZE(kClasses[found].object_bytes >= bytes, bytes);
      CHECK_SIZE(kClasses[found].object_bytes % alignment == 0, bytes);
      for (unsigned i = class_of_size(bytes); i < found; ++i) {
        CHECK_SIZE(kClasses[i].object_bytes % alignment != 0, bytes);
      }
    }
  }
}

CASE(ACacheLineOfAlignmentCostsAQuarterAtMost) {
  for (size_t bytes = 64; bytes <= 32768u; bytes += 64) {
    const size_t object_bytes = kClasses[aligned_class_of(64, bytes)].object_bytes;
    CHECK_SIZE(object_bytes * 4 <= bytes * 5 || object_bytes == 192, bytes);
  }
}

}  // namespace
}  // namespace tri
