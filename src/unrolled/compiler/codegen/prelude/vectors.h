/* The widest vector registers of the processor compiled for, as GCC vector types; portable code gets 16 bytes. */
#ifndef U_VECTORS_H
#define U_VECTORS_H

#ifdef __has_builtin
#if __has_builtin(__builtin_elementwise_fma)
#define U_ELEMENTWISE_FMA 1
#endif
#endif

/* A register tile is U_TILE_ROWS x U_PANEL_VECTORS accumulators; one row alone takes U_ROW_PANELS panels at once. */
#if defined(__AVX512F__)
#define U_VECTOR_BYTES 64
#define U_TILE_ROWS 6
#define U_PANEL_VECTORS 4
#define U_ROW_PANELS 2
#elif defined(__AVX2__) && defined(__FMA__)
#define U_VECTOR_BYTES 32
#define U_TILE_ROWS 6
#define U_PANEL_VECTORS 2
#define U_ROW_PANELS 4
#else
#define U_VECTOR_BYTES 16
#define U_TILE_ROWS 4
#define U_PANEL_VECTORS 2
#define U_ROW_PANELS 4
#endif

/* Keep a value that several rows use loaded: some compilers would rather load it once for each use. */
#if U_VECTOR_BYTES == 64
#define U_IN_REGISTER(value) __asm__("" : "+v"(value))
#elif U_VECTOR_BYTES == 32
#define U_IN_REGISTER(value) __asm__("" : "+x"(value))
#else
#define U_IN_REGISTER(value) ((void)0)
#endif

typedef int32_t u_vector_bits __attribute__((vector_size(U_VECTOR_BYTES)));
typedef int32_t u_unaligned_bits __attribute__((vector_size(U_VECTOR_BYTES), aligned(4), may_alias));
typedef float u_vector_f __attribute__((vector_size(U_VECTOR_BYTES)));
typedef double u_vector_d __attribute__((vector_size(U_VECTOR_BYTES)));
typedef float u_unaligned_f __attribute__((vector_size(U_VECTOR_BYTES), aligned(4), may_alias));
typedef double u_unaligned_d __attribute__((vector_size(U_VECTOR_BYTES), aligned(8), may_alias));

U_INLINE u_vector_f u_vector_fma_f(u_vector_f a, u_vector_f b, u_vector_f c) {
#if defined(U_ELEMENTWISE_FMA) && U_HAS_FMA
    return __builtin_elementwise_fma(a, b, c);
#elif U_VECTOR_BYTES == 64
    return (u_vector_f)__builtin_ia32_vfmaddps512_mask(a, b, c, (unsigned short)-1, 4);
#elif U_VECTOR_BYTES == 32
    return (u_vector_f)__builtin_ia32_vfmaddps256(a, b, c);
#elif U_HAS_FMA
    for (int i = 0; i < U_VECTOR_BYTES / 4; i++) c[i] = U_FMA_F(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c;
#endif
}

U_INLINE u_vector_d u_vector_fma_d(u_vector_d a, u_vector_d b, u_vector_d c) {
#if defined(U_ELEMENTWISE_FMA) && U_HAS_FMA
    return __builtin_elementwise_fma(a, b, c);
#elif U_VECTOR_BYTES == 64
    return (u_vector_d)__builtin_ia32_vfmaddpd512_mask(a, b, c, (unsigned char)-1, 4);
#elif U_VECTOR_BYTES == 32
    return (u_vector_d)__builtin_ia32_vfmaddpd256(a, b, c);
#elif U_HAS_FMA
    for (int i = 0; i < U_VECTOR_BYTES / 8; i++) c[i] = U_FMA_D(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c;
#endif
}

/* A reduction keeps this many partial sums on every processor, and adds them up by halves. */
#define U_LANES_F 16
#define U_LANES_D 8

U_INLINE float u_sum_lanes_f(const float *lanes) {
    float eight[8], four[4];
    for (int i = 0; i < 8; i++) eight[i] = lanes[i] + lanes[i + 8];
    for (int i = 0; i < 4; i++) four[i] = eight[i] + eight[i + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

U_INLINE double u_sum_lanes_d(const double *lanes) {
    double four[4];
    for (int i = 0; i < 4; i++) four[i] = lanes[i] + lanes[i + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

#endif
