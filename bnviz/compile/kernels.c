// What compiled figures share: functions of one number that a compiler can put into SIMD registers,
// and the kernels that are no plain nests of loops. NaN and infinities go the way they go in PyTorch.

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

// --- one number ----------------------------------------------------------------------------------

// Errors are counted in units in the last place of the result. Each comment adds up what the roundings
// and the polynomial can do at most; behind it is the largest error among every 7th of all floats.
//
// Sums may be taken in any order, but not in here: a rest that is nearly 0, and a factor in two parts,
// are what they are only if operations come in the order in which they are written.
#define IN_ORDER _Pragma("clang fp reassociate(off)")

INLINE float bits_to_float(int32_t i) { float x; memcpy(&x, &i, 4); return x; }
INLINE int32_t float_to_bits(float x) { int32_t i; memcpy(&i, &x, 4); return i; }

// e^x = 2^n * e^r with n whole and |r| <= log(2) / 2; e^r by its series. No branch, no table, so a
// loop over it becomes SIMD.
// Error: 1/2 for the last addition, whose result is at least 0.7; each 1/4 for the sum before it, which
// is below 1/2, and for r, which is below 0.35 and takes two steps that round (n * 0.693359375 and what
// is left of it are exact); 0.1 for the smaller terms and the polynomial (2^-27). 1.2; measured 0.98.
INLINE float float_exponential(float x) {
  IN_ORDER
  float c = x < -104.0f ? -104.0f : x;
  c = c > 89.0f ? 89.0f : c;
  const float n = __builtin_floorf(c * 1.44269504f + 0.5f);
  float r = c - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // in two factors: 2^n itself may be too small or too large for a float
  const int32_t half = (int32_t)n >> 1, rest = (int32_t)n - half;
  const float y = p * bits_to_float((half + 127) << 23) * bits_to_float((rest + 127) << 23);
  return x != x ? x : y;
}

// log(x) = e * log(2) + log(m) with m in [sqrt(1/2), sqrt(2)); log(1 + z) by a polynomial.
// Error: each 1/2 for the last two additions, both below the result's next power of two; 1/2 for the
// polynomial's part, below 0.1, with the three roundings of its product, and for z / 2. The first
// summand, e * 0.693359375, is exact. 1.6; measured 0.83.
INLINE float float_logarithm(float x) {
  IN_ORDER
  const int small = x < 1.17549435e-38f;  // subnormal numbers are scaled up first
  const int32_t i = float_to_bits(small ? x * 8388608.0f : x);
  int32_t e = ((i >> 23) & 255) - 126 - (small ? 23 : 0);
  float m = bits_to_float((i & 0x007fffff) | 0x3f000000);
  const int low = m < 0.707106781f;
  e = low ? e - 1 : e;
  m = (low ? m + m : m) - 1.0f;
  const float z = m * m;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  float y = p * m * z + (float)e * -2.12194440e-4f - 0.5f * z;
  y = m + y + (float)e * 0.693359375f;
  y = x == 0.0f ? -INFINITY : y;
  y = x == INFINITY ? x : y;
  return x < 0.0f || x != x ? NAN : y;
}

// tanh(x): a polynomial near 0, where 1 - 2 / (e^2x + 1) would lose digits.
// Error: the quotient is below 0.45 and off by the 1.2 of the exponential and each 1/2 of the sum and
// the division, as shares of 2^-23; the result is above 1/2, where a unit is 2^-24: 2 * 0.45 * 2.2, and
// 1/2 for the subtraction. 2.5; measured 1.31.
INLINE float float_hyperbolic(float x) {
  IN_ORDER
  const float a = __builtin_fabsf(x), z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x;
  const float far = 1.0f - 2.0f / (float_exponential(a + a) + 1.0f);
  const float y = a < 0.625f ? near : x < 0 ? -far : far;
  return x != x ? x : y;
}

// Error: the same of the exponential and the sum, which a quotient just above a power of two makes twice
// as many units, and 1/2 for the division. 4; measured 2.44. Below 2^-126, where e^-x is infinite, it is 0.
INLINE float float_logistic(float x) { return 1.0f / (1.0f + float_exponential(-x)); }
INLINE double double_logistic(double x) { return 1.0 / (1.0 + exp(-x)); }

