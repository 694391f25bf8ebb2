// Batch normalisation in training mode, the residual's addition and ReLU in one, in float32:
//     out = max(0, gamma (x - mean) / sqrt(variance + eps) + beta + residual).
// Tensors are rows x channels in memory (channels last); channels are a multiple of 8.
//
// The maps of a CIFAR net's first stage are larger than the cache, so what counts is how often
// memory is read. Separate operations read or write it 10 times forward and 13 times backward
// (with a residual), these 5 and 8 times.
//
// Sums run in an order that depends on the shapes and the number of threads alone.

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>
#include <vector>

namespace {

typedef float Vec __attribute__((vector_size(32)));
typedef float Unaligned __attribute__((vector_size(32), aligned(4)));

constexpr int64_t LANES = 8;
constexpr int64_t BLOCK = 4096;  // floats of a block: half a first-level cache

inline Vec load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
inline void store(float* to, Vec v) { *reinterpret_cast<Unaligned*>(to) = v; }
inline Vec positive(Vec v) { return v > 0.0f ? v : Vec{}; }

// The rows of thread `mine` of `threads`.
struct Part {
  int64_t first, last;
  Part(int64_t rows, int threads, int mine)
      : first(rows * mine / threads), last(rows * (mine + 1) / threads) {}
};

struct Affine {  // normalisation as scale * x + shift
  std::vector<float> scale, shift;
  Affine(const float* gamma, const float* beta, const float* mean, const float* variance,
         double eps, int64_t channels)
      : scale(channels), shift(channels) {
    for (int64_t c = 0; c < channels; ++c) {
      scale[c] = static_cast<float>(gamma[c] / std::sqrt(variance[c] + eps));
      shift[c] = beta[c] - mean[c] * scale[c];
    }
  }
};

// Makes of zeros the mean and the sum of squared distances from it of a part's rows, block by
// block (Chan, Golub and LeVeque's update): nothing is lost where the mean is far from zero.
void add_moments(const float* x, int64_t channels, Part part, double* mean, double* square) {
  const int64_t step = std::max<int64_t>(1, BLOCK / channels);
  for (int64_t first = part.first; first < part.last; first += step) {
    const int64_t last = std::min(part.last, first + step);
    const float count = static_cast<float>(last - first);
    const double before = static_cast<double>(first - part.first);
    for (int64_t c = 0; c < channels; c += LANES) {
      Vec sum{}, squares{};
      for (int64_t r = first; r < last; ++r) sum += load(x + r * channels + c);
      const Vec centre = sum / count;
      for (int64_t r = first; r < last; ++r) {
        const Vec away = load(x + r * channels + c) - centre;
        squares += away * away;
      }
      for (int i = 0; i < LANES; ++i) {
        const double delta = centre[i] - mean[c + i], total = before + count;
        mean[c + i] += delta * count / total;
        square[c + i] += squares[i] + delta * delta * before * count / total;
      }
    }
  }
}

}  // namespace

// Writes out (rows, channels) and the batch's mean and (biased) variance (channels).
// `residual` may be null. Returns 0, or 1 if there is not enough memory.
extern "C" int batch_norm_relu(const float* x, const float* residual, const float* gamma,
                               const float* beta, float* out, float* mean, float* variance,
                               int64_t rows, int64_t channels, double eps, int threads) try {
  std::vector<double> means(threads * channels), squares(threads * channels);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int t = 0; t < threads; ++t)
    add_moments(x, channels, Part(rows, threads, t), &means[t * channels], &squares[t * channels]);
  for (int64_t c = 0; c < channels; ++c) {
    double whole = means[c], square = squares[c];
    double before = static_cast<double>(Part(rows, threads, 0).last);
    for (int t = 1; t < threads; ++t) {
      const Part part(rows, threads, t);
      const double count = static_cast<double>(part.last - part.first);
      if (count == 0) continue;
      const double delta = means[t * channels + c] - whole, total = before + count;
      whole += delta * count / total;
      square += squares[t * channels + c] + delta * delta * before * count / total;
      before = total;
    }
    mean[c] = static_cast<float>(whole);
    variance[c] = static_cast<float>(square / static_cast<double>(rows));
  }
  const Affine a(gamma, beta, mean, variance, eps, channels);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int t = 0; t < threads; ++t) {
    const Part part(rows, threads, t);
    for (int64_t r = part.first; r < part.last; ++r)
      for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t at = r * channels + c;
        Vec y = load(&a.scale[c]) * load(x + at) + load(&a.shift[c]);
        if (residual != nullptr) y += load(residual + at);
        store(out + at, positive(y));
      }
  }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// Writes dx and, unless null, dresidual (rows, channels), and dgamma and dbeta (channels).
