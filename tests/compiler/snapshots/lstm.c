/* PyTorch 2.13 */
static void u_forward_before(const u_slice *s, long R, long low, long begin, long C) {
  u_job *job = s->job;
  const long B = job->B; (void)B;
  const float *restrict c3 = job->p[0]; (void)c3;
  const float *restrict c4 = job->p[1]; (void)c4;
  float *restrict q0 = job->p[4]; (void)q0;
  float *restrict z12 = (void *)(s->scratch + job->at[0]); (void)z12;
  float *restrict b11 = (void *)(s->scratch + job->at[1]); (void)b11;
  float *restrict x0 = q0 + (low * B + s->first) * 3L;
  /* product: 11 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_shared_product_f(s, C, R, 3, 20, x0 + 0 + g * 0L + i * 0L, 3, B * 3L, (const float *)job->packed[1] + g * u_packed_size_f(3, 20), b11 + g * 20L + i * 20L, 20, R * 20L, 20);
  u_wait(s);
  /* pass: 12 add */
  { const long begin = u_from(s, 20), end = u_to(s, 20);
  for (long c = 0; c < C; c++) {
  
  for (long row = 0; row < R; row++) {
  const long r = c * R + row, q = c * B + row; (void)r; (void)q;
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
  const float e0 = c4[i0];
  const float e1 = b11[r * 20L + i0];
  const float e2 = (e0 + e1);
  z12[r * 20L + i0] = e2;
  }
  } }
  }
}

static void u_forward_loop(const u_slice *s, long R, long low, long begin, long C) {
  u_job *job = s->job;
  const long B = job->B; (void)B;
  const float *restrict c5 = job->p[2]; (void)c5;
  const float *restrict c6 = job->p[3]; (void)c6;
  float *restrict q1 = job->p[5]; (void)q1;
  float *restrict q2 = job->p[6]; (void)q2;
  float *restrict q21 = job->p[7]; (void)q21;
  float *restrict q23 = job->p[8]; (void)q23;
  float *restrict q24 = job->p[9]; (void)q24;
  float *restrict q27 = job->p[10]; (void)q27;
  float *restrict q28 = job->p[11]; (void)q28;
  float *restrict q29 = job->p[12]; (void)q29;
  float *restrict first0 = job->p[13]; (void)first0;
  float *restrict last0 = job->p[14]; (void)last0;
  float *restrict other0 = job->p[15]; (void)other0;
  float *restrict spare0 = job->p[16]; (void)spare0;
  float *restrict first1 = job->p[17]; (void)first1;
  float *restrict last1 = job->p[18]; (void)last1;
  float *restrict other1 = job->p[19]; (void)other1;
  float *restrict spare1 = job->p[20]; (void)spare1;
  float *restrict z12 = (void *)(s->scratch + job->at[0]); (void)z12;
  float *restrict b14 = (void *)(s->scratch + job->at[2]); (void)b14;
  float *restrict b26 = (void *)(s->scratch + job->at[3]); (void)b26;
  float *restrict state0 = (void *)(s->scratch + job->at[4]); (void)state0;
  float *restrict state1 = (void *)(s->scratch + job->at[5]); (void)state1;
  const long T = job->T;
  const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;
  for (long step = 0; step < C; step++) {
  const long k = begin + step, t = job->reverse ? T - 1 - k : k, row = t * B + s->first, c = t - low;
  (void)row; (void)c;
  float *restrict x12 = z12 + c * R * 20L;
  float *restrict y1 = q1 + row * 5L;
  float *restrict y2 = q2 + row * 5L;
  float *restrict y21 = q21 + row * 5L;
  float *restrict y23 = q23 + row * 5L;
  float *restrict y24 = q24 + row * 5L;
  float *restrict y27 = q27 + row * 5L;
  float *restrict y28 = q28 + row * 5L;
  float *restrict y29 = q29 + row * 5L;
  if (restart) u_take(s, R, 5L, sizeof(float), state0, other0 + s->first * 5L, restart + row, 1);
  u_take(s, R, 5L, sizeof(float), y1, state0, 0, 0);
  if (valid) u_take(s, R, 5L, sizeof(float), y1, spare0 + s->first * 5L, valid + row, 0);
  if (restart) u_take(s, R, 5L, sizeof(float), state1, other1 + s->first * 5L, restart + row, 1);
  u_take(s, R, 5L, sizeof(float), y2, state1, 0, 0);
  if (valid) u_take(s, R, 5L, sizeof(float), y2, spare1 + s->first * 5L, valid + row, 0);
  u_wait(s);
  /* product: 14 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_shared_product_f(s, 1, R, 5, 20, y1 + 0 + g * 0L + i * 0L, 5, R * 5L, (const float *)job->packed[0] + g * u_packed_size_f(5, 20), b14 + g * 20L + i * 20L, 20, R * 20L, 5);
  u_wait(s);
  /* pass: 21 sigmoid, 23 sigmoid, 24 tanh, 26 add, 27 sigmoid, 28 tanh, 29 mul */
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  u_take(s, R, 5L, sizeof(float), state0, y29, valid ? valid + row : 0, 1);
  u_take(s, R, 5L, sizeof(float), state1, b26, valid ? valid + row : 0, 1);
  }
}

