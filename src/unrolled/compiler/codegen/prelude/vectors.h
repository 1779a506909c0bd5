/* The widest vector registers of the processor compiled for, as GCC vector types; portable code gets 16 bytes. */
#ifndef U_VECTORS_H
#define U_VECTORS_H

#ifdef __has_builtin
#if __has_builtin(__builtin_elementwise_fma)
#define U_ELEMENTWISE_FMA 1
#endif
#endif

/* A function that is compiled once: neither inlined nor, as GCC would, copied for some of its arguments. */
#if defined(__clang__)
#define U_APART static __attribute__((unused, noinline))
#else
#define U_APART static __attribute__((unused, noinline, noclone))
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

/* A product goes by blocks of so many bytes of each row, and of all rows, fewer if they are rounded; a sum over rows by
 * so many bytes of each column, and of the columns of b. */
#define U_BLOCK_DEPTH (8 << 10)
#define U_BLOCK_BYTES (256 << 10)
#define U_ROUNDED_DEPTH (2 << 10)
#define U_ROUNDED_BYTES (64 << 10)
#define U_TOTAL_DEPTH (2 << 10)
#define U_TOTAL_COLUMNS (2 << 10)
#define U_NEAR_BYTES (128 << 10) /* no larger, and a result is still in the cache that it was in */

/* Keep a value that several rows use loaded: some compilers would rather load it once for each use. */
#if U_VECTOR_BYTES == 64
#define U_IN_REGISTER(value) __asm__("" : "+v"(value))
#elif U_VECTOR_BYTES == 32
#define U_IN_REGISTER(value) __asm__("" : "+x"(value))
#else
#define U_IN_REGISTER(value) ((void)0)
#endif

typedef int32_t u_vector_bits __attribute__((vector_size(U_VECTOR_BYTES)));
typedef int64_t u_vector_long_bits __attribute__((vector_size(U_VECTOR_BYTES)));
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

/* The halves of two vectors merged: the first of a, the first of b, the second of a, and so on. */
#define U_LOW_2 0, 2
#define U_LOW_4 0, 4, 1, 5
#define U_LOW_8 0, 8, 1, 9, 2, 10, 3, 11
#define U_LOW_16 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define U_HIGH_2 1, 3
#define U_HIGH_4 2, 6, 3, 7
#define U_HIGH_8 4, 12, 5, 13, 6, 14, 7, 15
#define U_HIGH_16 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#if defined(__clang__)
#define U_SHUFFLE(BITS, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define U_SHUFFLE(BITS, ...) __builtin_shuffle(a, b, (BITS){__VA_ARGS__})
#endif
#define U_ZIPS(S, BITS, LANES)                                                                                  \
    U_INLINE u_items_##S u_zip_low_##S(u_items_##S a, u_items_##S b) { return U_SHUFFLE(BITS, U_LOW_##LANES); } \
    U_INLINE u_items_##S u_zip_high_##S(u_items_##S a, u_items_##S b) { return U_SHUFFLE(BITS, U_HIGH_##LANES); }

typedef u_vector_f u_items_f;
typedef u_vector_d u_items_d;
typedef u_unaligned_f u_unaligned_items_f;
typedef u_unaligned_d u_unaligned_items_d;
/* Two bfloat16 numbers; arrays of them may begin anywhere, and are read as uint16_t too. */
typedef int32_t u_pair __attribute__((aligned(2), may_alias));
typedef u_vector_bits u_items_h;
typedef int32_t u_unaligned_items_h __attribute__((vector_size(U_VECTOR_BYTES), aligned(2), may_alias));
typedef u_vector_f u_vector_h;
typedef u_unaligned_f u_unaligned_h;
#define u_items_fma_f u_vector_fma_f
#define u_items_fma_d u_vector_fma_d
#if U_VECTOR_BYTES == 64
U_ZIPS(f, u_vector_bits, 16)
U_ZIPS(h, u_vector_bits, 16)
U_ZIPS(d, u_vector_long_bits, 8)
#elif U_VECTOR_BYTES == 32
U_ZIPS(f, u_vector_bits, 8)
U_ZIPS(h, u_vector_bits, 8)
U_ZIPS(d, u_vector_long_bits, 4)
#else
U_ZIPS(f, u_vector_bits, 4)
U_ZIPS(h, u_vector_bits, 4)
U_ZIPS(d, u_vector_long_bits, 2)
#endif

/* c + a b for both numbers of a pair. */
U_INLINE u_vector_f u_items_fma_h(u_items_h a, u_items_h b, u_vector_f c) {
#if defined(__AVX512BF16__)
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b)); /* the intrinsic's types differ among compilers */
    return c;
#else
    const u_items_h high = (u_items_h){0} - 0x10000; /* a number's bits are the high half of a float's */
    c = u_vector_fma_f((u_vector_f)(a << 16), (u_vector_f)(b << 16), c);
    return u_vector_fma_f((u_vector_f)(a & high), (u_vector_f)(b & high), c);
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
