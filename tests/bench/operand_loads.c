// Rule F9 in a contraction's own loads, by hand for AVX-512: y[n][b] = sum over k of w[n][k] f(z[k][b]), samples in panels of 16, tiles of 8 rows and
// 2 panels. Three ways to have f(z): a pass that stores it (at most what one more store in the producer's epilogue costs), a panel of it in
// scratch for all rows of 32 samples, and f at each load. Least times of interleaved runs; docs/performance.md has them.
//   gcc -O2 -march=native tests/bench/operand_loads.c -o operand_loads && ./operand_loads 64 784 504 150     (samples, k, rows, runs)
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#define MR 8
typedef __m512 V;
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e6 + t.tv_nsec * 1e-3; }
static inline V relu(V x) { return _mm512_max_ps(x, _mm512_setzero_ps()); }
static inline V expv(V x) {
  x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-87)), _mm512_set1_ps(88));
  V j = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.442695f)), 0), r = _mm512_fmadd_ps(j, _mm512_set1_ps(-0.69314718f), x);
  V p = _mm512_set1_ps(1.3931e-3f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3689e-3f)); p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.16665e-2f)); p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.666651e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f)); p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), p, r); p = _mm512_add_ps(p, _mm512_set1_ps(1));
  return _mm512_scalef_ps(p, j);
}
// gelu by its tanh form: some 20 instructions, as the polynomial of erf has.
static inline V gelu(V x) {
  V u = _mm512_mul_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.5957691f)), _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(0.044715f), _mm512_set1_ps(1)));
  return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1), expv(_mm512_sub_ps(_mm512_setzero_ps(), u))));
}
#define BODY(LOAD)                                                                                       \
  V acc[MR][2];                                                                                          \
  for (int r = 0; r < MR; ++r) acc[r][0] = acc[r][1] = _mm512_setzero_ps();                              \
  for (long i = 0; i < k; ++i) {                                                                         \
    V a = LOAD(p0 + i * 16), b = LOAD(p1 + i * 16);                                                      \
    _Pragma("GCC unroll 8") for (int r = 0; r < MR; ++r) {                                               \
      V s = _mm512_set1_ps(w[r * k + i]);                                                                \
      acc[r][0] = _mm512_fmadd_ps(s, a, acc[r][0]); acc[r][1] = _mm512_fmadd_ps(s, b, acc[r][1]);        \
    }                                                                                                    \
  }                                                                                                      \
  for (int r = 0; r < MR; ++r) _mm512_store_ps(y0 + r * 16, acc[r][0]), _mm512_store_ps(y1 + r * 16, acc[r][1]);
#define PLAIN(p) _mm512_load_ps(p)
static __attribute__((noinline)) void tile(const float* w, const float* p0, const float* p1, float* y0, float* y1, long k) { BODY(PLAIN) }
#define RELU(p) relu(_mm512_load_ps(p))
static __attribute__((noinline)) void tile_relu(const float* w, const float* p0, const float* p1, float* y0, float* y1, long k) { BODY(RELU) }
#define GELU(p) gelu(_mm512_load_ps(p))
static __attribute__((noinline)) void tile_gelu(const float* w, const float* p0, const float* p1, float* y0, float* y1, long k) { BODY(GELU) }
static long B, K, N;
static float *w, *z, *h, *y, *panel;
static void all(const float* x, void (*t)(const float*, const float*, const float*, float*, float*, long)) {
  for (long b = 0; b < B / 16; b += 2)
    for (long n = 0; n < N; n += MR) t(w + n * K, x + b * K * 16, x + (b + 1) * K * 16, y + b * N * 16 + n * 16, y + (b + 1) * N * 16 + n * 16, K);
}
#define STORE(G) for (long i = 0; i < B * K; i += 16) _mm512_store_ps(h + i, ((G) ? gelu(_mm512_load_ps(z + i)) : relu(_mm512_load_ps(z + i))))
#define PACK(G)                                                                                           \
  for (long b = 0; b < B / 16; b += 2) {                                                                  \
    for (long i = 0; i < 2 * K * 16; i += 16) _mm512_store_ps(panel + i, ((G) ? gelu(_mm512_load_ps(z + b * K * 16 + i)) : relu(_mm512_load_ps(z + b * K * 16 + i)))); \
    for (long n = 0; n < N; n += MR) tile(w + n * K, panel, panel + K * 16, y + b * N * 16 + n * 16, y + (b + 1) * N * 16 + n * 16, K); \
  }
static void run(int v) {
  switch (v) {
  case 0: all(h, tile); break;
  case 1: STORE(0); break;
  case 2: PACK(0); break;
  case 3: all(z, tile_relu); break;
  case 4: STORE(1); break;
  case 5: PACK(1); break;
  case 6: all(z, tile_gelu); break;
  }
}
int main(int argc, char** argv) {
  if (argc != 5) return fprintf(stderr, "usage: operand_loads SAMPLES K ROWS RUNS\n"), 2;
  B = atol(argv[1]), K = atol(argv[2]), N = atol(argv[3]);
  int rounds = atoi(argv[4]);
  w = aligned_alloc(64, N * K * 4), z = aligned_alloc(64, B * K * 4), h = aligned_alloc(64, B * K * 4), y = aligned_alloc(64, B * N * 4), panel = aligned_alloc(64, 2 * K * 64);
  for (long i = 0; i < N * K; ++i) w[i] = (float)(i % 17) / 17;
  for (long i = 0; i < B * K; ++i) z[i] = h[i] = (float)(i % 13) / 13 - 0.5f;
  double best[7];
  for (int v = 0; v < 7; ++v) best[v] = 1e30;
  for (int r = 0; r < rounds; ++r)
    for (int v = 0; v < 7; ++v) {
      double t = now();
      run(v);
      t = now() - t;
      if (t < best[v]) best[v] = t;
    }
  printf("B %ld K %ld N %ld: contraction %.0f us (%.0f GFLOP/s); relu: pass %.1f, on a panel %.0f, at each load %.0f; gelu: pass %.1f, on a panel %.0f, at each load %.0f\n", B, K, N, best[0],
         2e-3 * B * K * N / best[0], best[1], best[2], best[3], best[4], best[5], best[6]);
}