// The same for numbers of twice the length; those functions need not be fast. The others come from the C
// library of zig, which is musl's: powf says 0.82 units, __cosdf and __sindf 2^-34.1 before they round,
// so 0.51 (measured 0.50). Of log10f and atanf nothing is written; measured 0.83 and 0.85. A root is
// right to 1/2; 1 / root is off by another 1/2 for the division, and twice 1/2 for the root: 1.5.
#define exponential(x) _Generic((x), double: exp, default: float_exponential)(x)
#define logarithm(x) _Generic((x), double: log, default: float_logarithm)(x)
#define hyperbolic(x) _Generic((x), double: tanh, default: float_hyperbolic)(x)
#define logistic(x) _Generic((x), double: double_logistic, default: float_logistic)(x)
#define root(x) _Generic((x), double: sqrt, default: sqrtf)(x)
#define power(x, y) _Generic((x), double: pow, int64_t: whole_power, default: powf)(x, y)
#define logarithm10(x) _Generic((x), double: log10, default: log10f)(x)
#define sine(x) _Generic((x), double: sin, default: sinf)(x)
#define cosine(x) _Generic((x), double: cos, default: cosf)(x)
#define arctangent(x) _Generic((x), double: atan, default: atanf)(x)
#define down(x) _Generic((x), double: floor, float: floorf, default: whole)(x)
#define up(x) _Generic((x), double: ceil, float: ceilf, default: whole)(x)
#define nearest(x) _Generic((x), double: rint, float: rintf, default: whole)(x)
#define towards_zero(x) _Generic((x), double: trunc, float: truncf, default: whole)(x)

#define absolute(x) ((x) < 0 ? -(x) : (x) + 0)
#define greater(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#define lesser(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))
#define remains(a, b) _Generic((a), float: float_remains, double: double_remains, default: whole_remains)(a, b)
#define floored(a, b) _Generic((a), float: float_floored, double: double_floored, default: whole_floored)(a, b)

