// Vectors of floats, in memory floats or bfloat16, which is a float's upper half.

#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace {

typedef uint16_t BFloat16;

template <int LANES>
struct Types;

template <>
struct Types<8> {
  typedef float Float __attribute__((vector_size(32)));
  typedef uint32_t Bits __attribute__((vector_size(32)));
  typedef __m128i Halves;
  static inline Bits widen(Halves h) { return reinterpret_cast<Bits>(_mm256_cvtepu16_epi32(h)); }
  static inline Halves narrow(Bits bits) {
    const __m256i v = reinterpret_cast<__m256i>(bits);
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi32(v, v), 0x08));
  }
};

#ifdef __AVX512F__
template <>
struct Types<16> {
  typedef float Float __attribute__((vector_size(64)));
  typedef uint32_t Bits __attribute__((vector_size(64)));
  typedef __m256i Halves;
  static inline Bits widen(Halves h) {
    return reinterpret_cast<Bits>(_mm512_maskz_cvtepu16_epi32(0xffff, h));
  }
  static inline Halves narrow(Bits bits) {
    return _mm512_maskz_cvtepi32_epi16(0xffff, reinterpret_cast<__m512i>(bits));
  }
};
#endif

template <int LANES>
struct Vector : Types<LANES> {
  using In = Types<LANES>;
  using typename In::Bits;
  using typename In::Float;

  static inline Float load(const float* from) {
    Float v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  static inline Float load(const BFloat16* from) {
    typename In::Halves halves;
    std::memcpy(&halves, from, sizeof halves);
    return reinterpret_cast<Float>(In::widen(halves) << 16);
  }
  static inline void store(float* to, Float v) { std::memcpy(to, &v, sizeof v); }
  static inline void store(BFloat16* to, Float v) {  // to nearest even; NaN stays NaN
    const Bits bits = reinterpret_cast<Bits>(v);
    const Bits rounded = bits + 0x7fff + ((bits >> 16) & 1);
    const auto halves = In::narrow((v == v ? rounded : bits | 0x400000) >> 16);
    std::memcpy(to, &halves, sizeof halves);
  }
};

}  // namespace
