/* PyTorch 2.13 */
static void u_forward_before(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c3 = job->p[0]; (void)c3;
  const float *restrict c4 = job->p[1]; (void)c4;
  float *restrict q0 = job->p[4]; (void)q0;
  float *restrict q12 = job->p[5]; (void)q12;
  float *restrict b11 = (void *)scratch; (void)b11;
  scratch += U_ROUND_UP(20L * 48 * sizeof(float));
  const long row = first;
  float *restrict x0 = q0 + row * 3L;
  float *restrict y12 = q12 + row * 20L;
  /* product: 11 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 3, 20, x0 + 0 + g * 0L + i * 0L, 3, 0, (const float *)job->packed[0] + g * u_packed_size_f(3, 20), b11 + g * 20L + i * 20L, 20, 0, 0);
  /* pass: 12 add */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 20; i0++) {
  const float e0 = c4[i0];
  const float e1 = b11[r * 20L + i0];
  const float e2 = (e0 + e1);
  y12[r * 20L + i0] = e2;
  }
  
  }
}

static void u_forward_loop(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c5 = job->p[2]; (void)c5;
  const float *restrict c6 = job->p[3]; (void)c6;
  float *restrict q12 = job->p[5]; (void)q12;
  float *restrict q1 = job->p[6]; (void)q1;
  float *restrict q2 = job->p[7]; (void)q2;
  float *restrict q21 = job->p[8]; (void)q21;
  float *restrict q23 = job->p[9]; (void)q23;
  float *restrict q24 = job->p[10]; (void)q24;
  float *restrict q27 = job->p[11]; (void)q27;
  float *restrict q28 = job->p[12]; (void)q28;
  float *restrict q29 = job->p[13]; (void)q29;
  float *restrict first0 = job->p[14]; (void)first0;
  float *restrict last0 = job->p[15]; (void)last0;
  float *restrict other0 = job->p[16]; (void)other0;
  float *restrict spare0 = job->p[17]; (void)spare0;
  float *restrict first1 = job->p[18]; (void)first1;
  float *restrict last1 = job->p[19]; (void)last1;
  float *restrict other1 = job->p[20]; (void)other1;
  float *restrict spare1 = job->p[21]; (void)spare1;
  float *restrict b14 = (void *)scratch; (void)b14;
  scratch += U_ROUND_UP(20L * 32 * sizeof(float));
  float *restrict b26 = (void *)scratch; (void)b26;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict state0 = (void *)scratch; (void)state0;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict state1 = (void *)scratch; (void)state1;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  const long T = job->T, B = job->B;
  const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;
  memcpy(state0, first0 + first * 5L, R * 5L * sizeof(float));
  memcpy(state1, first1 + first * 5L, R * 5L * sizeof(float));
  for (long step = 0; step < T; step++) {
  const long k = step, t = job->reverse ? T - 1 - k : k, row = t * B + first;
  float *restrict x12 = q12 + row * 20L;
  float *restrict y1 = q1 + row * 5L;
  float *restrict y2 = q2 + row * 5L;
  float *restrict y21 = q21 + row * 5L;
  float *restrict y23 = q23 + row * 5L;
  float *restrict y24 = q24 + row * 5L;
  float *restrict y27 = q27 + row * 5L;
  float *restrict y28 = q28 + row * 5L;
  float *restrict y29 = q29 + row * 5L;
  if (restart) for (long r = 0; r < R; r++) if (restart[row + r])
    memcpy(state0 + r * 5L, other0 + (first + r) * 5L, 5L * sizeof(float));
  memcpy(y1, state0, R * 5L * sizeof(float));
  if (valid) for (long r = 0; r < R; r++) if (!valid[row + r])
    memcpy(y1 + r * 5L, spare0 + (first + r) * 5L, 5L * sizeof(float));
  if (restart) for (long r = 0; r < R; r++) if (restart[row + r])
    memcpy(state1 + r * 5L, other1 + (first + r) * 5L, 5L * sizeof(float));
  memcpy(y2, state1, R * 5L * sizeof(float));
  if (valid) for (long r = 0; r < R; r++) if (!valid[row + r])
    memcpy(y2 + r * 5L, spare1 + (first + r) * 5L, 5L * sizeof(float));
  /* product: 14 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 5, 20, y1 + 0 + g * 0L + i * 0L, 5, 0, (const float *)job->packed[1] + g * u_packed_size_f(5, 20), b14 + g * 20L + i * 20L, 20, 0, 0);
  /* pass: 21 sigmoid, 23 sigmoid, 24 tanh, 26 add, 27 sigmoid, 28 tanh, 29 mul */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = x12[r * 20L + i0 + 5];
  const float e1 = c6[i0 + 5];
  const float e2 = b14[r * 20L + i0 + 5];
  const float e3 = (e1 + e2);
  const float e4 = (e0 + e3);
  const float e5 = u_sigmoid_f(e4);
  const float e6 = x12[r * 20L + i0];
  const float e7 = c6[i0];
  const float e8 = b14[r * 20L + i0];
  const float e9 = (e7 + e8);
  const float e10 = (e6 + e9);
  const float e11 = u_sigmoid_f(e10);
  const float e12 = x12[r * 20L + i0 + 10];
  const float e13 = c6[i0 + 10];
  const float e14 = b14[r * 20L + i0 + 10];
  const float e15 = (e13 + e14);
  const float e16 = (e12 + e15);
  const float e17 = u_tanh_f(e16);
  const float e18 = y2[r * 5L + i0];
  const float e19 = (e5 * e18);
  const float e20 = (e11 * e17);
  const float e21 = (e19 + e20);
  const float e22 = x12[r * 20L + i0 + 15];
  const float e23 = c6[i0 + 15];
  const float e24 = b14[r * 20L + i0 + 15];
  const float e25 = (e23 + e24);
  const float e26 = (e22 + e25);
  const float e27 = u_sigmoid_f(e26);
  const float e28 = u_tanh_f(e21);
  const float e29 = (e27 * e28);
  y21[r * 5L + i0] = e5;
  y23[r * 5L + i0] = e11;
  y24[r * 5L + i0] = e17;
  b26[r * 5L + i0] = e21;
  y27[r * 5L + i0] = e27;
  y28[r * 5L + i0] = e28;
  y29[r * 5L + i0] = e29;
  }
  
  }
  for (long r = 0; r < R; r++) if (!valid || valid[row + r])
    memcpy(state0 + r * 5L, y29 + r * 5L, 5L * sizeof(float));
  for (long r = 0; r < R; r++) if (!valid || valid[row + r])
    memcpy(state1 + r * 5L, b26 + r * 5L, 5L * sizeof(float));
  }
  memcpy(last0 + first * 5L, state0, R * 5L * sizeof(float));
  memcpy(last1 + first * 5L, state1, R * 5L * sizeof(float));
}

