/* PyTorch 2.13 */
static void u_forward_before(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c2 = job->p[0]; (void)c2;
  const float *restrict c3 = job->p[1]; (void)c3;
  float *restrict q0 = job->p[4]; (void)q0;
  float *restrict q10 = job->p[5]; (void)q10;
  float *restrict b9 = (void *)scratch; (void)b9;
  scratch += U_ROUND_UP(15L * 48 * sizeof(float));
  const long row = first;
  float *restrict x0 = q0 + row * 3L;
  float *restrict y10 = q10 + row * 15L;
  /* product: 9 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 3, 15, x0 + 0 + g * 0L + i * 0L, 3, 0, (const float *)job->packed[0] + g * u_packed_size_f(3, 15), b9 + g * 15L + i * 15L, 15, 0, 0);
  /* pass: 10 add */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 15; i0++) {
  const float e0 = c3[i0];
  const float e1 = b9[r * 15L + i0];
  const float e2 = (e0 + e1);
  y10[r * 15L + i0] = e2;
  }
  
  }
}

static void u_forward_loop(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c4 = job->p[2]; (void)c4;
  const float *restrict c5 = job->p[3]; (void)c5;
  float *restrict q10 = job->p[5]; (void)q10;
  float *restrict q1 = job->p[6]; (void)q1;
  float *restrict q19 = job->p[7]; (void)q19;
  float *restrict q21 = job->p[8]; (void)q21;
  float *restrict q23 = job->p[9]; (void)q23;
  float *restrict q26 = job->p[10]; (void)q26;
  float *restrict q30 = job->p[11]; (void)q30;
  float *restrict first0 = job->p[12]; (void)first0;
  float *restrict last0 = job->p[13]; (void)last0;
  float *restrict other0 = job->p[14]; (void)other0;
  float *restrict spare0 = job->p[15]; (void)spare0;
  float *restrict b12 = (void *)scratch; (void)b12;
  scratch += U_ROUND_UP(15L * 32 * sizeof(float));
  float *restrict state0 = (void *)scratch; (void)state0;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  const long T = job->T, B = job->B;
  const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;
  memcpy(state0, first0 + first * 5L, R * 5L * sizeof(float));
  for (long step = 0; step < T; step++) {
  const long k = step, t = job->reverse ? T - 1 - k : k, row = t * B + first;
  float *restrict x10 = q10 + row * 15L;
  float *restrict y1 = q1 + row * 5L;
  float *restrict y19 = q19 + row * 5L;
  float *restrict y21 = q21 + row * 5L;
  float *restrict y23 = q23 + row * 5L;
  float *restrict y26 = q26 + row * 5L;
  float *restrict y30 = q30 + row * 5L;
  if (restart) for (long r = 0; r < R; r++) if (restart[row + r])
    memcpy(state0 + r * 5L, other0 + (first + r) * 5L, 5L * sizeof(float));
  memcpy(y1, state0, R * 5L * sizeof(float));
  if (valid) for (long r = 0; r < R; r++) if (!valid[row + r])
    memcpy(y1 + r * 5L, spare0 + (first + r) * 5L, 5L * sizeof(float));
  /* product: 12 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 5, 15, y1 + 0 + g * 0L + i * 0L, 5, 0, (const float *)job->packed[1] + g * u_packed_size_f(5, 15), b12 + g * 15L + i * 15L, 15, 0, 0);
  /* pass: 19 slice, 21 sigmoid, 23 sigmoid, 26 tanh, 30 add */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = c5[i0 + 10];
  const float e1 = b12[r * 15L + i0 + 10];
  const float e2 = (e0 + e1);
  const float e3 = x10[r * 15L + i0];
  const float e4 = c5[i0];
  const float e5 = b12[r * 15L + i0];
  const float e6 = (e4 + e5);
  const float e7 = (e3 + e6);
  const float e8 = u_sigmoid_f(e7);
  const float e9 = x10[r * 15L + i0 + 5];
  const float e10 = c5[i0 + 5];
  const float e11 = b12[r * 15L + i0 + 5];
  const float e12 = (e10 + e11);
  const float e13 = (e9 + e12);
  const float e14 = u_sigmoid_f(e13);
  const float e15 = x10[r * 15L + i0 + 10];
  const float e16 = (e8 * e2);
  const float e17 = (e15 + e16);
  const float e18 = u_tanh_f(e17);
  const float e19 = ((0x1.0000000000000p+0f) - e14);
  const float e20 = (e19 * e18);
  const float e21 = y1[r * 5L + i0];
  const float e22 = (e14 * e21);
  const float e23 = (e20 + e22);
  y19[r * 5L + i0] = e2;
  y21[r * 5L + i0] = e8;
  y23[r * 5L + i0] = e14;
  y26[r * 5L + i0] = e18;
  y30[r * 5L + i0] = e23;
  }
  
  }
  for (long r = 0; r < R; r++) if (!valid || valid[row + r])
    memcpy(state0 + r * 5L, y30 + r * 5L, 5L * sizeof(float));
  }
  memcpy(last0 + first * 5L, state0, R * 5L * sizeof(float));
}