static void u_forward_rows(const u_slice *s) {
  u_job *job = s->job;
  const long T = job->T;
  float *restrict q1 = job->p[5]; (void)q1;
  float *restrict q2 = job->p[6]; (void)q2;
  float *restrict q21 = job->p[7]; (void)q21;
  float *restrict q23 = job->p[8]; (void)q23;
  float *restrict q24 = job->p[9]; (void)q24;
  float *restrict q27 = job->p[10]; (void)q27;
  float *restrict q28 = job->p[11]; (void)q28;
  float *restrict q29 = job->p[12]; (void)q29;
  float *restrict first0 = job->p[13]; (void)first0;
  float *restrict last0 = job->p[14]; (void)last0;
  float *restrict first1 = job->p[17]; (void)first1;
  float *restrict last1 = job->p[18]; (void)last1;
  float *restrict state0 = (void *)(s->scratch + job->at[4]);
  float *restrict state1 = (void *)(s->scratch + job->at[5]);
  u_take(s, s->R, 5L, sizeof(float), state0, first0 + s->first * 5L, 0, 0);
  u_take(s, s->R, 5L, sizeof(float), state1, first1 + s->first * 5L, 0, 0);
  for (long chunk = 0; chunk < job->chunks; chunk++) {
  const long place = chunk;
  const long begin = place * job->chunk, C = T - begin < job->chunk ? T - begin : job->chunk;
  const long low = job->reverse ? T - begin - C : begin;
  const long R = u_active(s, low, C);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q1);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q2);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q21);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q23);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q24);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q27);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q28);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q29);
  u_wait(s);
  if (R) u_forward_before(s, R, low, begin, C);
  u_wait(s);
  u_forward_loop(s, R, low, begin, C);
  }
  u_take(s, s->R, 5L, sizeof(float), last0 + s->first * 5L, state0, 0, 0);
  u_take(s, s->R, 5L, sizeof(float), last1 + s->first * 5L, state1, 0, 0);
}

static void u_forward_total(u_job *job, long me, long team) {
  const long rows = job->T * job->B; (void)rows; (void)me; (void)team;
  void *workspace = job->memory + job->totals + me * job->workspace; (void)workspace;
}