__attribute__((visibility("default")))
int u_forward(const long *n, const unsigned char *valid, const unsigned char *restart, void **p,
    u_parallel parallel) {
  void *packed[2] = {0};
  u_job job = {.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4],
    .threads = n[5] > 0 ? n[5] : 1, .valid = valid, .restart = restart, .p = p, .packed = packed,
    .parallel = parallel};
  if (job.T <= 0 || job.B <= 0) return 0;
  const float *c3 = p[0]; (void)c3;
  const float *c4 = p[1]; (void)c4;
  const float *c5 = p[2]; (void)c5;
  const float *c6 = p[3]; (void)c6;
  packed[0] = malloc(1 * u_packed_size_f(3, 20) * sizeof(float));
  if (!packed[0]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(3, 20, c3 + 0 + g * 0L, 1, 3, (float *)packed[0] + g * u_packed_size_f(3, 20));
  packed[1] = malloc(1 * u_packed_size_f(5, 20) * sizeof(float));
  if (!packed[1]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(5, 20, c5 + 0 + g * 0L, 1, 5, (float *)packed[1] + g * u_packed_size_f(5, 20));
  u_run(&job, u_forward_before, job.T * job.B, 48, U_ROUND_UP(20L * 48 * sizeof(float)));
  u_run(&job, u_forward_loop, job.B, 32, U_ROUND_UP(20L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)));
  end:
  for (long i = 0; i < 2; i++) free(packed[i]);
  return job.failed;
}

