/* Elementary functions without branches, so that a loop over them is vectorised by the compiler.
 *
 * Every function is the same operations in the same order in a vector body and in a scalar tail: an element's bits do
 * not depend on its position. Suffix _f is float, _d is double. Polynomials are minimax fits of the ratio named beside
 * them; n * LN2_HIGH is exact for every n that occurs.
 */
#ifndef U_MATH_H
#define U_MATH_H

/* GCC (12.2, for one) splits `b = a < 0 ? 0 : a; c = b <= 0` into branches, and what it then vectorises is wrong. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-thread-jumps")
#endif

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define U_HAS_FMA 1
#define U_FMA_F(a, b, c) __builtin_fmaf((a), (b), (c))
#define U_FMA_D(a, b, c) __builtin_fma((a), (b), (c))
#else
#define U_HAS_FMA 0
#define U_FMA_F(a, b, c) ((a) * (b) + (c))
#define U_FMA_D(a, b, c) ((a) * (b) + (c))
#endif

#define U_INLINE static inline __attribute__((unused, always_inline))

#define U_LOG2E 0x1.71547652b82fep+0
#define U_LN2_HIGH_F 0x1.62ep-1f
#define U_LN2_LOW_F 0x1.0bfbe8p-15f
#define U_LN2_HIGH_D 0x1.62e42fefa3p-1
#define U_LN2_LOW_D 0x1.3de6af278ece6p-42
#define U_SQRT_HALF_BITS_F 0x3f3504f3u
#define U_SQRT_HALF_BITS_D 0x3fe6a09e667f3bcdull
#define U_ROUND_F 0x1.8p23f /* adding it rounds to an integer, held in the low bits */
#define U_ROUND_D 0x1.8p52