static void u_forward_pack(u_job *job, long me, long team) { (void)job; (void)me; (void)team;
const float *c5 = job->p[2]; (void)c5;
const float *c3 = job->p[0]; (void)c3;
if (!(job->kept >> 0 & 1)) for (long g = 0; g < 1; g++) u_pack_panels_f(5, 20, c5 + 0 + g * 0L, 1, 5, (float *)job->packed[0] + g * u_packed_size_f(5, 20), u_panels_f(20) * me / team, u_panels_f(20) * (me + 1) / team);
if (!(job->kept >> 1 & 1)) for (long g = 0; g < 1; g++) u_pack_panels_f(3, 20, c3 + 0 + g * 0L, 1, 3, (float *)job->packed[1] + g * u_packed_size_f(3, 20), u_panels_f(20) * me / team, u_panels_f(20) * (me + 1) / team);
}
static long u_forward_place(u_job *job, long *at) { (void)at;
u_schedule(job, 100.0);
const long rows = job->slice; long size = 0; (void)rows;
at[0] = size; size += U_ROUND_UP(20L * rows * job->chunk * (long)sizeof(float));
at[1] = size; size += U_ROUND_UP(20L * rows * job->chunk * (long)sizeof(float));
at[2] = size; size += U_ROUND_UP(20L * rows * (long)sizeof(float));
at[3] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
at[4] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
at[5] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
job->scratch = size;
size *= job->together ? 1 : job->threads;
if (!job->packed[0]) { job->packed[0] = job->memory + size; size += U_ROUND_UP(1 * u_packed_size_f(5, 20) * (long)sizeof(float)); }
if (!job->packed[1]) { job->packed[1] = job->memory + size; size += U_ROUND_UP(1 * u_packed_size_f(3, 20) * (long)sizeof(float)); }
job->workspace = 0;
job->totals = size;
return size + job->threads * job->workspace;
}
__attribute__((visibility("default"))) void u_forward_packed(long *sizes) { (void)sizes;
sizes[0] = 1 * u_packed_size_f(5, 20) * (long)sizeof(float);
sizes[1] = 1 * u_packed_size_f(3, 20) * (long)sizeof(float);
}
__attribute__((visibility("default"))) long u_forward_memory(const long *n, const u_habits *habits) {
long at[6]; void *packed[2] = {0};
u_job job = {.T = n[0], .B = n[1], .threads = n[5], .kept = n[6], .packed = packed,
  .habits = habits};
return job.T > 0 && job.B > 0 ? u_forward_place(&job, at) + 64 : 0;
}
__attribute__((visibility("default"))) void u_forward(const long *n, const unsigned char *valid, const unsigned char *restart,
    void **p, void **packed, const u_pool *pool, const u_habits *habits, char *memory) {
long at[6];
u_job job = {.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4], .threads = n[5],
  .kept = n[6], .valid = valid, .restart = restart, .p = p, .packed = packed, .pool = pool,
  .habits = habits, .at = at,
  .memory = (char *)U_ROUND_UP((uintptr_t)memory), .pack = u_forward_pack, .run = u_forward_rows,
  .total = 0}; (void)u_forward_total;
if (job.T <= 0 || job.B <= 0) return;
if (job.kept) {
const float *c5 = job.p[2]; (void)c5;
const float *c3 = job.p[0]; (void)c3;
if (job.kept >> 0 & 1 && !(u_pack_holds_f(5, 20, c5 + 0 + 0 * 0L, 1, 5, (const float *)packed[0] + 0 * u_packed_size_f(5, 20)))) job.kept &= ~(1UL << 0);
if (job.kept >> 1 & 1 && !(u_pack_holds_f(3, 20, c3 + 0 + 0 * 0L, 1, 3, (const float *)packed[1] + 0 * u_packed_size_f(3, 20)))) job.kept &= ~(1UL << 1);
}
if (job.kept == 3UL && 2 <= 63) job.pack = 0;
u_forward_place(&job, at);
u_run(&job);
}
__attribute__((visibility("default"))) void u_forward_again(const u_call *call) {
u_forward(call->n, 0, 0, call->p, call->packed, call->pool, call->habits, call->memory);
}

