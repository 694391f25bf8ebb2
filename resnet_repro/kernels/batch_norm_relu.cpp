// Batch normalisation in training mode, the residual's addition and ReLU in one:
//     out = max(0, gamma (x - mean) / sqrt(variance + eps) + beta + residual),
// over consecutive chunks of the batch, each with a mean and a variance of its own.
// Tensors are chunks x rows x channels in memory (channels last), float32 or bfloat16; channels
// are a multiple of 8. All arithmetic is float32, and double from block to block.
//
// The maps of a CIFAR net's first stage are larger than the cache, so what counts is how often
// memory is read. A chunk's second pass goes through it backwards: what the first has read last
// is still in the cache.
//
// Sums run in an order that depends on the shapes and the number of threads alone.

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>
#include <vector>

#include "vectors.h"

namespace {

// Elements of a block, which stays in the first-level cache while its channels are gone through.
constexpr int64_t BLOCK = 4096;
// Independent sums at a time, of several channels or rows: one alone would wait for its last
// addition.
constexpr int SUMS = 4;

// WIDTH vectors of LANES channels, side by side in a row: the wider, the fewer jumps in memory.
// `load` and `store` are for tensors of `Element`.
template <typename Element, int LANES, int WIDTH>
struct Tile {
  using In = Vector<LANES>;
  using Float = typename In::Float;
  static constexpr int CHANNELS = LANES * WIDTH;
  static constexpr int UNROLL = SUMS / WIDTH;  // rows at a time

  Float v[WIDTH] = {};

  template <typename Get>
  static Tile of(Get get) {
    Tile tile;
    for (int i = 0; i < WIDTH; ++i) tile.v[i] = get(i);
    return tile;
  }
  static Tile floats(const float* from) {
    return of([=](int i) { return In::load(from + LANES * i); });
  }
  void put(float* to) const {
    for (int i = 0; i < WIDTH; ++i) In::store(to + LANES * i, v[i]);
  }
  static Tile load(const void* tensor, int64_t at) {
    const Element* from = static_cast<const Element*>(tensor) + at;
    return of([=](int i) { return In::load(from + LANES * i); });
  }
  void store(void* tensor, int64_t at) const {
    for (int i = 0; i < WIDTH; ++i) In::store(static_cast<Element*>(tensor) + at + LANES * i, v[i]);
  }
  // The tile where `y` is positive or NaN, else 0: ReLU, and its gradient, that hide no NaN.
  Tile where_positive(const Tile& y) const {
    return of([&](int i) { return y.v[i] <= 0.0f ? Float{} : v[i]; });
  }
  Tile operator+(const Tile& b) const { return of([&](int i) { return v[i] + b.v[i]; }); }
  Tile operator-(const Tile& b) const { return of([&](int i) { return v[i] - b.v[i]; }); }
  Tile operator*(const Tile& b) const { return of([&](int i) { return v[i] * b.v[i]; }); }
};

// The rows of thread `mine` of `threads`.
struct Part {
  int64_t first, last;
  Part(int64_t rows, int threads, int mine)
      : first(rows * mine / threads), last(rows * (mine + 1) / threads) {}

  // Visits the channels of a tile in a block of rows, for all tiles and blocks.
  template <typename Tile, typename Visit>
  void visit_blocks(int64_t channels, bool backwards, Visit visit) const {
    const int64_t step = std::max<int64_t>(1, BLOCK / channels);
    const int64_t blocks = (last - first + step - 1) / step;
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t from = first + step * (backwards ? blocks - 1 - b : b);
      for (int64_t c = 0; c < channels; c += Tile::CHANNELS)
        visit(from, std::min(last, from + step), c);
    }
  }
};

// `add` adds a row to two sums. Every UNROLL-th row has sums of its own; these are added up, and
// `take` gets the totals of each channel.
template <typename Tile, typename Add, typename Take>
inline void add_rows(int64_t first, int64_t last, Add add, Take take) {
  Tile sums[Tile::UNROLL], others[Tile::UNROLL];
  int64_t r = first;
  for (; r + Tile::UNROLL <= last; r += Tile::UNROLL)
    for (int u = 0; u < Tile::UNROLL; ++u) add(r + u, sums[u], others[u]);
  for (; r < last; ++r) add(r, sums[0], others[0]);
  for (int u = 1; u < Tile::UNROLL; ++u) {
    sums[0] = sums[0] + sums[u];
    others[0] = others[0] + others[u];
  }
  float totals[2][Tile::CHANNELS];
  sums[0].put(totals[0]);
  others[0].put(totals[1]);
  for (int i = 0; i < Tile::CHANNELS; ++i) take(i, totals[0][i], totals[1][i]);
}

// Adds `count` rows of one channel, of which mean and sum of squared distances from it are given,
// to `before` others (Chan, Golub and LeVeque's update).
inline void merge(double& mean, double& square, int64_t before, int64_t count, double new_mean,
                  double new_square) {
  const double others = static_cast<double>(before);
  const double share = static_cast<double>(count) / static_cast<double>(before + count);
  const double delta = new_mean - mean;
  mean += delta * share;
  square += new_square + delta * delta * others * share;
}