U_INLINE uint32_t u_bits_f(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

U_INLINE float u_from_bits_f(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

U_INLINE uint64_t u_bits_d(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

U_INLINE double u_from_bits_d(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^n for a normal result; n is two's complement. */
U_INLINE float u_power_of_two_f(uint32_t n) { return u_from_bits_f((n + 127u) << 23); }
U_INLINE double u_power_of_two_d(uint64_t n) { return u_from_bits_d((n + 1023u) << 52); }

/* x = n ln 2 + r with |r| <= ln(2)/2: returns e^r - 1 and stores n. */
U_INLINE float u_reduced_expm1_f(float x, uint32_t *n) {
    float shifted = U_FMA_F(x, (float)U_LOG2E, U_ROUND_F);
    float whole = shifted - U_ROUND_F;
    float r = U_FMA_F(-whole, U_LN2_LOW_F, U_FMA_F(-whole, U_LN2_HIGH_F, x));
    float q = 0x1.a059aep-13f; /* (e^r - 1 - r) / r^2 */
    q = U_FMA_F(q, r, 0x1.6d6866p-10f);
    q = U_FMA_F(q, r, 0x1.11116ap-7f);
    q = U_FMA_F(q, r, 0x1.5554bep-5f);
    q = U_FMA_F(q, r, 0x1.555556p-3f);
    q = U_FMA_F(q, r, 0.5f);
    *n = u_bits_f(shifted) - u_bits_f(U_ROUND_F);
    return U_FMA_F(r * r, q, r);
}

U_INLINE double u_reduced_expm1_d(double x, uint64_t *n) {
    double shifted = U_FMA_D(x, U_LOG2E, U_ROUND_D);
    double whole = shifted - U_ROUND_D;
    double r = U_FMA_D(-whole, U_LN2_LOW_D, U_FMA_D(-whole, U_LN2_HIGH_D, x));
    double q = 0x1.1f01f4c00ca6bp-29; /* (e^r - 1 - r) / r^2 */
    q = U_FMA_D(q, r, 0x1.af5ac02d33044p-26);
    q = U_FMA_D(q, r, 0x1.27e523a8ff2f4p-22);
    q = U_FMA_D(q, r, 0x1.71ddfac1b0451p-19);
    q = U_FMA_D(q, r, 0x1.a01a0185c1432p-16);
    q = U_FMA_D(q, r, 0x1.a01a01aedcce2p-13);
    q = U_FMA_D(q, r, 0x1.6c16c16c1c9e0p-10);
    q = U_FMA_D(q, r, 0x1.111111110f983p-7);
    q = U_FMA_D(q, r, 0x1.5555555555546p-5);
    q = U_FMA_D(q, r, 0x1.5555555555558p-3);
    q = U_FMA_D(q, r, 0.5);
    *n = u_bits_d(shifted) - u_bits_d(U_ROUND_D);
    return U_FMA_D(r * r, q, r);
}

/* The scale 2^n is applied in two halves: overflow and gradual underflow round once, at the end. */
U_INLINE float u_exp_f(float x) {
    float bounded = x > 89.0f ? 89.0f : x;
    bounded = bounded < -104.0f ? -104.0f : bounded;
    uint32_t n;
    float y = 1.0f + u_reduced_expm1_f(bounded, &n);
    uint32_t half = ((n + 256u) >> 1) - 128u;
    return y * u_power_of_two_f(half) * u_power_of_two_f(n - half);
}

U_INLINE double u_exp_d(double x) {
    double bounded = x > 710.0 ? 710.0 : x;
    bounded = bounded < -746.0 ? -746.0 : bounded;
    uint64_t n;
    double y = 1.0 + u_reduced_expm1_d(bounded, &n);
    uint64_t half = ((n + 2048u) >> 1) - 1024u;
    return y * u_power_of_two_d(half) * u_power_of_two_d(n - half);
}

/* With s = 2^(n-1): 2^n (1 + p) - 1 = 2 (p s + (s - 1/2)), which overflows only where the result does. */
U_INLINE float u_expm1_f(float x) {
    float bounded = x > 89.0f ? 89.0f : x;
    bounded = bounded < -20.0f ? -20.0f : bounded;
    uint32_t n;
    float p = u_reduced_expm1_f(bounded, &n);
    float s = u_power_of_two_f(n - 1u);
    float y = 2.0f * U_FMA_F(p, s, s - 0.5f);
    return fabsf(x) < 0x1p-25f ? x : y;
}

U_INLINE double u_expm1_d(double x) {
    double bounded = x > 710.0 ? 710.0 : x;
    bounded = bounded < -40.0 ? -40.0 : bounded;
    uint64_t n;
    double p = u_reduced_expm1_d(bounded, &n);
    double s = u_power_of_two_d(n - 1u);
    double y = 2.0 * U_FMA_D(p, s, s - 0.5);
    return fabs(x) < 0x1p-54 ? x : y;
}

/* e ln 2 + log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)]. */
U_INLINE float u_reduced_log_f(float e, float f) {
    float p = -0x1.38baaap-4f; /* (log(1 + f) - f + f^2 / 2) / f^3 */
    p = U_FMA_F(p, f, 0x1.055d32p-3f);
    p = U_FMA_F(p, f, -0x1.0d8514p-3f);
    p = U_FMA_F(p, f, 0x1.22d9d8p-3f);
    p = U_FMA_F(p, f, -0x1.547244p-3f);
    p = U_FMA_F(p, f, 0x1.99a00cp-3f);
    p = U_FMA_F(p, f, -0x1.000228p-2f);
    p = U_FMA_F(p, f, 0x1.555554p-2f);
    float rest = U_FMA_F(f * f, U_FMA_F(p, f, -0.5f), e * U_LN2_LOW_F);
    return U_FMA_F(e, U_LN2_HIGH_F, f + rest);
}

U_INLINE double u_reduced_log_d(double e, double f) {
    double s = f / (2.0 + f);
    double z = s * s;
    double r = 0x1.0f36c9987a40dp-3; /* (2 atanh(s) / s - 2) / s^2 */
    r = U_FMA_D(r, z, 0x1.0f623017da8dep-3);
    r = U_FMA_D(r, z, 0x1.3b206697b016bp-3);
    r = U_FMA_D(r, z, 0x1.745ce0038dfe4p-3);
    r = U_FMA_D(r, z, 0x1.c71c72523bb13p-3);
    r = U_FMA_D(r, z, 0x1.249249243232cp-2);
    r = U_FMA_D(r, z, 0x1.9999999999d8ep-2);
    r = U_FMA_D(r, z, 0x1.5555555555555p-1);
    double half_square = 0.5 * f * f;
    double correction = U_FMA_D(s, U_FMA_D(r, z, half_square), e * U_LN2_LOW_D);
    return U_FMA_D(e, U_LN2_HIGH_D, f - (half_square - correction));
}

U_INLINE float u_log_f(float x) {
    int denormal = x < 0x1p-126f;
    uint32_t bits = u_bits_f(denormal ? x * 0x1p23f : x);
    uint32_t exponent = (bits - U_SQRT_HALF_BITS_F + (128u << 23)) >> 23;
    float f = u_from_bits_f(bits - ((exponent - 128u) << 23)) - 1.0f;
    float y = u_reduced_log_f((float)((int32_t)exponent - 128) - (denormal ? 23.0f : 0.0f), f);
    float special = x < 0.0f ? NAN : x;
    special = x == 0.0f ? -INFINITY : special;
    return ((x > 0.0f) & (x < INFINITY)) ? y : special;
}

U_INLINE double u_log_d(double x) {
    int denormal = x < 0x1p-1022;
    uint64_t bits = u_bits_d(denormal ? x * 0x1p52 : x);
    uint64_t exponent = (bits - U_SQRT_HALF_BITS_D + (1024ull << 52)) >> 52;
    double f = u_from_bits_d(bits - ((exponent - 1024u) << 52)) - 1.0;
    double e = u_from_bits_d(exponent + u_bits_d(U_ROUND_D)) - (U_ROUND_D + 1024.0); /* no 64-bit conversion in AVX2 */
    double y = u_reduced_log_d(e - (denormal ? 52.0 : 0.0), f);
    double special = x < 0.0 ? (double)NAN : x;
    special = x == 0.0 ? -(double)INFINITY : special;
    return ((x > 0.0) & (x < (double)INFINITY)) ? y : special;
}

/* 1 + x = 2^e (1 + f) with f = x 2^-e + (2^-e - 1), so the rounding of 1 + x only chooses e. */
U_INLINE float u_log1p_f(float x) {
    int large = x > 0x1p100f;
    float scaled = large ? x * 0x1p-64f : x;
    uint32_t exponent = (u_bits_f(1.0f + scaled) - U_SQRT_HALF_BITS_F + (128u << 23)) >> 23;
    float inverse = u_power_of_two_f(128u - exponent);
    float f = U_FMA_F(scaled, inverse, inverse - 1.0f);
    float y = u_reduced_log_f((float)((int32_t)exponent - 128) + (large ? 64.0f : 0.0f), f);
    y = fabsf(x) < 0x1p-25f ? x : y;
    float special = x < -1.0f ? NAN : x;
    special = x == -1.0f ? -INFINITY : special;
    return ((x > -1.0f) & (x < INFINITY)) ? y : special;
}

U_INLINE double u_log1p_d(double x) {
    int large = x > 0x1p900;
    double scaled = large ? x * 0x1p-512 : x;
    uint64_t exponent = (u_bits_d(1.0 + scaled) - U_SQRT_HALF_BITS_D + (1024ull << 52)) >> 52;
    double inverse = u_power_of_two_d(1024u - exponent);
    double f = U_FMA_D(scaled, inverse, inverse - 1.0);
    double e = u_from_bits_d(exponent + u_bits_d(U_ROUND_D)) - (U_ROUND_D + 1024.0);
    double y = u_reduced_log_d(e + (large ? 512.0 : 0.0), f);
    y = fabs(x) < 0x1p-54 ? x : y;
    double special = x < -1.0 ? (double)NAN : x;
    special = x == -1.0 ? -(double)INFINITY : special;
    return ((x > -1.0) & (x < (double)INFINITY)) ? y : special;
}

/* tanh |x| = t / (t + 2) with t = e^(2 |x|) - 1, whose relative error the quotient never amplifies. */
U_INLINE float u_tanh_f(float x) {
    float magnitude = fabsf(x);
    uint32_t n;
    float p = u_reduced_expm1_f(2.0f * (magnitude > 10.0f ? 10.0f : magnitude), &n);
    float s = u_power_of_two_f(n);
    float t = U_FMA_F(p, s, s - 1.0f);
    return copysignf(t / (t + 2.0f), x);
}

U_INLINE double u_tanh_d(double x) {
    double magnitude = fabs(x);
    uint64_t n;
    double p = u_reduced_expm1_d(2.0 * (magnitude > 22.0 ? 22.0 : magnitude), &n);
    double s = u_power_of_two_d(n);
    double t = U_FMA_D(p, s, s - 1.0);
    return copysign(t / (t + 2.0), x);
}

U_INLINE float u_sigmoid_f(float x) {
    float e = u_exp_f(-fabsf(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

U_INLINE double u_sigmoid_d(double x) {
    double e = u_exp_d(-fabs(x));
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

/* x + x P(x^2) up to 1, above it 1 - e^-L with L = -log(erfc |x|) as a polynomial in |x| - 1. */
U_INLINE float u_erf_f(float x) {
    float magnitude = fabsf(x);
    float z = x * x;
    float p = 0x1.496a02p-14f;
    p = U_FMA_F(p, z, -0x1.a3f6f0p-11f);
    p = U_FMA_F(p, z, 0x1.5405b0p-8f);
    p = U_FMA_F(p, z, -0x1.b7f90cp-6f);
    p = U_FMA_F(p, z, 0x1.ce2cf8p-4f);
    p = U_FMA_F(p, z, -0x1.81273ep-2f);
    p = U_FMA_F(p, z, 0x1.06eba8p-3f);
    float t = (magnitude > 4.0f ? 4.0f : magnitude) - 1.0f;
    float l = 0x1.6c02c8p-16f;
    l = U_FMA_F(l, t, -0x1.2fa6f0p-12f);
    l = U_FMA_F(l, t, 0x1.07ba96p-9f);
    l = U_FMA_F(l, t, -0x1.4934d8p-7f);
    l = U_FMA_F(l, t, 0x1.547d14p-5f);
    l = U_FMA_F(l, t, 0x1.afabbap-1f);
    l = U_FMA_F(l, t, 0x1.51c9b0p+1f);
    l = U_FMA_F(l, t, 0x1.d97fc0p+0f);
    uint32_t n;
    float tail = 1.0f + u_reduced_expm1_f(-l, &n);
    float far = copysignf(U_FMA_F(-tail, u_power_of_two_f(n), 1.0f), x);
    return magnitude > 1.0f ? far : U_FMA_F(x, p, x);
}

U_INLINE double u_erf_d(double x) {
    double magnitude = fabs(x);
    double z = x * x;
    double p = 0x1.0579a69d4bb26p-34;
    p = U_FMA_D(p, z, -0x1.386abe81bc097p-30);
    p = U_FMA_D(p, z, 0x1.f7a4112daf135p-27);
    p = U_FMA_D(p, z, -0x1.5f1d36a3432d6p-23);
    p = U_FMA_D(p, z, 0x1.b9def1995c1e6p-20);
    p = U_FMA_D(p, z, -0x1.f4d1df38db4aep-17);
    p = U_FMA_D(p, z, 0x1.f9a321a116d34p-14);
    p = U_FMA_D(p, z, -0x1.c02db3d8ecdbep-11);
    p = U_FMA_D(p, z, 0x1.565bcd0db02c7p-8);
    p = U_FMA_D(p, z, -0x1.b82ce3128499cp-6);
    p = U_FMA_D(p, z, 0x1.ce2f21a042b20p-4);
    p = U_FMA_D(p, z, -0x1.812746b0379e6p-2);
    p = U_FMA_D(p, z, 0x1.06eba8214db69p-3);
    double t = (magnitude > 6.0 ? 6.0 : magnitude) - 1.0;
    double l = -0x1.27705a41b9cfbp-40;
    l = U_FMA_D(l, t, 0x1.ff5948ab53c25p-36);
    l = U_FMA_D(l, t, -0x1.97e03b08d920ep-32);
    l = U_FMA_D(l, t, 0x1.8c0a0db4c5ba0p-29);
    l = U_FMA_D(l, t, -0x1.0179d71b61ec3p-26);
    l = U_FMA_D(l, t, 0x1.c0fb650ea4647p-25);
    l = U_FMA_D(l, t, -0x1.a5294c9b64426p-24);
    l = U_FMA_D(l, t, -0x1.3103b4e5c7c2fp-23);
    l = U_FMA_D(l, t, 0x1.1451be6c5fd75p-19);
    l = U_FMA_D(l, t, -0x1.4263b7bf3fd4fp-17);
    l = U_FMA_D(l, t, 0x1.c7a4c2a4af00bp-16);
    l = U_FMA_D(l, t, -0x1.b8dd44939d7c3p-16);
    l = U_FMA_D(l, t, -0x1.f1b39886e39a0p-13);
    l = U_FMA_D(l, t, 0x1.033f65e994d7ap-9);
    l = U_FMA_D(l, t, -0x1.48c9d3ed58efbp-7);
    l = U_FMA_D(l, t, 0x1.5477f09c1096fp-5);
    l = U_FMA_D(l, t, 0x1.afabc11a29554p-1);
    l = U_FMA_D(l, t, 0x1.51c9b0006c237p+1);
    l = U_FMA_D(l, t, 0x1.d97fbf27aa2a1p+0);
    uint64_t n;
    double tail = 1.0 + u_reduced_expm1_d(-l, &n);
    double far = copysign(U_FMA_D(-tail, u_power_of_two_d(n), 1.0), x);
    return magnitude > 1.0 ? far : U_FMA_D(x, p, x);
}

U_INLINE float u_sqrt_f(float x) { return __builtin_sqrtf(x); }
U_INLINE double u_sqrt_d(double x) { return __builtin_sqrt(x); }
U_INLINE float u_rsqrt_f(float x) { return 1.0f / __builtin_sqrtf(x); }
U_INLINE double u_rsqrt_d(double x) { return 1.0 / __builtin_sqrt(x); }
U_INLINE float u_sin_f(float x) { return sinf(x); }
U_INLINE double u_sin_d(double x) { return sin(x); }
U_INLINE float u_cos_f(float x) { return cosf(x); }
U_INLINE double u_cos_d(double x) { return cos(x); }
U_INLINE float u_pow_f(float x, float y) { return powf(x, y); }
U_INLINE double u_pow_d(double x, double y) { return pow(x, y); }

U_INLINE float u_bf16_to_f(uint16_t x) { return u_from_bits_f((uint32_t)x << 16); }

/* Round to nearest, ties to even; a NaN stays one. */
U_INLINE uint16_t u_f_to_bf16(float x) {
    uint32_t bits = u_bits_f(x);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return (uint16_t)(x != x ? (bits >> 16) | 0x40u : rounded);
}

#endif