__attribute__((visibility("default")))
int u_forward(const long *n, const unsigned char *valid, const unsigned char *restart, void **p,
    u_parallel parallel) {
  void *packed[2] = {0};
  u_job job = {.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4],
    .threads = n[5] > 0 ? n[5] : 1, .valid = valid, .restart = restart, .p = p, .packed = packed,
    .parallel = parallel};
  if (job.T <= 0 || job.B <= 0) return 0;
  const float *c2 = p[0]; (void)c2;
  const float *c3 = p[1]; (void)c3;
  const float *c4 = p[2]; (void)c4;
  const float *c5 = p[3]; (void)c5;
  packed[0] = malloc(1 * u_packed_size_f(3, 15) * sizeof(float));
  if (!packed[0]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(3, 15, c2 + 0 + g * 0L, 1, 3, (float *)packed[0] + g * u_packed_size_f(3, 15));
  packed[1] = malloc(1 * u_packed_size_f(5, 15) * sizeof(float));
  if (!packed[1]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(5, 15, c4 + 0 + g * 0L, 1, 5, (float *)packed[1] + g * u_packed_size_f(5, 15));
  u_run(&job, u_forward_before, job.T * job.B, 48, U_ROUND_UP(15L * 48 * sizeof(float)));
  u_run(&job, u_forward_loop, job.B, 32, U_ROUND_UP(15L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)));
  end:
  for (long i = 0; i < 2; i++) free(packed[i]);
  return job.failed;
}