// `out` tells where ReLU let the signal through; null stands for a forward pass without
// residual, where x tells. Returns 0, or 1 if there is not enough memory.
extern "C" int batch_norm_relu_gradient(const float* dout, const float* x, const float* out,
                                        const float* gamma, const float* beta, const float* mean,
                                        const float* variance, float* dx, float* dresidual,
                                        float* dgamma, float* dbeta, int64_t rows,
                                        int64_t channels, double eps, int threads) try {
  const Affine a(gamma, beta, mean, variance, eps, channels);
  const auto passed = [&](int64_t at, int64_t c, Vec value) {
    const Vec y = out != nullptr ? load(out + at)
                                 : load(&a.scale[c]) * value + load(&a.shift[c]);
    return y > 0.0f ? load(dout + at) : Vec{};
  };
  // Per thread and channel: the sums of the gradient g after ReLU, and of g (x - mean).
  std::vector<double> sums(2 * threads * channels);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int t = 0; t < threads; ++t) {
    const Part part(rows, threads, t);
    const int64_t step = std::max<int64_t>(1, BLOCK / channels);
    double* mine = &sums[2 * t * channels];
    for (int64_t first = part.first; first < part.last; first += step) {
      const int64_t last = std::min(part.last, first + step);
      for (int64_t c = 0; c < channels; c += LANES) {
        Vec plain{}, weighted{};
        const Vec centre = load(mean + c);
        for (int64_t r = first; r < last; ++r) {
          const Vec value = load(x + r * channels + c);
          const Vec g = passed(r * channels + c, c, value);
          plain += g;
          weighted += g * (value - centre);
        }
        for (int i = 0; i < LANES; ++i) {
          mine[c + i] += plain[i];
          mine[channels + c + i] += weighted[i];
        }
      }
    }
  }
  // dx = scale (g - sum(g) / rows - (x - mean) sum(g (x - mean)) / (rows (variance + eps)))
  std::vector<float> slope(channels), level(channels);
  for (int64_t c = 0; c < channels; ++c) {
    double plain = 0, weighted = 0;
    for (int t = 0; t < threads; ++t) {
      plain += sums[2 * t * channels + c];
      weighted += sums[(2 * t + 1) * channels + c];
    }
    const double power = variance[c] + eps;
    dbeta[c] = static_cast<float>(plain);
    dgamma[c] = static_cast<float>(weighted / std::sqrt(power));
    slope[c] = static_cast<float>(weighted / (power * static_cast<double>(rows)));
    level[c] = static_cast<float>(plain / static_cast<double>(rows));
  }
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int t = 0; t < threads; ++t) {
    const Part part(rows, threads, t);
    for (int64_t r = part.first; r < part.last; ++r)
      for (int64_t c = 0; c < channels; c += LANES) {
        const int64_t at = r * channels + c;
        const Vec value = load(x + at), g = passed(at, c, value);
        const Vec away = value - load(mean + c);
        store(dx + at, load(&a.scale[c]) * (g - load(&level[c]) - away * load(&slope[c])));
        if (dresidual != nullptr) store(dresidual + at, g);
      }
  }
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}