INLINE float float_remains(float a, float b) {
  const float r = fmodf(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
INLINE double double_remains(double a, double b) {
  const double r = fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
INLINE int64_t whole_remains(int64_t a, int64_t b) {
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

// The largest whole number not above a / b. Of fractions a / b may round up to a whole number that is
// too large, so what remains goes first; then a rounded quotient is next to a whole number.
#define FLOORED(TYPE, FLOOR)                                                                       \
  INLINE TYPE TYPE##_floored(TYPE a, TYPE b) {                                                     \
    const TYPE quotient = (a - TYPE##_remains(a, b)) / b, below = FLOOR(quotient);                 \
    return b == 0 ? a / b : quotient - below > 0.5f ? below + 1 : below;                           \
  }
FLOORED(float, floorf)
FLOORED(double, floor)
INLINE int64_t whole_floored(int64_t a, int64_t b) { return (a - whole_remains(a, b)) / b; }

INLINE int64_t whole(int64_t x) { return x; }
INLINE int64_t whole_power(int64_t a, int64_t n) {
  if (n < 0) return a == 1 ? 1 : a == -1 ? 1 - 2 * (n & 1) : 0;
  int64_t y = 1;
  for (; n; n >>= 1, a *= a) y *= n & 1 ? a : 1;
  return y;
}

// --- products ------------------------------------------------------------------------------------

// Loops over the registers of a block must vanish: an array stays in registers only if every index
// into it is a number. (The compiler is told to unroll nothing else, which keeps modules small.)
#define UNROLLED _Pragma("clang loop unroll(full)")

typedef float float_lanes __attribute__((vector_size(16), aligned(4)));
typedef double double_lanes __attribute__((vector_size(16), aligned(8)));

// A block of ROWS x REGISTERS of a product; it stays in registers while k runs through a panel.
#define BLOCK(TYPE, WIDE, ROWS, REGISTERS)                                                         \
  {                                                                                                \
    TYPE##_lanes s[ROWS][REGISTERS];                                                               \
    UNROLLED for (int r = 0; r < ROWS; r++)                                                        \
      UNROLLED for (int l = 0; l < REGISTERS; l++)                                                 \
        s[r][l] = from ? *(TYPE##_lanes *)(c + (i + r) * columns + j + l * WIDE)                   \
                       : (TYPE##_lanes){0};                                                        \
    for (int k = from; k < to; k++) {                                                              \
      TYPE##_lanes v[REGISTERS];                                                                   \
      UNROLLED for (int l = 0; l < REGISTERS; l++)                                                 \
        v[l] = *(const TYPE##_lanes *)(b + k * bk + j + l * WIDE);                                 \
      UNROLLED for (int r = 0; r < ROWS; r++) {                                                    \
        const TYPE q = a[(i + r) * ai + k * ak];                                                   \
        UNROLLED for (int l = 0; l < REGISTERS; l++) s[r][l] += q * v[l];                          \
      }                                                                                            \
    }                                                                                              \
    UNROLLED for (int r = 0; r < ROWS; r++)                                                        \
      UNROLLED for (int l = 0; l < REGISTERS; l++)                                                 \
        *(TYPE##_lanes *)(c + (i + r) * columns + j + l * WIDE) = s[r][l];                         \
  }

// c (rows, columns) = a (rows, inner) b (inner, columns), many times; ai and ak are the strides of a,
// bk that of b, whose rows lie in one piece. ma, mb, mc lead from one product to the next.
// Eight registers hold a block of 4 x 2: fewer would wait for each other's additions, more do not fit
// beside what is loaded. A panel of 128 rows of b, two registers wide, stays in the first cache.
#define PRODUCT(TYPE, WIDE)                                                                        \
  INLINE void TYPE##_product(int many, int ma, int mb, int mc, int rows, int inner, int columns,   \
                             const TYPE *restrict a, int ai, int ak, const TYPE *restrict b,       \
                             int bk, TYPE *restrict c) {                                           \
    for (int n = 0; n < many; n++, a += ma, b += mb, c += mc) {                                    \
      int from = 0;                                                                                \
      do {                                                                                         \
        const int to = inner < from + 128 ? inner : from + 128;                                    \
        int j = 0;                                                                                 \
        for (; j + 2 * WIDE <= columns; j += 2 * WIDE) {                                           \
          int i = 0;                                                                               \
          for (; i + 4 <= rows; i += 4) BLOCK(TYPE, WIDE, 4, 2)                                    \
          for (; i < rows; i++) BLOCK(TYPE, WIDE, 1, 2)                                            \
        }                                                                                          \
        for (; j + WIDE <= columns; j += WIDE)                                                     \
          for (int i = 0; i < rows; i++) BLOCK(TYPE, WIDE, 1, 1)                                   \
        for (int i = 0; i < rows; i++)                                                             \
          for (int l = j; l < columns; l++) {                                                      \
            TYPE t = from ? c[i * columns + l] : 0;                                                \
            for (int k = from; k < to; k++) t += a[i * ai + k * ak] * b[k * bk + l];               \
            c[i * columns + l] = t;                                                                \
          }                                                                                        \
        from = to;                                                                                 \
      } while (from < inner);                                                                      \
    }                                                                                              \
  }

// The sums of four registers' lanes, in one register.
INLINE float_lanes float_totals(const float_lanes s[4]) {
  const float_lanes u = __builtin_shufflevector(s[0], s[1], 0, 4, 2, 6) +
                        __builtin_shufflevector(s[0], s[1], 1, 5, 3, 7);
  const float_lanes v = __builtin_shufflevector(s[2], s[3], 0, 4, 2, 6) +
                        __builtin_shufflevector(s[2], s[3], 1, 5, 3, 7);
  return __builtin_shufflevector(u, v, 0, 1, 4, 5) + __builtin_shufflevector(u, v, 2, 3, 6, 7);
}
INLINE double_lanes double_totals(const double_lanes s[2]) {
  return __builtin_shufflevector(s[0], s[1], 0, 2) + __builtin_shufflevector(s[0], s[1], 1, 3);
}

// A block of ROWS x COLUMNS sums, each in the lanes of one register while k runs. COLUMNS is a
// multiple of WIDE, or 1.
#define TURNED(TYPE, WIDE, ROWS, COLUMNS)                                                          \
  {                                                                                                \
    TYPE##_lanes s[ROWS][COLUMNS < WIDE ? WIDE : COLUMNS];                                         \
    UNROLLED for (int r = 0; r < ROWS; r++)                                                        \
      UNROLLED for (int l = 0; l < (COLUMNS < WIDE ? WIDE : COLUMNS); l++)                         \
        s[r][l] = (TYPE##_lanes){0};                                                               \
    for (int k = 0; k < whole; k += WIDE) {                                                        \
      TYPE##_lanes v[COLUMNS];                                                                     \
      UNROLLED for (int l = 0; l < COLUMNS; l++)                                                   \
        v[l] = *(const TYPE##_lanes *)(b + (j + l) * bj + k);                                      \
      UNROLLED for (int r = 0; r < ROWS; r++) {                                                    \
        const TYPE##_lanes u = *(const TYPE##_lanes *)(a + (i + r) * ai + k);                      \
        UNROLLED for (int l = 0; l < COLUMNS; l++) s[r][l] += u * v[l];                            \
      }                                                                                            \
    }                                                                                              \
    UNROLLED for (int r = 0; r < ROWS; r++)                                                        \
      UNROLLED for (int l = 0; l < COLUMNS; l += WIDE) {                                           \
        TYPE##_lanes t = TYPE##_totals(s[r] + l);                                                  \
        for (int k = whole; k < inner; k++)                                                        \
          UNROLLED for (int d = 0; d < (COLUMNS < WIDE ? COLUMNS : WIDE); d++)                     \
            t[d] += a[(i + r) * ai + k] * b[(j + l + d) * bj + k];                                 \
        if (COLUMNS < WIDE) c[(i + r) * columns + j] = t[0];                                       \
        else *(TYPE##_lanes *)(c + (i + r) * columns + j + l) = t;                                 \
      }                                                                                            \
  }

// The same with b turned: its columns lie in one piece, as do the rows of a (ak is 1). bj leads from
// one column to the next.
#define PRODUCT_TURNED(TYPE, WIDE)                                                                 \
  INLINE void TYPE##_product_turned(int many, int ma, int mb, int mc, int rows, int inner,         \
                                    int columns, const TYPE *restrict a, int ai, int ak,           \
                                    const TYPE *restrict b, int bj, TYPE *restrict c) {            \
    const int whole = inner - inner % WIDE;                                                        \
    for (int n = 0; n < many; n++, a += ma, b += mb, c += mc) {                                    \
      int j = 0;                                                                                   \
      for (; j + 4 <= columns; j += 4) {                                                           \
        int i = 0;                                                                                 \
        for (; i + 2 <= rows; i += 2) TURNED(TYPE, WIDE, 2, 4)                                     \
        for (; i < rows; i++) TURNED(TYPE, WIDE, 1, 4)                                             \
      }                                                                                            \
      for (; j < columns; j++)                                                                     \
        for (int i = 0; i < rows; i++) TURNED(TYPE, WIDE, 1, 1)                                    \
    }                                                                                              \
  }

PRODUCT(float, 4)
PRODUCT(double, 2)
PRODUCT_TURNED(float, 4)
PRODUCT_TURNED(double, 2)

// --- along rows ----------------------------------------------------------------------------------

// The exponentials of all rows are taken in one long loop: a short one for each row would wait for
// each result, where a long one has others to go on with.
#define ROWS(TYPE)                                                                                 \
  INLINE void TYPE##_exponentials(int n, const TYPE *x, TYPE *y) {                                 \
    for (int j = 0; j < n; j++) y[j] = exponential(x[j]);                                          \
  }                                                                                                \
  /* y = x less the largest of its row */                                                          \
  INLINE void TYPE##_lowered(int rows, int n, const TYPE *restrict x, TYPE *restrict y) {          \
    for (int i = 0; i < rows; i++, x += n, y += n) {                                               \
      TYPE top = -INFINITY;                                                                        \
      for (int j = 0; j < n; j++) top = greater(x[j], top);                                        \
      for (int j = 0; j < n; j++) y[j] = x[j] - top;                                               \
    }                                                                                              \
  }                                                                                                \
  static void TYPE##_log_softmax(int rows, int n, const TYPE *restrict x, TYPE *restrict y,        \
                                 TYPE *restrict powers) {                                          \
    TYPE##_lowered(rows, n, x, y);                                                                 \
    TYPE##_exponentials(rows * n, y, powers);                                                      \
    for (int i = 0; i < rows; i++, y += n, powers += n) {                                          \
      TYPE sum = 0;                                                                                \
      for (int j = 0; j < n; j++) sum += powers[j];                                                \
      const TYPE shift = logarithm(sum);                                                           \
      for (int j = 0; j < n; j++) y[j] -= shift;                                                   \
    }                                                                                              \
  }                                                                                                \
  static void TYPE##_softmax(int rows, int n, const TYPE *restrict x, TYPE *restrict y) {          \
    TYPE##_lowered(rows, n, x, y);                                                                 \
    TYPE##_exponentials(rows * n, y, y);                                                           \
    for (int i = 0; i < rows; i++, y += n) {                                                       \
      TYPE sum = 0;                                                                                \
      for (int j = 0; j < n; j++) sum += y[j];                                                     \
      for (int j = 0; j < n; j++) y[j] /= sum;                                                     \
    }                                                                                              \
  }

#define ARGMAX(TYPE)                                                                               \
  static void TYPE##_argmax(int rows, int n, const TYPE *restrict x, int64_t *restrict y) {        \
    for (int i = 0; i < rows; i++, x += n) {                                                       \
      int best = 0; /* the first of equal ones; NaN is the largest */                              \
      for (int j = 1; j < n; j++)                                                                  \
        if (x[j] > x[best] || (x[j] != x[j] && x[best] == x[best])) best = j;                      \
      y[i] = best;                                                                                 \
    }                                                                                              \
  }

#define CUMULATE(TYPE, SUM)                                                                        \
  static void TYPE##_cumulate(int rows, int n, const TYPE *restrict x, TYPE *restrict y) {         \
    for (int i = 0; i < rows; i++, x += n, y += n) {                                               \
      SUM sum = 0;                                                                                 \
      for (int j = 0; j < n; j++) y[j] = sum += x[j];                                              \
    }                                                                                              \
  }

ROWS(float)
ROWS(double)
ARGMAX(float)
ARGMAX(double)
ARGMAX(int64_t)
CUMULATE(float, double)
CUMULATE(double, double)
CUMULATE(int64_t, int64_t)

// --- sorting -------------------------------------------------------------------------------------

typedef int32_t whole4 __attribute__((vector_size(16), aligned(4)));

// Floats in the order of whole numbers: flip the digits of negative ones. NaN gets the largest.
INLINE int32_t sortable(float x) {
  const int32_t i = float_to_bits(x);
  return x != x ? 0x7fc00000 : i ^ ((i >> 31) & 0x7fffffff);
}

// Each column of (n, width), many times, ascending. Batcher's odd-even merges compare the same pairs
// of rows whatever the numbers are, so rows are compared as a whole, in SIMD registers.
static void float_sort_columns(int many, int n, int width, const float *restrict x, float *restrict y) {
  for (int m = 0; m < many; m++, x += n * width, y += n * width) {
    int32_t *restrict keys = (int32_t *)y;
    for (int i = 0; i < n * width; i++) keys[i] = sortable(x[i]);
    for (int p = 1; p < n; p *= 2)
      for (int k = p; k >= 1; k /= 2)
        for (int j = k % p; j + k < n; j += 2 * k)
          for (int i = 0; i < k && i + j + k < n; i++)
            if ((i + j) / (2 * p) == (i + j + k) / (2 * p)) {
              int32_t *restrict low = keys + (i + j) * width, *restrict high = low + k * width;
              for (int c = 0; c < width; c++) {
                const int32_t u = low[c], v = high[c];
                low[c] = u < v ? u : v;
                high[c] = u < v ? v : u;
              }
            }
    for (int i = 0; i < n * width; i++) {
      const int32_t q = keys[i];
      y[i] = bits_to_float(q ^ ((q >> 31) & 0x7fffffff));
    }
  }
}

// --- putting where an index says ------------------------------------------------------------------

// y = x (before, n, behind); then y[b, which[b, i, e], e] = (or +=) values[b, i, e] for i < count.
#define PUT(NAME, TYPE, SIGN)                                                                      \
  static void NAME(int before, int n, int count, int behind, const TYPE *restrict x,               \
                   const int64_t *restrict which, const TYPE *restrict values,                     \
                   TYPE *restrict y) {                                                             \
    memcpy(y, x, sizeof(TYPE) * before * n * behind);                                              \
    for (int b = 0; b < before; b++)                                                               \
      for (int i = 0; i < count; i++)                                                              \
        for (int e = 0; e < behind; e++) {                                                         \
          const int at = (b * count + i) * behind + e;                                             \
          const int64_t to = which[at] < 0 ? which[at] + n : which[at];                            \
          if (to >= 0 && to < n) y[(b * n + (int)to) * behind + e] SIGN values[at];                \
        }                                                                                          \
  }
PUT(float_scatter, float, =)
PUT(double_scatter, double, =)
PUT(int64_t_scatter, int64_t, =)
PUT(uint8_t_scatter, uint8_t, =)
PUT(float_scatter_add, float, +=)
PUT(double_scatter_add, double, +=)
PUT(int64_t_scatter_add, int64_t, +=)