static void u_backward_loop(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c4 = job->p[0]; (void)c4;
  float *restrict q1 = job->p[2]; (void)q1;
  float *restrict q6 = job->p[3]; (void)q6;
  float *restrict q19 = job->p[4]; (void)q19;
  float *restrict q21 = job->p[5]; (void)q21;
  float *restrict q23 = job->p[6]; (void)q23;
  float *restrict q26 = job->p[7]; (void)q26;
  float *restrict q48 = job->p[8]; (void)q48;
  float *restrict q49 = job->p[9]; (void)q49;
  float *restrict first0 = job->p[11]; (void)first0;
  float *restrict last0 = job->p[12]; (void)last0;
  float *restrict other0 = job->p[13]; (void)other0;
  float *restrict spare0 = job->p[14]; (void)spare0;
  float *restrict b7 = (void *)scratch; (void)b7;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict b50 = (void *)scratch; (void)b50;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict b56 = (void *)scratch; (void)b56;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict state0 = (void *)scratch; (void)state0;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  const long T = job->T, B = job->B;
  const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;
  memcpy(state0, first0 + first * 5L, R * 5L * sizeof(float));
  for (long step = 0; step < T; step++) {
  const long k = T - 1 - step, t = job->reverse ? T - 1 - k : k, row = t * B + first;
  float *restrict x1 = q1 + row * 5L;
  float *restrict x6 = q6 + row * 5L;
  float *restrict x19 = q19 + row * 5L;
  float *restrict x21 = q21 + row * 5L;
  float *restrict x23 = q23 + row * 5L;
  float *restrict x26 = q26 + row * 5L;
  float *restrict y48 = q48 + row * 15L;
  float *restrict y49 = q49 + row * 15L;
  memcpy(b7, state0, R * 5L * sizeof(float));
  if (valid) for (long r = 0; r < R; r++) if (!valid[row + r])
    memset(b7 + r * 5L, 0, 5L * sizeof(float));
  /* cat: 48 cat */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b7[r * 5L + i0];
  const float e1 = x6[r * 5L + i0];
  const float e2 = (e0 + e1);
  const float e3 = x23[r * 5L + i0];
  const float e4 = ((0x1.0000000000000p+0f) - e3);
  const float e5 = (e2 * e4);
  const float e6 = x26[r * 5L + i0];
  const float e7 = (e6 * e6);
  const float e8 = ((0x1.0000000000000p+0f) - e7);
  const float e9 = (e5 * e8);
  const float e10 = x19[r * 5L + i0];
  const float e11 = (e9 * e10);
  const float e12 = x21[r * 5L + i0];
  const float e13 = ((0x1.0000000000000p+0f) - e12);
  const float e14 = (e12 * e13);
  const float e15 = (e11 * e14);
  y48[r * 15L + i0] = e15;
  }
  
  }
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b7[r * 5L + i0];
  const float e1 = x6[r * 5L + i0];
  const float e2 = (e0 + e1);
  const float e3 = x1[r * 5L + i0];
  const float e4 = (e2 * e3);
  const float e5 = x26[r * 5L + i0];
  const float e6 = (e2 * e5);
  const float e7 = (-e6);
  const float e8 = (e4 + e7);
  const float e9 = x23[r * 5L + i0];
  const float e10 = ((0x1.0000000000000p+0f) - e9);
  const float e11 = (e9 * e10);
  const float e12 = (e8 * e11);
  y48[r * 15L + i0 + 5] = e12;
  }
  
  }
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b7[r * 5L + i0];
  const float e1 = x6[r * 5L + i0];
  const float e2 = (e0 + e1);
  const float e3 = x23[r * 5L + i0];
  const float e4 = ((0x1.0000000000000p+0f) - e3);
  const float e5 = (e2 * e4);
  const float e6 = x26[r * 5L + i0];
  const float e7 = (e6 * e6);
  const float e8 = ((0x1.0000000000000p+0f) - e7);
  const float e9 = (e5 * e8);
  const float e10 = x21[r * 5L + i0];
  const float e11 = (e9 * e10);
  y48[r * 15L + i0 + 10] = e11;
  }
  
  }
  /* cat: 49 cat */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b7[r * 5L + i0];
  const float e1 = x6[r * 5L + i0];
  const float e2 = (e0 + e1);
  const float e3 = x23[r * 5L + i0];
  const float e4 = ((0x1.0000000000000p+0f) - e3);
  const float e5 = (e2 * e4);
  const float e6 = x26[r * 5L + i0];
  const float e7 = (e6 * e6);
  const float e8 = ((0x1.0000000000000p+0f) - e7);
  const float e9 = (e5 * e8);
  const float e10 = x19[r * 5L + i0];
  const float e11 = (e9 * e10);
  const float e12 = x21[r * 5L + i0];
  const float e13 = ((0x1.0000000000000p+0f) - e12);
  const float e14 = (e12 * e13);
  const float e15 = (e11 * e14);
  y49[r * 15L + i0] = e15;
  }
  
  }
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b7[r * 5L + i0];
  const float e1 = x6[r * 5L + i0];
  const float e2 = (e0 + e1);
  const float e3 = x1[r * 5L + i0];
  const float e4 = (e2 * e3);
  const float e5 = x26[r * 5L + i0];
  const float e6 = (e2 * e5);
  const float e7 = (-e6);
  const float e8 = (e4 + e7);
  const float e9 = x23[r * 5L + i0];
  const float e10 = ((0x1.0000000000000p+0f) - e9);
  const float e11 = (e9 * e10);
  const float e12 = (e8 * e11);
  y49[r * 15L + i0 + 5] = e12;
  }
  
  }
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b7[r * 5L + i0];
  const float e1 = x6[r * 5L + i0];
  const float e2 = (e0 + e1);
  const float e3 = x23[r * 5L + i0];
  const float e4 = ((0x1.0000000000000p+0f) - e3);
  const float e5 = (e2 * e4);
  const float e6 = x26[r * 5L + i0];
  const float e7 = (e6 * e6);
  const float e8 = ((0x1.0000000000000p+0f) - e7);
  const float e9 = (e5 * e8);
  y49[r * 15L + i0 + 10] = e9;
  }
  
  }
  /* product: 50 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 15, 5, y48 + 0 + g * 0L + i * 0L, 15, 0, (const float *)job->packed[0] + g * u_packed_size_f(15, 5), b50 + g * 5L + i * 5L, 5, 0, 0);
  /* pass: 56 add */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b7[r * 5L + i0];
  const float e1 = x6[r * 5L + i0];
  const float e2 = (e0 + e1);
  const float e3 = x23[r * 5L + i0];
  const float e4 = (e2 * e3);
  const float e5 = b50[r * 5L + i0];
  const float e6 = (e4 + e5);
  b56[r * 5L + i0] = e6;
  }
  
  }
  for (long r = 0; r < R; r++) if (!valid || valid[row + r])
    memcpy(state0 + r * 5L, b56 + r * 5L, 5L * sizeof(float));
  if (restart) for (long r = 0; r < R; r++) if (restart[row + r])
    for (long j = 0; j < 5; j++) {
      other0[(first + r) * 5L + j] += state0[r * 5L + j];
      state0[r * 5L + j] = 0; }
  if (job->window && job->done + k > 0 && (job->done + k) % job->window == 0)
    memset(state0, 0, R * 5L * sizeof(float));
  }
  memcpy(last0 + first * 5L, state0, R * 5L * sizeof(float));
}