// Makes of zeros the mean, and the sum of squared distances from it, of a part's rows. Each
// block's distances are taken from the mean so far, the first's from its own: if a block's mean
// is far from that, then so is the part's variance large, and either way nothing is lost where
// the mean is far from zero.
template <typename Tile>
void add_moments(const void* x, int64_t start, int64_t channels, const Part& part, double* mean,
                 double* square) {
  part.visit_blocks<Tile>(channels, false, [&](int64_t first, int64_t last, int64_t c) {
    const double count = static_cast<double>(last - first);
    float pivot[Tile::CHANNELS];
    std::copy_n(mean + c, Tile::CHANNELS, pivot);
    const auto distances = [&](auto take) {
      const Tile origin = Tile::floats(pivot);
      add_rows<Tile>(
          first, last,
          [&](int64_t r, Tile& sum, Tile& squares) {
            const Tile away = Tile::load(x, start + r * channels + c) - origin;
            sum = sum + away;
            squares = squares + away * away;
          },
          take);
    };
    if (first == part.first)
      distances([&](int i, float sum, float) { pivot[i] = static_cast<float>(sum / count); });
    distances([&](int i, float sum, float squares) {
      const double away = sum / count;
      merge(mean[c + i], square[c + i], first - part.first, last - first, pivot[i] + away,
            squares - away * away * count);
    });
  });
}

// Two passes over each chunk by `threads` threads that share its rows. `first` leaves two doubles
// per channel in `own`; when all have, every thread makes what `second` needs of `all` for
// itself, in `scratch` (4 floats per channel).
template <typename First, typename Second>
void over_chunks(int64_t chunks, int64_t rows, int64_t channels, int threads, First first,
                 Second second) {
  std::vector<double> sums(2 * channels * threads * chunks);
  std::vector<float> floats(4 * channels * threads);
#pragma omp parallel num_threads(threads)
  {
    const int there = omp_get_num_threads(), mine = omp_get_thread_num();
    const Part part(rows, there, mine);
    float* scratch = &floats[4 * channels * mine];
    for (int64_t k = 0; k < chunks; ++k) {
      double* all = &sums[2 * channels * there * k];
      first(k, part, all + 2 * channels * mine, scratch);
#pragma omp barrier
      second(k, part, all, there, scratch, mine == 0);
    }
  }
}

// Normalisation as scale * x + shift.
void make_affine(int64_t channels, double eps, const float* gamma, const float* beta,
                 const float* mean, const float* variance, float* scale) {
  float* shift = scale + channels;
  for (int64_t c = 0; c < channels; ++c) {
    scale[c] = static_cast<float>(gamma[c] / std::sqrt(variance[c] + eps));
    shift[c] = beta[c] - mean[c] * scale[c];
  }
}

// Calls `kernel` with a tile of the type to compute with.
template <typename Element, typename Kernel>
void with_tile(int64_t channels, Kernel kernel) {
#ifdef __AVX512F__
  if (channels % 64 == 0) return kernel(Tile<Element, 16, 4>());
  if (channels % 32 == 0) return kernel(Tile<Element, 16, 2>());
  if (channels % 16 == 0) return kernel(Tile<Element, 16, 1>());
#else
  if (channels % 16 == 0) return kernel(Tile<Element, 8, 2>());
#endif
  kernel(Tile<Element, 8, 1>());
}