static void u_backward_loop(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c5 = job->p[0]; (void)c5;
  float *restrict q2 = job->p[2]; (void)q2;
  float *restrict q7 = job->p[3]; (void)q7;
  float *restrict q21 = job->p[4]; (void)q21;
  float *restrict q23 = job->p[5]; (void)q23;
  float *restrict q24 = job->p[6]; (void)q24;
  float *restrict q27 = job->p[7]; (void)q27;
  float *restrict q28 = job->p[8]; (void)q28;
  float *restrict q53 = job->p[9]; (void)q53;
  float *restrict first0 = job->p[11]; (void)first0;
  float *restrict last0 = job->p[12]; (void)last0;
  float *restrict other0 = job->p[13]; (void)other0;
  float *restrict spare0 = job->p[14]; (void)spare0;
  float *restrict first1 = job->p[15]; (void)first1;
  float *restrict last1 = job->p[16]; (void)last1;
  float *restrict other1 = job->p[17]; (void)other1;
  float *restrict spare1 = job->p[18]; (void)spare1;
  float *restrict b8 = (void *)scratch; (void)b8;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict b9 = (void *)scratch; (void)b9;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict b48 = (void *)scratch; (void)b48;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict b54 = (void *)scratch; (void)b54;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict state0 = (void *)scratch; (void)state0;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict state1 = (void *)scratch; (void)state1;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  const long T = job->T, B = job->B;
  const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;
  memcpy(state0, first0 + first * 5L, R * 5L * sizeof(float));
  memcpy(state1, first1 + first * 5L, R * 5L * sizeof(float));
  for (long step = 0; step < T; step++) {
  const long k = T - 1 - step, t = job->reverse ? T - 1 - k : k, row = t * B + first;
  float *restrict x2 = q2 + row * 5L;
  float *restrict x7 = q7 + row * 5L;
  float *restrict x21 = q21 + row * 5L;
  float *restrict x23 = q23 + row * 5L;
  float *restrict x24 = q24 + row * 5L;
  float *restrict x27 = q27 + row * 5L;
  float *restrict x28 = q28 + row * 5L;
  float *restrict y53 = q53 + row * 20L;
  memcpy(b8, state0, R * 5L * sizeof(float));
  if (valid) for (long r = 0; r < R; r++) if (!valid[row + r])
    memset(b8 + r * 5L, 0, 5L * sizeof(float));
  memcpy(b9, state1, R * 5L * sizeof(float));
  if (valid) for (long r = 0; r < R; r++) if (!valid[row + r])
    memset(b9 + r * 5L, 0, 5L * sizeof(float));
  /* pass: 48 mul */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b9[r * 5L + i0];
  const float e1 = b8[r * 5L + i0];
  const float e2 = x7[r * 5L + i0];
  const float e3 = (e1 + e2);
  const float e4 = x27[r * 5L + i0];
  const float e5 = (e3 * e4);
  const float e6 = x28[r * 5L + i0];
  const float e7 = (e6 * e6);
  const float e8 = ((0x1.0000000000000p+0f) - e7);
  const float e9 = (e5 * e8);
  const float e10 = (e0 + e9);
  const float e11 = x21[r * 5L + i0];
  const float e12 = (e10 * e11);
  b48[r * 5L + i0] = e12;
  }
  
  }
  /* cat: 53 cat */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b9[r * 5L + i0];
  const float e1 = b8[r * 5L + i0];
  const float e2 = x7[r * 5L + i0];
  const float e3 = (e1 + e2);
  const float e4 = x27[r * 5L + i0];
  const float e5 = (e3 * e4);
  const float e6 = x28[r * 5L + i0];
  const float e7 = (e6 * e6);
  const float e8 = ((0x1.0000000000000p+0f) - e7);
  const float e9 = (e5 * e8);
  const float e10 = (e0 + e9);
  const float e11 = x24[r * 5L + i0];
  const float e12 = (e10 * e11);
  const float e13 = x23[r * 5L + i0];
  const float e14 = ((0x1.0000000000000p+0f) - e13);
  const float e15 = (e13 * e14);
  const float e16 = (e12 * e15);
  y53[r * 20L + i0] = e16;
  }
  
  }
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b9[r * 5L + i0];
  const float e1 = b8[r * 5L + i0];
  const float e2 = x7[r * 5L + i0];
  const float e3 = (e1 + e2);
  const float e4 = x27[r * 5L + i0];
  const float e5 = (e3 * e4);
  const float e6 = x28[r * 5L + i0];
  const float e7 = (e6 * e6);
  const float e8 = ((0x1.0000000000000p+0f) - e7);
  const float e9 = (e5 * e8);
  const float e10 = (e0 + e9);
  const float e11 = x2[r * 5L + i0];
  const float e12 = (e10 * e11);
  const float e13 = x21[r * 5L + i0];
  const float e14 = ((0x1.0000000000000p+0f) - e13);
  const float e15 = (e13 * e14);
  const float e16 = (e12 * e15);
  y53[r * 20L + i0 + 5] = e16;
  }
  
  }
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b9[r * 5L + i0];
  const float e1 = b8[r * 5L + i0];
  const float e2 = x7[r * 5L + i0];
  const float e3 = (e1 + e2);
  const float e4 = x27[r * 5L + i0];
  const float e5 = (e3 * e4);
  const float e6 = x28[r * 5L + i0];
  const float e7 = (e6 * e6);
  const float e8 = ((0x1.0000000000000p+0f) - e7);
  const float e9 = (e5 * e8);
  const float e10 = (e0 + e9);
  const float e11 = x23[r * 5L + i0];
  const float e12 = (e10 * e11);
  const float e13 = x24[r * 5L + i0];
  const float e14 = (e13 * e13);
  const float e15 = ((0x1.0000000000000p+0f) - e14);
  const float e16 = (e12 * e15);
  y53[r * 20L + i0 + 10] = e16;
  }
  
  }
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b8[r * 5L + i0];
  const float e1 = x7[r * 5L + i0];
  const float e2 = (e0 + e1);
  const float e3 = x28[r * 5L + i0];
  const float e4 = (e2 * e3);
  const float e5 = x27[r * 5L + i0];
  const float e6 = ((0x1.0000000000000p+0f) - e5);
  const float e7 = (e5 * e6);
  const float e8 = (e4 * e7);
  y53[r * 20L + i0 + 15] = e8;
  }
  
  }
  /* product: 54 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 20, 5, y53 + 0 + g * 0L + i * 0L, 20, 0, (const float *)job->packed[0] + g * u_packed_size_f(20, 5), b54 + g * 5L + i * 5L, 5, 0, 0);
  for (long r = 0; r < R; r++) if (!valid || valid[row + r])
    memcpy(state0 + r * 5L, b54 + r * 5L, 5L * sizeof(float));
  if (restart) for (long r = 0; r < R; r++) if (restart[row + r])
    for (long j = 0; j < 5; j++) {
      other0[(first + r) * 5L + j] += state0[r * 5L + j];
      state0[r * 5L + j] = 0; }
  if (job->window && job->done + k > 0 && (job->done + k) % job->window == 0)
    memset(state0, 0, R * 5L * sizeof(float));
  for (long r = 0; r < R; r++) if (!valid || valid[row + r])
    memcpy(state1 + r * 5L, b48 + r * 5L, 5L * sizeof(float));
  if (restart) for (long r = 0; r < R; r++) if (restart[row + r])
    for (long j = 0; j < 5; j++) {
      other1[(first + r) * 5L + j] += state1[r * 5L + j];
      state1[r * 5L + j] = 0; }
  if (job->window && job->done + k > 0 && (job->done + k) % job->window == 0)
    memset(state1, 0, R * 5L * sizeof(float));
  }
  memcpy(last0 + first * 5L, state0, R * 5L * sizeof(float));
  memcpy(last1 + first * 5L, state1, R * 5L * sizeof(float));
}

static void u_backward_after(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c3 = job->p[1]; (void)c3;
  float *restrict q53 = job->p[9]; (void)q53;
  float *restrict q60 = job->p[10]; (void)q60;
  const long row = first;
  float *restrict x53 = q53 + row * 20L;
  float *restrict y60 = q60 + row * 3L;
  /* product: 60 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 20, 3, x53 + 0 + g * 0L + i * 0L, 20, 0, (const float *)job->packed[1] + g * u_packed_size_f(20, 3), y60 + g * 3L + i * 3L, 3, 0, 0);
}

__attribute__((visibility("default")))
int u_backward(const long *n, const unsigned char *valid, const unsigned char *restart, void **p,
    u_parallel parallel) {
  void *packed[2] = {0};
  u_job job = {.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4],
    .threads = n[5] > 0 ? n[5] : 1, .valid = valid, .restart = restart, .p = p, .packed = packed,
    .parallel = parallel};
  if (job.T <= 0 || job.B <= 0) return 0;
  const float *c5 = p[0]; (void)c5;
  const float *c3 = p[1]; (void)c3;
  packed[0] = malloc(1 * u_packed_size_f(20, 5) * sizeof(float));
  if (!packed[0]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(20, 5, c5 + 0 + g * 0L, 5, 1, (float *)packed[0] + g * u_packed_size_f(20, 5));
  packed[1] = malloc(1 * u_packed_size_f(20, 3) * sizeof(float));
  if (!packed[1]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(20, 3, c3 + 0 + g * 0L, 3, 1, (float *)packed[1] + g * u_packed_size_f(20, 3));
  u_run(&job, u_backward_loop, job.B, 32, U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)));
  u_run(&job, u_backward_after, job.T * job.B, 48, 0);
  end:
  for (long i = 0; i < 2; i++) free(packed[i]);
  return job.failed;
}
