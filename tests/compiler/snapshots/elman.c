/* PyTorch 2.13 */
static void u_forward_before(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c2 = job->p[0]; (void)c2;
  const float *restrict c3 = job->p[1]; (void)c3;
  float *restrict q0 = job->p[3]; (void)q0;
  float *restrict q9 = job->p[4]; (void)q9;
  float *restrict b8 = (void *)scratch; (void)b8;
  scratch += U_ROUND_UP(5L * 48 * sizeof(float));
  const long row = first;
  float *restrict x0 = q0 + row * 3L;
  float *restrict y9 = q9 + row * 5L;
  /* product: 8 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 3, 5, x0 + 0 + g * 0L + i * 0L, 3, 0, (const float *)job->packed[0] + g * u_packed_size_f(3, 5), b8 + g * 5L + i * 5L, 5, 0, 0);
  /* pass: 9 add */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = c3[i0];
  const float e1 = b8[r * 5L + i0];
  const float e2 = (e0 + e1);
  y9[r * 5L + i0] = e2;
  }
  
  }
}

static void u_forward_loop(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c4 = job->p[2]; (void)c4;
  float *restrict q9 = job->p[4]; (void)q9;
  float *restrict q1 = job->p[5]; (void)q1;
  float *restrict q13 = job->p[6]; (void)q13;
  float *restrict first0 = job->p[7]; (void)first0;
  float *restrict last0 = job->p[8]; (void)last0;
  float *restrict other0 = job->p[9]; (void)other0;
  float *restrict spare0 = job->p[10]; (void)spare0;
  float *restrict b11 = (void *)scratch; (void)b11;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict state0 = (void *)scratch; (void)state0;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  const long T = job->T, B = job->B;
  const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;
  memcpy(state0, first0 + first * 5L, R * 5L * sizeof(float));
  for (long step = 0; step < T; step++) {
  const long k = step, t = job->reverse ? T - 1 - k : k, row = t * B + first;
  float *restrict x9 = q9 + row * 5L;
  float *restrict y1 = q1 + row * 5L;
  float *restrict y13 = q13 + row * 5L;
  if (restart) for (long r = 0; r < R; r++) if (restart[row + r])
    memcpy(state0 + r * 5L, other0 + (first + r) * 5L, 5L * sizeof(float));
  memcpy(y1, state0, R * 5L * sizeof(float));
  if (valid) for (long r = 0; r < R; r++) if (!valid[row + r])
    memcpy(y1 + r * 5L, spare0 + (first + r) * 5L, 5L * sizeof(float));
  /* product: 11 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 5, 5, y1 + 0 + g * 0L + i * 0L, 5, 0, (const float *)job->packed[1] + g * u_packed_size_f(5, 5), b11 + g * 5L + i * 5L, 5, 0, 0);
  /* pass: 13 tanh */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = x9[r * 5L + i0];
  const float e1 = b11[r * 5L + i0];
  const float e2 = (e0 + e1);
  const float e3 = u_tanh_f(e2);
  y13[r * 5L + i0] = e3;
  }
  
  }
  for (long r = 0; r < R; r++) if (!valid || valid[row + r])
    memcpy(state0 + r * 5L, y13 + r * 5L, 5L * sizeof(float));
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
  packed[0] = malloc(1 * u_packed_size_f(3, 5) * sizeof(float));
  if (!packed[0]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(3, 5, c2 + 0 + g * 0L, 1, 3, (float *)packed[0] + g * u_packed_size_f(3, 5));
  packed[1] = malloc(1 * u_packed_size_f(5, 5) * sizeof(float));
  if (!packed[1]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(5, 5, c4 + 0 + g * 0L, 1, 5, (float *)packed[1] + g * u_packed_size_f(5, 5));
  u_run(&job, u_forward_before, job.T * job.B, 48, U_ROUND_UP(5L * 48 * sizeof(float)));
  u_run(&job, u_forward_loop, job.B, 32, U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)));
  end:
  for (long i = 0; i < 2; i++) free(packed[i]);
  return job.failed;
}

