/* Functions on elements that C's library or a line of C provides. */
#ifndef U_HELPERS_H
#define U_HELPERS_H

#define u_abs_f fabsf
#define u_abs_d fabs
#define u_abs_l llabs
#define u_floor_f floorf
#define u_floor_d floor
#define u_ceil_f ceilf
#define u_ceil_d ceil
#define u_trunc_f truncf
#define u_trunc_d trunc
#define u_round_f rintf
#define u_round_d rint
#define u_fmod_f fmodf
#define u_fmod_d fmod
#define u_tan_f tanf
#define u_tan_d tan
#define u_asin_f asinf
#define u_asin_d asin
#define u_acos_f acosf
#define u_acos_d acos
#define u_atan_f atanf
#define u_atan_d atan
#define u_atan2_f atan2f
#define u_atan2_d atan2
#define u_sinh_f sinhf
#define u_sinh_d sinh
#define u_cosh_f coshf
#define u_cosh_d cosh
#define u_exp2_f exp2f
#define u_exp2_d exp2
#define u_log2_f log2f
#define u_log2_d log2
#define U_REAL(S, T, FLOOR, TRUNC, FMOD, COPYSIGN) \
  U_INLINE T u_sign_##S(T a) { return (T)((a > 0) - (a < 0)); } \
  U_INLINE T u_relu_##S(T a) { return a < 0 ? (T)0 : a; } \
  U_INLINE T u_maximum_##S(T a, T b) { return a != a || a > b ? a : b; } \
  U_INLINE T u_minimum_##S(T a, T b) { return a != a || a < b ? a : b; } \
  U_INLINE T u_remainder_##S(T a, T b) { T m = FMOD(a, b); return m != 0 && ((b < 0) != (m < 0)) ? m + b : m; } \
  U_INLINE T u_div_trunc_##S(T a, T b) { return TRUNC(a / b); } \
  U_INLINE T u_div_floor_##S(T a, T b) { \
    T m = FMOD(a, b), q = (a - m) / b; \
    if (b == 0) return a / b; \
    if (m != 0 && ((b < 0) != (m < 0))) q -= 1; \
    if (q == 0) return COPYSIGN((T)0, a / b); \
    T low = FLOOR(q); return q - low > (T)0.5 ? low + 1 : low; }
U_REAL(f, float, floorf, truncf, fmodf, copysignf)
U_REAL(d, double, floor, trunc, fmod, copysign)
U_INLINE long long u_sign_l(long long a) { return (a > 0) - (a < 0); }
U_INLINE long long u_relu_l(long long a) { return a < 0 ? 0 : a; }
U_INLINE long long u_maximum_l(long long a, long long b) { return a > b ? a : b; }
U_INLINE long long u_minimum_l(long long a, long long b) { return a < b ? a : b; }
U_INLINE long long u_floor_l(long long a) { return a; }
U_INLINE long long u_div_trunc_l(long long a, long long b) { return b ? a / b : 0; }
U_INLINE long long u_fmod_l(long long a, long long b) { return b ? a % b : 0; }
U_INLINE long long u_remainder_l(long long a, long long b) {
    long long m = b ? a % b : 0;
    return m && ((b < 0) != (m < 0)) ? m + b : m;
}
U_INLINE long long u_div_floor_l(long long a, long long b) {
    if (!b) return 0;
    long long q = a / b;
    return a % b && ((a < 0) != (b < 0)) ? q - 1 : q;
}

/* A value rounded to bfloat16. */
U_INLINE float u_round_bf16(float a) { return u_bf16_to_f(u_f_to_bf16(a)); }

#endif