template <typename Kernel>
int run(bool bf16, int64_t channels, Kernel kernel) try {
  bf16 ? with_tile<BFloat16>(channels, kernel) : with_tile<float>(channels, kernel);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // namespace

// Writes out (chunks, rows, channels) and the chunks' means and (biased) variances (chunks,
// channels). `residual` may be null. x, residual and out are bfloat16 if `bf16`, else float32.
// Returns 0, or 1 if there is not enough memory.
extern "C" int batch_norm_relu(const void* x, const void* residual, const float* gamma,
                               const float* beta, void* out, float* means, float* variances,
                               int64_t chunks, int64_t rows, int64_t channels, int64_t bf16,
                               double eps, int threads) {
  return run(bf16, channels, [&](auto tile) {
    using Tile = decltype(tile);
    const auto measure = [&](int64_t k, const Part& part, double* own, float*) {
      add_moments<Tile>(x, k * rows * channels, channels, part, own, own + channels);
    };
    const auto normalise = [&](int64_t k, const Part& part, const double* all, int there,
                               float* scale, bool writes) {
      float *shift = scale + channels, *mean = shift + channels, *variance = mean + channels;
      for (int64_t c = 0; c < channels; ++c) {
        double whole = 0, square = 0;
        for (int t = 0; t < there; ++t) {
          const Part other(rows, there, t);
          const double* theirs = all + 2 * channels * t + c;
          if (other.first < other.last)
            merge(whole, square, other.first, other.last - other.first, theirs[0],
                  theirs[channels]);
        }
        mean[c] = static_cast<float>(whole);
        variance[c] = static_cast<float>(square < 0 ? 0 : square / static_cast<double>(rows));
      }
      if (writes) {
        std::copy_n(mean, channels, means + k * channels);
        std::copy_n(variance, channels, variances + k * channels);
      }
      make_affine(channels, eps, gamma, beta, mean, variance, scale);
      part.visit_blocks<Tile>(channels, true, [&](int64_t first, int64_t last, int64_t c) {
        const Tile a = Tile::floats(scale + c), b = Tile::floats(shift + c);
        for (int64_t r = first; r < last; ++r) {
          const int64_t at = (k * rows + r) * channels + c;
          Tile y = a * Tile::load(x, at) + b;
          if (residual != nullptr) y = y + Tile::load(residual, at);
          y.where_positive(y).store(out, at);
        }
      });
    };
    over_chunks(chunks, rows, channels, threads, measure, normalise);
  });
}

// Writes dx and dresidual (chunks, rows, channels), and dgamma and dbeta (channels), summed over
// the chunks. `out` tells where ReLU let the signal through; out and dresidual are null for a
// forward pass without residual, where x tells. Returns 0, or 1 if there is not enough memory.
extern "C" int batch_norm_relu_gradient(const void* dout, const void* x, const void* out,
                                        const float* gamma, const float* beta, const float* means,
                                        const float* variances, void* dx, void* dresidual,
                                        float* dgamma, float* dbeta, int64_t chunks, int64_t rows,
                                        int64_t channels, int64_t bf16, double eps, int threads) {
  return run(bf16, channels, [&](auto tile) {
    using Tile = decltype(tile);
    std::vector<double> weights(2 * channels);
    // The sums of the gradient g after ReLU, and of g (x - mean).
    const auto add_up = [&](int64_t k, const Part& part, double* own, float* scale) {
      const float *mean = means + k * channels, *shift = scale + channels;
      make_affine(channels, eps, gamma, beta, mean, variances + k * channels, scale);
      part.visit_blocks<Tile>(channels, false, [&](int64_t first, int64_t last, int64_t c) {
        const Tile a = Tile::floats(scale + c), b = Tile::floats(shift + c);
        const Tile centre = Tile::floats(mean + c);
        add_rows<Tile>(
            first, last,
            [&](int64_t r, Tile& plain, Tile& weighted) {
              const int64_t at = (k * rows + r) * channels + c;
              const Tile value = Tile::load(x, at);
              const Tile y = out != nullptr ? Tile::load(out, at) : a * value + b;
              const Tile g = Tile::load(dout, at).where_positive(y);
              if (out != nullptr) g.store(dresidual, at);
              plain = plain + g;
              weighted = weighted + g * (value - centre);
            },
            [&](int i, float plain, float weighted) {
              own[c + i] += plain;
              own[channels + c + i] += weighted;
            });
      });
    };
    // dx = scale (g - sum(g) / rows - (x - mean) sum(g (x - mean)) / (rows (variance + eps)))
    const auto differentiate = [&](int64_t k, const Part& part, const double* all, int there,
                                   float* scale, bool writes) {
      const float* mean = means + k * channels;
      float *shift = scale + channels, *slope = shift + channels, *level = slope + channels;
      for (int64_t c = 0; c < channels; ++c) {
        double plain = 0, weighted = 0;
        for (int t = 0; t < there; ++t) {
          plain += all[2 * channels * t + c];
          weighted += all[2 * channels * t + channels + c];
        }
        const double power = variances[k * channels + c] + eps, count = static_cast<double>(rows);
        slope[c] = static_cast<float>(weighted / (power * count));
        level[c] = static_cast<float>(plain / count);
        if (writes) {
          weights[c] += weighted / std::sqrt(power);
          weights[channels + c] += plain;
        }
      }
      part.visit_blocks<Tile>(channels, true, [&](int64_t first, int64_t last, int64_t c) {
        const Tile a = Tile::floats(scale + c), b = Tile::floats(shift + c);
        const Tile centre = Tile::floats(mean + c);
        const Tile steep = Tile::floats(slope + c), high = Tile::floats(level + c);
        for (int64_t r = first; r < last; ++r) {
          const int64_t at = (k * rows + r) * channels + c;
          const Tile value = Tile::load(x, at);
          const Tile g = out != nullptr ? Tile::load(dresidual, at)
                                        : Tile::load(dout, at).where_positive(a * value + b);
          (a * (g - high - (value - centre) * steep)).store(dx, at);
        }
      });
    };
    over_chunks(chunks, rows, channels, threads, add_up, differentiate);
    std::copy_n(weights.begin(), channels, dgamma);
    std::copy_n(weights.begin() + channels, channels, dbeta);
  });
}