static void u_backward_loop(const u_job *job, long first, long R, char *scratch) {
  const float *restrict c4 = job->p[0]; (void)c4;
  float *restrict q5 = job->p[2]; (void)q5;
  float *restrict q13 = job->p[3]; (void)q13;
  float *restrict q17 = job->p[4]; (void)q17;
  float *restrict first0 = job->p[6]; (void)first0;
  float *restrict last0 = job->p[7]; (void)last0;
  float *restrict other0 = job->p[8]; (void)other0;
  float *restrict spare0 = job->p[9]; (void)spare0;
  float *restrict b6 = (void *)scratch; (void)b6;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict b21 = (void *)scratch; (void)b21;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  float *restrict state0 = (void *)scratch; (void)state0;
  scratch += U_ROUND_UP(5L * 32 * sizeof(float));
  const long T = job->T, B = job->B;
  const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;
  memcpy(state0, first0 + first * 5L, R * 5L * sizeof(float));
  for (long step = 0; step < T; step++) {
  const long k = T - 1 - step, t = job->reverse ? T - 1 - k : k, row = t * B + first;
  float *restrict x5 = q5 + row * 5L;
  float *restrict x13 = q13 + row * 5L;
  float *restrict y17 = q17 + row * 5L;
  memcpy(b6, state0, R * 5L * sizeof(float));
  if (valid) for (long r = 0; r < R; r++) if (!valid[row + r])
    memset(b6 + r * 5L, 0, 5L * sizeof(float));
  /* pass: 17 mul */
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = 0; i0 < 5; i0++) {
  const float e0 = b6[r * 5L + i0];
  const float e1 = x5[r * 5L + i0];
  const float e2 = (e0 + e1);
  const float e3 = x13[r * 5L + i0];
  const float e4 = (e3 * e3);
  const float e5 = ((0x1.0000000000000p+0f) - e4);
  const float e6 = (e2 * e5);
  y17[r * 5L + i0] = e6;
  }
  
  }
  /* product: 21 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 5, 5, y17 + 0 + g * 0L + i * 0L, 5, 0, (const float *)job->packed[0] + g * u_packed_size_f(5, 5), b21 + g * 5L + i * 5L, 5, 0, 0);
  for (long r = 0; r < R; r++) if (!valid || valid[row + r])
    memcpy(state0 + r * 5L, b21 + r * 5L, 5L * sizeof(float));
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
  float *restrict q17 = job->p[4]; (void)q17;
  float *restrict q22 = job->p[5]; (void)q22;
  const long row = first;
  float *restrict x17 = q17 + row * 5L;
  float *restrict y22 = q22 + row * 3L;
  /* product: 22 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_product_f(1, R, 5, 3, x17 + 0 + g * 0L + i * 0L, 5, 0, (const float *)job->packed[1] + g * u_packed_size_f(5, 3), y22 + g * 3L + i * 3L, 3, 0, 0);
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
  packed[0] = malloc(1 * u_packed_size_f(5, 5) * sizeof(float));
  if (!packed[0]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(5, 5, c4 + 0 + g * 0L, 5, 1, (float *)packed[0] + g * u_packed_size_f(5, 5));
  packed[1] = malloc(1 * u_packed_size_f(5, 3) * sizeof(float));
  if (!packed[1]) { job.failed = 1; goto end; }
  for (long g = 0; g < 1; g++) u_pack_f(5, 3, c2 + 0 + g * 0L, 3, 1, (float *)packed[1] + g * u_packed_size_f(5, 3));
  u_run(&job, u_backward_loop, job.B, 32, U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)) + U_ROUND_UP(5L * 32 * sizeof(float)));
  u_run(&job, u_backward_after, job.T * job.B, 48, 0);
  end:
  for (long i = 0; i < 2; i++) free(packed[i]);
  return job.failed;
}
