// 3x3 convolution, stride 1, padding 1, by Winograd's F(4x4, 3x3), and its gradients. Tensors are
// (n, h, w, channels) in memory, float32 or bfloat16 (`Element`), weights (k, 3, 3, c) float32;
// channels are multiples of 8. All arithmetic is float32.
// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), section 4.2.
//
// Four by four outputs need a tile d of six by six inputs. With the matrices B, A, G below,
//     y = A^T [ (G w G^T) * (B^T d B) ] A          (* point by point, summed over channels)
// has 36 multiplications where the definition has 144, and summing over channels makes each of
// the 36 points a matrix product. The gradient of that with respect to w is
//     dw = G^T [ sum over tiles of (B^T d B) * (A dy A^T) ] G.
// A block of tiles at a time goes through all steps, in the cache.
//
// Sums run in an order that depends on the shapes and the number of threads alone.

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "vectors.h"

namespace {

constexpr int64_t POINTS = 36;
constexpr float G[6][3] = {{1 / 4.f, 0, 0},
                           {-1 / 6.f, -1 / 6.f, -1 / 6.f},
                           {-1 / 6.f, 1 / 6.f, -1 / 6.f},
                           {1 / 24.f, 1 / 12.f, 1 / 6.f},
                           {1 / 24.f, -1 / 12.f, 1 / 6.f},
                           {0, 0, 1}};
// Floats between the points' matrices: without them the 36 rows that a tile is spread over lie
// a multiple of 4 KiB apart and evict each other from the cache.
constexpr int64_t GAP = 16;
// Tiles times channels of a block. Measured from 128 to 1024 for 16 to 64 channels on a processor
// with 512 KiB of second-level cache a core: a block's points, its pixels and the next's fit.
constexpr int64_t BLOCK = 512;

struct Shape {
  int64_t n, h, w;
  int64_t down() const { return (h + 3) / 4; }
  int64_t across() const { return (w + 3) / 4; }
  int64_t tiles() const { return n * down() * across(); }
};

struct Place {
  int64_t image, top, left;  // of the tile's outputs
};

inline Place place_of(const Shape& s, int64_t tile) {
  const int64_t per_image = s.down() * s.across(), rest = tile % per_image;
  return {tile / per_image, 4 * (rest / s.across()), 4 * (rest % s.across())};
}

float* room_for(int64_t floats) {
  const std::size_t bytes = static_cast<std::size_t>(floats) * sizeof(float);
  return static_cast<float*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
}

// Everything for vectors of so many floats.
template <int LANES, typename Element>
struct Winograd {
using In = Vector<LANES>;
using Vec = typename In::Float;

// Rows of a micro-kernel's tile of accumulators, two vectors wide: 12 of the 16 registers of
// AVX2, 24 of the 32 of AVX-512.
static constexpr int ROWS = LANES == 16 ? 12 : 6;

// The transforms in one direction. `get(i)` is the i-th value, `put(i, v)` takes the i-th result.

// B^T d, six to six.
template <typename Get, typename Put>
static inline void input_points(Get get, Put put) {
  const Vec d0 = get(0), d1 = get(1), d2 = get(2), d3 = get(3), d4 = get(4), d5 = get(5);
  const Vec a = d4 - 4.0f * d2, b = d3 - 4.0f * d1, c = d4 - d2, e = 2.0f * (d3 - d1);
  put(0, 4.0f * (d0 - d2) - (d2 - d4));
  put(1, a + b);
  put(2, a - b);
  put(3, c + e);
  put(4, c - e);
  put(5, 4.0f * (d1 - d3) - (d3 - d5));
}

// A^T m, six to four.
template <typename Get, typename Put>
static inline void output_pixels(Get get, Put put) {
  const Vec m0 = get(0), m1 = get(1), m2 = get(2), m3 = get(3), m4 = get(4), m5 = get(5);
  const Vec a = m1 + m2, b = m1 - m2, c = m3 + m4, e = m3 - m4;
  put(0, m0 + a + c);
  put(1, b + 2.0f * e);
  put(2, a + 4.0f * c);
  put(3, b + 8.0f * e + m5);
}

// A y, four to six.
template <typename Get, typename Put>
static inline void gradient_points(Get get, Put put) {
  const Vec y0 = get(0), y1 = get(1), y2 = get(2), y3 = get(3);
  const Vec a = y0 + y2, b = y1 + y3, c = y0 + 4.0f * y2, e = 2.0f * y1 + 8.0f * y3;
  put(0, y0);
  put(1, a + b);
  put(2, a - b);
  put(3, c + e);
  put(4, c - e);
  put(5, y3);
}

// The transform of a tile of SIDE by SIDE pixels: of inputs or of gradients.
template <int SIDE, typename Get, typename Put>
static inline void points_of(Get get, Put put) {
  if constexpr (SIDE == 6)
    input_points(get, put);
  else
    gradient_points(get, put);
}

// Asks memory for share `part` of POINTS of the pixels of `count` tiles from tile `first`: little
// else reads or writes memory while products are computed. A row of tiles lies in a piece, so a
// block's pixels are where they are taken to be, but for its ends. Past the maps nothing happens.
template <bool WRITE>
static inline void fetch(const void* maps, int64_t channels, int64_t first, int64_t count,
                         int64_t part) {
  constexpr int64_t LINE = 64 / sizeof(Element);
  const int64_t size = 16 * channels * count;
  const Element* from = static_cast<const Element*>(maps) + 16 * channels * first;
  for (int64_t at = size * part / POINTS / LINE * LINE; at < size * (part + 1) / POINTS; at += LINE)
    __builtin_prefetch(from + at, WRITE, 2);
}

// u (36, c, k) of weights (k, 3, 3, c); `turned`, for the gradient with respect to the input, of
// these (c, 3, 3, k) with their pixels in reverse.
static void transform_weights(const float* weights, int64_t c, int64_t k, bool turned, float* u,
                              int threads) {
  const int64_t rows = turned ? c : k, across = turned ? k : c;  // as they lie in memory
#pragma omp parallel for num_threads(threads)
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < across; i += LANES) {
      Vec half[18] = {}, points[36] = {};
      for (int p = 0; p < 6; ++p)
        for (int pixel = 0; pixel < 9; ++pixel)
          half[3 * p + pixel % 3] +=
              G[p][pixel / 3] *
              In::load(weights + (9 * r + (turned ? 8 - pixel : pixel)) * across + i);
      for (int p = 0; p < 36; ++p) {
        for (int x = 0; x < 3; ++x) points[p] += G[p % 6][x] * half[p / 6 * 3 + x];
        if (turned) In::store(u + (p * rows + r) * across + i, points[p]);
        for (int lane = 0; lane < LANES && !turned; ++lane)
          u[(p * across + i + lane) * rows + r] = points[p][lane];
      }
    }
}

// dw (k, 3, 3, c) of `sums` (36, c, k).
static void gather_weights(const float* sums, int64_t c, int64_t k, float* dw, int threads) {
#pragma omp parallel for num_threads(threads)
  for (int64_t i = 0; i < c; ++i)
    for (int64_t j = 0; j < k; j += LANES) {
      Vec half[18] = {}, pixels[9] = {};
      for (int p = 0; p < 36; ++p)
        for (int y = 0; y < 3; ++y)
          half[6 * y + p % 6] += G[p / 6][y] * In::load(sums + (p * c + i) * k + j);
      for (int q = 0; q < 9; ++q) {
        for (int p = 0; p < 6; ++p) pixels[q] += G[p][q % 3] * half[q / 3 * 6 + p];
        for (int lane = 0; lane < LANES; ++lane) dw[((j + lane) * 9 + q) * c + i] = pixels[q][lane];
      }
    }
}

// Writes points[p][t][channel] of `count` tiles from tile `first`, SIDE by SIDE pixels each;
// `stride` floats a point.
template <int SIDE>
static void to_points(const void* maps, const Shape& s, int64_t channels, int64_t first,
                      int64_t count, int64_t stride, float* points) {
  constexpr int64_t EDGE = (SIDE - 4) / 2;
  for (int64_t t = 0; t < count; ++t) {
    const Place at = place_of(s, first + t);
    const int64_t top = at.top - EDGE, left = at.left - EDGE;
    const Element* corner =
        static_cast<const Element*>(maps) + ((at.image * s.h + top) * s.w + left) * channels;
    for (int64_t c = 0; c < channels; c += LANES) {
      Vec half[6 * SIDE];
      float* to = points + t * channels + c;
      for (int j = 0; j < SIDE; ++j) {
        const bool across = left + j >= 0 && left + j < s.w;
        points_of<SIDE>(
            [&](int i) {
              const bool there = across && top + i >= 0 && top + i < s.h;
              return there ? In::load(corner + (i * s.w + j) * channels + c) : Vec{};
            },
            [&](int i, Vec v) { half[SIDE * i + j] = v; });
      }
      for (int i = 0; i < 6; ++i)
        points_of<SIDE>([&](int j) { return half[SIDE * i + j]; },
                        [&](int j, Vec v) { In::store(to + (6 * i + j) * stride, v); });
    }
  }
}

static void from_points(const float* points, const Shape& s, int64_t channels, int64_t first,
                        int64_t count, int64_t stride, void* y) {
  for (int64_t t = 0; t < count; ++t) {
    const Place at = place_of(s, first + t);
    const int64_t high = std::min<int64_t>(4, s.h - at.top);
    const int64_t wide = std::min<int64_t>(4, s.w - at.left);
    Element* corner =
        static_cast<Element*>(y) + ((at.image * s.h + at.top) * s.w + at.left) * channels;
    for (int64_t c = 0; c < channels; c += LANES) {
      Vec half[24];
      const float* from = points + t * channels + c;
      for (int j = 0; j < 6; ++j)
        output_pixels([&](int i) { return In::load(from + (6 * i + j) * stride); },
                      [&](int i, Vec v) { half[6 * i + j] = v; });
      for (int i = 0; i < high; ++i)
        output_pixels([&](int j) { return half[6 * i + j]; },
                      [&](int j, Vec v) {
                        if (j < wide) In::store(corner + (i * s.w + j) * channels + c, v);
                      });
    }
  }
}

// The micro-kernel: out (R x LANES COLS) = or, if ADD, += a b over `depth`. Steps in memory: of a
// `down` and `along` the depth, of b and out `outer`. Inlined, so that it is compiled for the
// steps that a caller knows.
template <int R, int COLS, bool ADD>
static inline __attribute__((always_inline)) void product(const float* a, int64_t down,
                                                          int64_t along, const float* b,
                                                          float* out, int64_t outer,
                                                          int64_t depth) {
  Vec sum[R][COLS] = {};
  for (int r = 0; ADD && r < R; ++r)
    for (int j = 0; j < COLS; ++j) sum[r][j] = In::load(out + r * outer + LANES * j);
  for (int64_t i = 0; i < depth; ++i) {
    Vec right[COLS];
    for (int j = 0; j < COLS; ++j) right[j] = In::load(b + i * outer + LANES * j);
    for (int r = 0; r < R; ++r) {
      const float left = a[r * down + i * along];
      for (int j = 0; j < COLS; ++j) sum[r][j] += left * right[j];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < COLS; ++j) In::store(out + r * outer + LANES * j, sum[r][j]);
}

// COLS vectors of columns of m (tiles x k) = v (tiles x c) u (c x k)
template <int COLS>
static inline __attribute__((always_inline)) void columns(const float* v, const float* u, float* m,
                                                          int64_t tiles, int64_t c, int64_t k) {
  int64_t t = 0;
  for (; t + ROWS <= tiles; t += ROWS)
    product<ROWS, COLS, false>(v + t * c, c, 1, u, m + t * k, k, c);
  for (; t < tiles; ++t) product<1, COLS, false>(v + t * c, c, 1, u, m + t * k, k, c);
}

static void point_product(const float* v, const float* u, float* m, int64_t tiles, int64_t c,
                          int64_t k) {
  if (c == 16 && k == 16)  // where a product is short, its steps being known saves a third of it
    return columns<16 / LANES>(v, u, m, tiles, 16, 16);
  int64_t j = 0;
  for (; j + 2 * LANES <= k; j += 2 * LANES) columns<2>(v, u + j, m + j, tiles, c, k);
  for (; j < k; j += LANES) columns<1>(v, u + j, m + j, tiles, c, k);
}

// sums (c x k) += v^T (c x tiles) z (tiles x k)
static void point_gradient(const float* v, const float* z, float* sums, int64_t tiles, int64_t c,
                           int64_t k) {
  int64_t j = 0;
  for (; j + 2 * LANES <= k; j += 2 * LANES)
    for (int64_t i = 0; i < c; i += LANES / 2)
      product<LANES / 2, 2, true>(v + i, 1, c, z + j, sums + i * k + j, k, tiles);
  for (; j < k; j += LANES)
    for (int64_t i = 0; i < c; i += LANES)
      product<LANES, 1, true>(v + i, 1, c, z + j, sums + i * k + j, k, tiles);
}

// A multiple of the rows that `point_product` takes at a time.
static int64_t block_tiles(int64_t c, int64_t k) {
  return ROWS * (BLOCK / std::max(c, k) / ROWS + 1);
}

// y (n, h, w, k) of x (n, h, w, c). Returns 0, or 1 if there is not enough memory.
static int convolution(const void* x, const float* weights, void* y, const Shape& s, int64_t c,
                       int64_t k, bool turned, int threads) {
  const int64_t block = block_tiles(c, k), blocks = (s.tiles() + block - 1) / block;
  const int64_t in = block * c + GAP, out = block * k + GAP;
  float* u = room_for(POINTS * (c * k + threads * (in + out)));
  if (u == nullptr) return 1;
  transform_weights(weights, c, k, turned, u, threads);
#pragma omp parallel num_threads(threads)
  {
    float* v = u + POINTS * (c * k + omp_get_thread_num() * (in + out));
    float* m = v + POINTS * in;
#pragma omp for schedule(static)
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t first = b * block, count = std::min(block, s.tiles() - first);
      to_points<6>(x, s, c, first, count, in, v);
      for (int64_t p = 0; p < POINTS; ++p) {
        fetch<false>(x, c, first + count, block, p);
        fetch<true>(y, k, first, count, p);
        point_product(v + p * in, u + p * c * k, m + p * out, count, c, k);
      }
      from_points(m, s, k, first, count, out, y);
    }
  }
  std::free(u);
  return 0;
}

// dw (k, 3, 3, c) of x (n, h, w, c) and dy (n, h, w, k). Returns as `convolution`.
static int weight_gradient(const void* x, const void* dy, float* dw, const Shape& s, int64_t c,
                           int64_t k, int threads) {
  const int64_t block = block_tiles(c, k), blocks = (s.tiles() + block - 1) / block;
  const int64_t in = block * c + GAP, out = block * k + GAP, size = POINTS * c * k;
  float* sums = room_for(threads * (POINTS * (in + out) + size));
  if (sums == nullptr) return 1;
  std::memset(sums, 0, static_cast<std::size_t>(threads * size) * sizeof(float));
#pragma omp parallel num_threads(threads)
  {
    float* v = sums + threads * size + omp_get_thread_num() * POINTS * (in + out);
    float* z = v + POINTS * in;
    float* mine = sums + omp_get_thread_num() * size;
#pragma omp for schedule(static)
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t first = b * block, count = std::min(block, s.tiles() - first);
      to_points<6>(x, s, c, first, count, in, v);
      to_points<4>(dy, s, k, first, count, out, z);
      for (int64_t p = 0; p < POINTS; ++p) {
        fetch<false>(x, c, first + count, block, p);
        fetch<false>(dy, k, first + count, block, p);
        point_gradient(v + p * in, z + p * out, mine + p * c * k, count, c, k);
      }
    }
  }
  for (int t = 1; t < threads; ++t)
    for (int64_t i = 0; i < size; ++i) sums[i] += sums[t * size + i];
  gather_weights(sums, c, k, dw, threads);
  std::free(sums);
  return 0;
}
};