static void u_backward_loop(const u_slice *s, long R, long low, long begin, long C) {
  u_job *job = s->job;
  const long B = job->B; (void)B;
  const float *restrict c5 = job->p[0]; (void)c5;
  float *restrict q2 = job->p[2]; (void)q2;
  float *restrict q7 = job->p[3]; (void)q7;
  float *restrict q21 = job->p[4]; (void)q21;
  float *restrict q23 = job->p[5]; (void)q23;
  float *restrict q24 = job->p[6]; (void)q24;
  float *restrict q27 = job->p[7]; (void)q27;
  float *restrict q28 = job->p[8]; (void)q28;
  float *restrict q53 = job->p[11]; (void)q53;
  float *restrict first0 = job->p[16]; (void)first0;
  float *restrict last0 = job->p[17]; (void)last0;
  float *restrict other0 = job->p[18]; (void)other0;
  float *restrict spare0 = job->p[19]; (void)spare0;
  float *restrict first1 = job->p[20]; (void)first1;
  float *restrict last1 = job->p[21]; (void)last1;
  float *restrict other1 = job->p[22]; (void)other1;
  float *restrict spare1 = job->p[23]; (void)spare1;
  float *restrict b8 = (void *)(s->scratch + job->at[0]); (void)b8;
  float *restrict b9 = (void *)(s->scratch + job->at[1]); (void)b9;
  float *restrict b48 = (void *)(s->scratch + job->at[2]); (void)b48;
  float *restrict b54 = (void *)(s->scratch + job->at[3]); (void)b54;
  float *restrict state0 = (void *)(s->scratch + job->at[4]); (void)state0;
  float *restrict state1 = (void *)(s->scratch + job->at[5]); (void)state1;
  const long T = job->T;
  const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;
  for (long step = 0; step < C; step++) {
  const long k = begin + C - 1 - step, t = job->reverse ? T - 1 - k : k, row = t * B + s->first, c = t - low;
  (void)row; (void)c;
  float *restrict x2 = q2 + row * 5L;
  float *restrict x7 = q7 + row * 5L;
  float *restrict x21 = q21 + row * 5L;
  float *restrict x23 = q23 + row * 5L;
  float *restrict x24 = q24 + row * 5L;
  float *restrict x27 = q27 + row * 5L;
  float *restrict x28 = q28 + row * 5L;
  float *restrict y53 = q53 + row * 20L;
  u_take(s, R, 5L, sizeof(float), b8, state0, 0, 0);
  if (valid) u_clear(s, R, 5L, sizeof(float), b8, valid + row, 0);
  u_take(s, R, 5L, sizeof(float), b9, state1, 0, 0);
  if (valid) u_clear(s, R, 5L, sizeof(float), b9, valid + row, 0);
  /* pass: 48 mul */
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  /* cat: 53 cat */
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  u_wait(s);
  /* product: 54 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_shared_product_f(s, 1, R, 20, 5, y53 + 0 + g * 0L + i * 0L, 20, R * 20L, (const float *)job->packed[0] + g * u_packed_size_f(20, 5), b54 + g * 5L + i * 5L, 5, R * 5L, 5);
  u_wait(s);
  u_take(s, R, 5L, sizeof(float), state0, b54, valid ? valid + row : 0, 1);
  if (restart) for (long r = 0; r < R; r++) if (restart[row + r])
    for (long j = u_from(s, 5); j < u_to(s, 5); j++) {
      other0[(s->first + r) * 5L + j] += state0[r * 5L + j];
      state0[r * 5L + j] = 0; }
  if (job->window && job->done + k > 0 && (job->done + k) % job->window == 0)
    u_clear(s, s->R, 5L, sizeof(float), state0, 0, 1);
  u_take(s, R, 5L, sizeof(float), state1, b48, valid ? valid + row : 0, 1);
  if (restart) for (long r = 0; r < R; r++) if (restart[row + r])
    for (long j = u_from(s, 5); j < u_to(s, 5); j++) {
      other1[(s->first + r) * 5L + j] += state1[r * 5L + j];
      state1[r * 5L + j] = 0; }
  if (job->window && job->done + k > 0 && (job->done + k) % job->window == 0)
    u_clear(s, s->R, 5L, sizeof(float), state1, 0, 1);
  }
}

static void u_backward_after(const u_slice *s, long R, long low, long begin, long C) {
  u_job *job = s->job;
  const long B = job->B; (void)B;
  const float *restrict c3 = job->p[1]; (void)c3;
  float *restrict q53 = job->p[11]; (void)q53;
  float *restrict q60 = job->p[12]; (void)q60;
  float *restrict x53 = q53 + (low * B + s->first) * 20L;
  float *restrict y60 = q60 + (low * B + s->first) * 3L;
  /* product: 60 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_shared_product_f(s, C, R, 20, 3, x53 + 0 + g * 0L + i * 0L, 20, B * 20L, (const float *)job->packed[1] + g * u_packed_size_f(20, 3), y60 + g * 3L + i * 3L, 3, B * 3L, 3);
}

static void u_backward_rows(const u_slice *s) {
  u_job *job = s->job;
  const long T = job->T;
  float *restrict q53 = job->p[11]; (void)q53;
  float *restrict q60 = job->p[12]; (void)q60;
  float *restrict first0 = job->p[16]; (void)first0;
  float *restrict last0 = job->p[17]; (void)last0;
  float *restrict first1 = job->p[20]; (void)first1;
  float *restrict last1 = job->p[21]; (void)last1;
  float *restrict state0 = (void *)(s->scratch + job->at[4]);
  float *restrict state1 = (void *)(s->scratch + job->at[5]);
  u_take(s, s->R, 5L, sizeof(float), state0, first0 + s->first * 5L, 0, 0);
  u_take(s, s->R, 5L, sizeof(float), state1, first1 + s->first * 5L, 0, 0);
  for (long chunk = 0; chunk < job->chunks; chunk++) {
  const long place = job->chunks - 1 - chunk;
  const long begin = place * job->chunk, C = T - begin < job->chunk ? T - begin : job->chunk;
  const long low = job->reverse ? T - begin - C : begin;
  const long R = u_active(s, low, C);
  if (R < s->R) u_blank(s, low, C, R, 20L, sizeof(float), q53);
  if (R < s->R) u_blank(s, low, C, R, 3L, sizeof(float), q60);
  u_wait(s);
  u_backward_loop(s, R, low, begin, C);
  u_wait(s);
  if (R) u_backward_after(s, R, low, begin, C);
  }
  u_take(s, s->R, 5L, sizeof(float), last0 + s->first * 5L, state0, 0, 0);
  u_take(s, s->R, 5L, sizeof(float), last1 + s->first * 5L, state1, 0, 0);
}

static void u_backward_total(u_job *job, long me, long team) {
  const long rows = job->T * job->B; (void)rows; (void)me; (void)team;
  float *restrict q1 = job->p[9]; (void)q1;
  float *restrict q0 = job->p[10]; (void)q0;
  float *restrict q53 = job->p[11]; (void)q53;
  float *restrict t56 = job->p[13]; (void)t56;
  float *restrict t58 = job->p[14]; (void)t58;
  float *restrict t61 = job->p[15]; (void)t61;
  void *workspace = job->memory + job->totals + me * job->workspace; (void)workspace;
  u_total_f(rows, 20, 5, q53, 20, q1, 5, t56, 5,
    u_share(20, me, team), u_share(20, me + 1, team), workspace);
  u_total_rows_f(rows, 20, q53, 20, t58, u_share(20, me, team), u_share(20, me + 1, team));
  u_total_f(rows, 20, 3, q53, 20, q0, 3, t61, 3,
    u_share(20, me, team), u_share(20, me + 1, team), workspace);
}

static void u_backward_pack(u_job *job, long me, long team) { (void)job; (void)me; (void)team;
const float *c5 = job->p[0]; (void)c5;
const float *c3 = job->p[1]; (void)c3;
if (!(job->kept >> 0 & 1)) for (long g = 0; g < 1; g++) u_pack_panels_f(20, 5, c5 + 0 + g * 0L, 5, 1, (float *)job->packed[0] + g * u_packed_size_f(20, 5), u_panels_f(5) * me / team, u_panels_f(5) * (me + 1) / team);
if (!(job->kept >> 1 & 1)) for (long g = 0; g < 1; g++) u_pack_panels_f(20, 3, c3 + 0 + g * 0L, 3, 1, (float *)job->packed[1] + g * u_packed_size_f(20, 3), u_panels_f(3) * me / team, u_panels_f(3) * (me + 1) / team);
}
static long u_backward_place(u_job *job, long *at) { (void)at;
u_schedule(job, 100.0);
const long rows = job->slice; long size = 0; (void)rows;
at[0] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
at[1] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
at[2] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
at[3] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
at[4] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
at[5] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
job->scratch = size;
size *= job->together ? 1 : job->threads;
if (!job->packed[0]) { job->packed[0] = job->memory + size; size += U_ROUND_UP(1 * u_packed_size_f(20, 5) * (long)sizeof(float)); }
if (!job->packed[1]) { job->packed[1] = job->memory + size; size += U_ROUND_UP(1 * u_packed_size_f(20, 3) * (long)sizeof(float)); }
job->workspace = 0;
u_at_least(&job->workspace, U_ROUND_UP(u_total_workspace_f(5) * (long)sizeof(float)));
u_at_least(&job->workspace, U_ROUND_UP(u_total_workspace_f(3) * (long)sizeof(float)));
job->totals = size;
return size + job->threads * job->workspace;
}
__attribute__((visibility("default"))) void u_backward_packed(long *sizes) { (void)sizes;
sizes[0] = 1 * u_packed_size_f(20, 5) * (long)sizeof(float);
sizes[1] = 1 * u_packed_size_f(20, 3) * (long)sizeof(float);
}
__attribute__((visibility("default"))) long u_backward_memory(const long *n, const u_habits *habits) {
long at[6]; void *packed[2] = {0};
u_job job = {.T = n[0], .B = n[1], .threads = n[5], .kept = n[6], .packed = packed,
  .habits = habits};
return job.T > 0 && job.B > 0 ? u_backward_place(&job, at) + 64 : 0;
}
__attribute__((visibility("default"))) void u_backward(const long *n, const unsigned char *valid, const unsigned char *restart,
    void **p, void **packed, const u_pool *pool, const u_habits *habits, char *memory) {
long at[6];
u_job job = {.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4], .threads = n[5],
  .kept = n[6], .valid = valid, .restart = restart, .p = p, .packed = packed, .pool = pool,
  .habits = habits, .at = at,
  .memory = (char *)U_ROUND_UP((uintptr_t)memory), .pack = u_backward_pack, .run = u_backward_rows,
  .total = u_backward_total}; (void)u_backward_total;
if (job.T <= 0 || job.B <= 0) return;
if (job.kept) {
const float *c5 = job.p[0]; (void)c5;
const float *c3 = job.p[1]; (void)c3;
if (job.kept >> 0 & 1 && !(u_pack_holds_f(20, 5, c5 + 0 + 0 * 0L, 5, 1, (const float *)packed[0] + 0 * u_packed_size_f(20, 5)))) job.kept &= ~(1UL << 0);
if (job.kept >> 1 & 1 && !(u_pack_holds_f(20, 3, c3 + 0 + 0 * 0L, 3, 1, (const float *)packed[1] + 0 * u_packed_size_f(20, 3)))) job.kept &= ~(1UL << 1);
}
if (job.kept == 3UL && 2 <= 63) job.pack = 0;
u_backward_place(&job, at);
u_run(&job);
}