static void u_backward_after(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c2 = job->p[1]; (void)c2;
  float *restrict q49 = job->p[9]; (void)q49;
  float *restrict q57 = job->p[10]; (void)q57;
  const long row = first;
  float *restrict x49 = q49 + row * 15L;
  float *restrict y57 = q57 + row * 3L;
  /* product: 57 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 15, 3, x49 + 0 + g * 0L + i * 0L, 15, 0, (const float *)job->packed[1] + g * u_packed_size_f(15, 3), y57 + g * 3L + i * 3L, 3, 0, 0);
}

__attribute__((visibility("default")))
int u_backward(const long *n, const unsigned char *valid, const unsigned char *restart, void **p,
    u_parallel parallel) {
  void *packed[2] = {0};
  u_job job = {.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4],
    .threads = n[5] > 0 ? n[5] : 1, .valid = valid, .restart = restart, .p = p, .packed = packed,
    .parallel = parallel};
  if (job.T <= 0 || job.B <= 0) return 0;
  const float *c4 = p[0]; (void)c4;
  const float *c2 = p[1]; (void)c2;
  packed[0] = malloc(1 * u_packed_size_f(15, 5) * sizeof(float));
  if (!packed[0]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(15, 5, c4 + 0 + g * 0L, 5, 1, (float *)packed[0] + g * u_packed_size_f(15, 5));
  packed[1] = malloc(1 * u_packed_size_f(15, 3) * sizeof(float));
  if (!packed[1]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(15, 3, c2 + 0 + g * 0L, 3, 1, (float *)packed[1] + g * u_packed_size_f(15, 3));
  u_run(&job, u_backward_loop, job.B, 32, U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)));
  u_run(&job, u_backward_after, job.T * job.B, 48, 0);
  end:
  for (long i = 0; i < 2; i++) free(packed[i]);
  return job.failed;
}