// Calls `kernel` for the type of the maps and the widest vectors that the channels fill.
template <typename Kernel>
int run(bool bf16, int64_t c, int64_t k, Kernel kernel) {
#ifdef __AVX512F__
  if (c % 16 == 0 && k % 16 == 0)
    return bf16 ? kernel(Winograd<16, BFloat16>()) : kernel(Winograd<16, float>());
#endif
  return bf16 ? kernel(Winograd<8, BFloat16>()) : kernel(Winograd<8, float>());
}

}  // namespace

// The functions that Python calls; what they take and return is told above.
extern "C" int winograd_convolution(const void* x, const float* weights, void* y, int64_t n,
                                    int64_t h, int64_t w, int64_t c, int64_t k, int64_t turned,
                                    int64_t bf16, int threads) {
  return run(bf16, c, k, [&](auto winograd) {
    return winograd.convolution(x, weights, y, {n, h, w}, c, k, turned, threads);
  });
}

extern "C" int winograd_weight_gradient(const void* x, const void* dy, float* dw, int64_t n,
                                        int64_t h, int64_t w, int64_t c, int64_t k, int64_t bf16,
                                        int threads) {
  return run(bf16, c, k, [&](auto winograd) {
    return winograd.weight_gradient(x, dy, dw, {n, h, w}, c, k, threads);
  });
}
