/* PyTorch 2.13 */
static void u_forward_before(const u_slice *s, long R, long low, long begin, long C) {
  u_job *job = s->job;
  const long B = job->B; (void)B;
  const float *restrict c2 = job->p[0]; (void)c2;
  const float *restrict c3 = job->p[1]; (void)c3;
  float *restrict q0 = job->p[4]; (void)q0;
  float *restrict z10 = (void *)(s->scratch + job->at[0]); (void)z10;
  float *restrict b9 = (void *)(s->scratch + job->at[1]); (void)b9;
  float *restrict x0 = q0 + (low * B + s->first) * 3L;
  /* product: 9 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_shared_product_f(s, C, R, 3, 15, x0 + 0 + g * 0L + i * 0L, 3, B * 3L, (const float *)job->packed[1] + g * u_packed_size_f(3, 15), b9 + g * 15L + i * 15L, 15, R * 15L, 15);
  u_wait(s);
  /* pass: 10 add */
  { const long begin = u_from(s, 15), end = u_to(s, 15);
  for (long c = 0; c < C; c++) {
  
  for (long row = 0; row < R; row++) {
  const long r = c * R + row, q = c * B + row; (void)r; (void)q;
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
  const float e0 = c3[i0];
  const float e1 = b9[r * 15L + i0];
  const float e2 = (e0 + e1);
  z10[r * 15L + i0] = e2;
  }
  } }
  }
}

static void u_forward_loop(const u_slice *s, long R, long low, long begin, long C) {
  u_job *job = s->job;
  const long B = job->B; (void)B;
  const float *restrict c4 = job->p[2]; (void)c4;
  const float *restrict c5 = job->p[3]; (void)c5;
  float *restrict q1 = job->p[5]; (void)q1;
  float *restrict q19 = job->p[6]; (void)q19;
  float *restrict q21 = job->p[7]; (void)q21;
  float *restrict q23 = job->p[8]; (void)q23;
  float *restrict q26 = job->p[9]; (void)q26;
  float *restrict q30 = job->p[10]; (void)q30;
  float *restrict first0 = job->p[11]; (void)first0;
  float *restrict last0 = job->p[12]; (void)last0;
  float *restrict other0 = job->p[13]; (void)other0;
  float *restrict spare0 = job->p[14]; (void)spare0;
  float *restrict z10 = (void *)(s->scratch + job->at[0]); (void)z10;
  float *restrict b12 = (void *)(s->scratch + job->at[2]); (void)b12;
  float *restrict state0 = (void *)(s->scratch + job->at[3]); (void)state0;
  const long T = job->T;
  const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;
  for (long step = 0; step < C; step++) {
  const long k = begin + step, t = job->reverse ? T - 1 - k : k, row = t * B + s->first, c = t - low;
  (void)row; (void)c;
  float *restrict x10 = z10 + c * R * 15L;
  float *restrict y1 = q1 + row * 5L;
  float *restrict y19 = q19 + row * 5L;
  float *restrict y21 = q21 + row * 5L;
  float *restrict y23 = q23 + row * 5L;
  float *restrict y26 = q26 + row * 5L;
  float *restrict y30 = q30 + row * 5L;
  if (restart) u_take(s, R, 5L, sizeof(float), state0, other0 + s->first * 5L, restart + row, 1);
  u_take(s, R, 5L, sizeof(float), y1, state0, 0, 0);
  if (valid) u_take(s, R, 5L, sizeof(float), y1, spare0 + s->first * 5L, valid + row, 0);
  u_wait(s);
  /* product: 12 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_shared_product_f(s, 1, R, 5, 15, y1 + 0 + g * 0L + i * 0L, 5, R * 5L, (const float *)job->packed[0] + g * u_packed_size_f(5, 15), b12 + g * 15L + i * 15L, 15, R * 15L, 5);
  u_wait(s);
  /* pass: 19 slice, 21 sigmoid, 23 sigmoid, 26 tanh, 30 add */
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  u_take(s, R, 5L, sizeof(float), state0, y30, valid ? valid + row : 0, 1);
  }
}

static void u_forward_rows(const u_slice *s) {
  u_job *job = s->job;
  const long T = job->T;
  float *restrict q1 = job->p[5]; (void)q1;
  float *restrict q19 = job->p[6]; (void)q19;
  float *restrict q21 = job->p[7]; (void)q21;
  float *restrict q23 = job->p[8]; (void)q23;
  float *restrict q26 = job->p[9]; (void)q26;
  float *restrict q30 = job->p[10]; (void)q30;
  float *restrict first0 = job->p[11]; (void)first0;
  float *restrict last0 = job->p[12]; (void)last0;
  float *restrict state0 = (void *)(s->scratch + job->at[3]);
  u_take(s, s->R, 5L, sizeof(float), state0, first0 + s->first * 5L, 0, 0);
  for (long chunk = 0; chunk < job->chunks; chunk++) {
  const long place = chunk;
  const long begin = place * job->chunk, C = T - begin < job->chunk ? T - begin : job->chunk;
  const long low = job->reverse ? T - begin - C : begin;
  const long R = u_active(s, low, C);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q1);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q19);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q21);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q23);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q26);
  if (R < s->R) u_blank(s, low, C, R, 5L, sizeof(float), q30);
  u_wait(s);
  if (R) u_forward_before(s, R, low, begin, C);
  u_wait(s);
  u_forward_loop(s, R, low, begin, C);
  }
  u_take(s, s->R, 5L, sizeof(float), last0 + s->first * 5L, state0, 0, 0);
}

static void u_forward_total(u_job *job, long me, long team) {
  const long rows = job->T * job->B; (void)rows; (void)me; (void)team;
  void *workspace = job->memory + job->totals + me * job->workspace; (void)workspace;
}

static void u_forward_pack(u_job *job, long me, long team) { (void)job; (void)me; (void)team;
const float *c4 = job->p[2]; (void)c4;
const float *c2 = job->p[0]; (void)c2;
if (!(job->kept >> 0 & 1)) for (long g = 0; g < 1; g++) u_pack_panels_f(5, 15, c4 + 0 + g * 0L, 1, 5, (float *)job->packed[0] + g * u_packed_size_f(5, 15), u_panels_f(15) * me / team, u_panels_f(15) * (me + 1) / team);
if (!(job->kept >> 1 & 1)) for (long g = 0; g < 1; g++) u_pack_panels_f(3, 15, c2 + 0 + g * 0L, 1, 3, (float *)job->packed[1] + g * u_packed_size_f(3, 15), u_panels_f(15) * me / team, u_panels_f(15) * (me + 1) / team);
}
static long u_forward_place(u_job *job, long *at) { (void)at;
u_schedule(job, 75.0);
const long rows = job->slice; long size = 0; (void)rows;
at[0] = size; size += U_ROUND_UP(15L * rows * job->chunk * (long)sizeof(float));
at[1] = size; size += U_ROUND_UP(15L * rows * job->chunk * (long)sizeof(float));
at[2] = size; size += U_ROUND_UP(15L * rows * (long)sizeof(float));
at[3] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
job->scratch = size;
size *= job->together ? 1 : job->threads;
if (!job->packed[0]) { job->packed[0] = job->memory + size; size += U_ROUND_UP(1 * u_packed_size_f(5, 15) * (long)sizeof(float)); }
if (!job->packed[1]) { job->packed[1] = job->memory + size; size += U_ROUND_UP(1 * u_packed_size_f(3, 15) * (long)sizeof(float)); }
job->workspace = 0;
job->totals = size;
return size + job->threads * job->workspace;
}
__attribute__((visibility("default"))) void u_forward_packed(long *sizes) { (void)sizes;
sizes[0] = 1 * u_packed_size_f(5, 15) * (long)sizeof(float);
sizes[1] = 1 * u_packed_size_f(3, 15) * (long)sizeof(float);
}
__attribute__((visibility("default"))) long u_forward_memory(const long *n, const u_habits *habits) {
long at[4]; void *packed[2] = {0};
u_job job = {.T = n[0], .B = n[1], .threads = n[5], .kept = n[6], .packed = packed,
  .habits = habits};
return job.T > 0 && job.B > 0 ? u_forward_place(&job, at) + 64 : 0;
}
__attribute__((visibility("default"))) void u_forward(const long *n, const unsigned char *valid, const unsigned char *restart,
    void **p, void **packed, const u_pool *pool, const u_habits *habits, char *memory) {
long at[4];
u_job job = {.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4], .threads = n[5],
  .kept = n[6], .valid = valid, .restart = restart, .p = p, .packed = packed, .pool = pool,
  .habits = habits, .at = at,
  .memory = (char *)U_ROUND_UP((uintptr_t)memory), .pack = u_forward_pack, .run = u_forward_rows,
  .total = 0}; (void)u_forward_total;
if (job.T <= 0 || job.B <= 0) return;
if (job.kept) {
const float *c4 = job.p[2]; (void)c4;
const float *c2 = job.p[0]; (void)c2;
if (job.kept >> 0 & 1 && !(u_pack_holds_f(5, 15, c4 + 0 + 0 * 0L, 1, 5, (const float *)packed[0] + 0 * u_packed_size_f(5, 15)))) job.kept &= ~(1UL << 0);
if (job.kept >> 1 & 1 && !(u_pack_holds_f(3, 15, c2 + 0 + 0 * 0L, 1, 3, (const float *)packed[1] + 0 * u_packed_size_f(3, 15)))) job.kept &= ~(1UL << 1);
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
  const float *restrict c4 = job->p[0]; (void)c4;
  float *restrict q1 = job->p[2]; (void)q1;
  float *restrict q6 = job->p[3]; (void)q6;
  float *restrict q19 = job->p[4]; (void)q19;
  float *restrict q21 = job->p[5]; (void)q21;
  float *restrict q23 = job->p[6]; (void)q23;
  float *restrict q26 = job->p[7]; (void)q26;
  float *restrict q48 = job->p[9]; (void)q48;
  float *restrict q49 = job->p[10]; (void)q49;
  float *restrict first0 = job->p[16]; (void)first0;
  float *restrict last0 = job->p[17]; (void)last0;
  float *restrict other0 = job->p[18]; (void)other0;
  float *restrict spare0 = job->p[19]; (void)spare0;
  float *restrict b7 = (void *)(s->scratch + job->at[0]); (void)b7;
  float *restrict b50 = (void *)(s->scratch + job->at[1]); (void)b50;
  float *restrict b56 = (void *)(s->scratch + job->at[2]); (void)b56;
  float *restrict state0 = (void *)(s->scratch + job->at[3]); (void)state0;
  const long T = job->T;
  const unsigned char *valid = job->valid, *restart = job->restart; (void)restart;
  for (long step = 0; step < C; step++) {
  const long k = begin + C - 1 - step, t = job->reverse ? T - 1 - k : k, row = t * B + s->first, c = t - low;
  (void)row; (void)c;
  float *restrict x1 = q1 + row * 5L;
  float *restrict x6 = q6 + row * 5L;
  float *restrict x19 = q19 + row * 5L;
  float *restrict x21 = q21 + row * 5L;
  float *restrict x23 = q23 + row * 5L;
  float *restrict x26 = q26 + row * 5L;
  float *restrict y48 = q48 + row * 15L;
  float *restrict y49 = q49 + row * 15L;
  u_take(s, R, 5L, sizeof(float), b7, state0, 0, 0);
  if (valid) u_clear(s, R, 5L, sizeof(float), b7, valid + row, 0);
  /* cat: 48 cat */
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  /* cat: 49 cat */
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  u_wait(s);
  /* product: 50 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_shared_product_f(s, 1, R, 15, 5, y48 + 0 + g * 0L + i * 0L, 15, R * 15L, (const float *)job->packed[0] + g * u_packed_size_f(15, 5), b50 + g * 5L + i * 5L, 5, R * 5L, 5);
  u_wait(s);
  /* pass: 56 add */
  { const long begin = u_from(s, 5), end = u_to(s, 5);
  
  for (long r = 0; r < R; r++) {
  U_INDEPENDENT
  for (long i0 = begin; i0 < end; i0++) {
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
  }
  u_take(s, R, 5L, sizeof(float), state0, b56, valid ? valid + row : 0, 1);
  if (restart) for (long r = 0; r < R; r++) if (restart[row + r])
    for (long j = u_from(s, 5); j < u_to(s, 5); j++) {
      other0[(s->first + r) * 5L + j] += state0[r * 5L + j];
      state0[r * 5L + j] = 0; }
  if (job->window && job->done + k > 0 && (job->done + k) % job->window == 0)
    u_clear(s, s->R, 5L, sizeof(float), state0, 0, 1);
  }
}

static void u_backward_after(const u_slice *s, long R, long low, long begin, long C) {
  u_job *job = s->job;
  const long B = job->B; (void)B;
  const float *restrict c2 = job->p[1]; (void)c2;
  float *restrict q49 = job->p[10]; (void)q49;
  float *restrict q57 = job->p[11]; (void)q57;
  float *restrict x49 = q49 + (low * B + s->first) * 15L;
  float *restrict y57 = q57 + (low * B + s->first) * 3L;
  /* product: 57 mm */
  for (long g = 0; g < 1; g++) for (long i = 0; i < 1; i++)
    u_shared_product_f(s, C, R, 15, 3, x49 + 0 + g * 0L + i * 0L, 15, B * 15L, (const float *)job->packed[1] + g * u_packed_size_f(15, 3), y57 + g * 3L + i * 3L, 3, B * 3L, 3);
}

static void u_backward_rows(const u_slice *s) {
  u_job *job = s->job;
  const long T = job->T;
  float *restrict q48 = job->p[9]; (void)q48;
  float *restrict q49 = job->p[10]; (void)q49;
  float *restrict q57 = job->p[11]; (void)q57;
  float *restrict first0 = job->p[16]; (void)first0;
  float *restrict last0 = job->p[17]; (void)last0;
  float *restrict state0 = (void *)(s->scratch + job->at[3]);
  u_take(s, s->R, 5L, sizeof(float), state0, first0 + s->first * 5L, 0, 0);
  for (long chunk = 0; chunk < job->chunks; chunk++) {
  const long place = job->chunks - 1 - chunk;
  const long begin = place * job->chunk, C = T - begin < job->chunk ? T - begin : job->chunk;
  const long low = job->reverse ? T - begin - C : begin;
  const long R = u_active(s, low, C);
  if (R < s->R) u_blank(s, low, C, R, 15L, sizeof(float), q48);
  if (R < s->R) u_blank(s, low, C, R, 15L, sizeof(float), q49);
  if (R < s->R) u_blank(s, low, C, R, 3L, sizeof(float), q57);
  u_wait(s);
  u_backward_loop(s, R, low, begin, C);
  u_wait(s);
  if (R) u_backward_after(s, R, low, begin, C);
  }
  u_take(s, s->R, 5L, sizeof(float), last0 + s->first * 5L, state0, 0, 0);
}

static void u_backward_total(u_job *job, long me, long team) {
  const long rows = job->T * job->B; (void)rows; (void)me; (void)team;
  float *restrict q1 = job->p[2]; (void)q1;
  float *restrict q0 = job->p[8]; (void)q0;
  float *restrict q48 = job->p[9]; (void)q48;
  float *restrict q49 = job->p[10]; (void)q49;
  float *restrict t52 = job->p[12]; (void)t52;
  float *restrict t54 = job->p[13]; (void)t54;
  float *restrict t59 = job->p[14]; (void)t59;
  float *restrict t61 = job->p[15]; (void)t61;
  void *workspace = job->memory + job->totals + me * job->workspace; (void)workspace;
  u_total_f(rows, 15, 5, q48, 15, q1, 5, t52, 5,
    u_share(15, me, team), u_share(15, me + 1, team), workspace);
  u_total_rows_f(rows, 15, q48, 15, t54, u_share(15, me, team), u_share(15, me + 1, team));
  u_total_f(rows, 15, 3, q49, 15, q0, 3, t59, 3,
    u_share(15, me, team), u_share(15, me + 1, team), workspace);
  u_total_rows_f(rows, 15, q49, 15, t61, u_share(15, me, team), u_share(15, me + 1, team));
}

static void u_backward_pack(u_job *job, long me, long team) { (void)job; (void)me; (void)team;
const float *c4 = job->p[0]; (void)c4;
const float *c2 = job->p[1]; (void)c2;
if (!(job->kept >> 0 & 1)) for (long g = 0; g < 1; g++) u_pack_panels_f(15, 5, c4 + 0 + g * 0L, 5, 1, (float *)job->packed[0] + g * u_packed_size_f(15, 5), u_panels_f(5) * me / team, u_panels_f(5) * (me + 1) / team);
if (!(job->kept >> 1 & 1)) for (long g = 0; g < 1; g++) u_pack_panels_f(15, 3, c2 + 0 + g * 0L, 3, 1, (float *)job->packed[1] + g * u_packed_size_f(15, 3), u_panels_f(3) * me / team, u_panels_f(3) * (me + 1) / team);
}
static long u_backward_place(u_job *job, long *at) { (void)at;
u_schedule(job, 75.0);
const long rows = job->slice; long size = 0; (void)rows;
at[0] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
at[1] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
at[2] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
at[3] = size; size += U_ROUND_UP(5L * rows * (long)sizeof(float));
job->scratch = size;
size *= job->together ? 1 : job->threads;
if (!job->packed[0]) { job->packed[0] = job->memory + size; size += U_ROUND_UP(1 * u_packed_size_f(15, 5) * (long)sizeof(float)); }
if (!job->packed[1]) { job->packed[1] = job->memory + size; size += U_ROUND_UP(1 * u_packed_size_f(15, 3) * (long)sizeof(float)); }
job->workspace = 0;
u_at_least(&job->workspace, U_ROUND_UP(u_total_workspace_f(5) * (long)sizeof(float)));
u_at_least(&job->workspace, U_ROUND_UP(u_total_workspace_f(3) * (long)sizeof(float)));
job->totals = size;
return size + job->threads * job->workspace;
}
__attribute__((visibility("default"))) void u_backward_packed(long *sizes) { (void)sizes;
sizes[0] = 1 * u_packed_size_f(15, 5) * (long)sizeof(float);
sizes[1] = 1 * u_packed_size_f(15, 3) * (long)sizeof(float);
}
__attribute__((visibility("default"))) long u_backward_memory(const long *n, const u_habits *habits) {
long at[4]; void *packed[2] = {0};
u_job job = {.T = n[0], .B = n[1], .threads = n[5], .kept = n[6], .packed = packed,
  .habits = habits};
return job.T > 0 && job.B > 0 ? u_backward_place(&job, at) + 64 : 0;
}
__attribute__((visibility("default"))) void u_backward(const long *n, const unsigned char *valid, const unsigned char *restart,
    void **p, void **packed, const u_pool *pool, const u_habits *habits, char *memory) {
long at[4];
u_job job = {.T = n[0], .B = n[1], .reverse = n[2], .window = n[3], .done = n[4], .threads = n[5],
  .kept = n[6], .valid = valid, .restart = restart, .p = p, .packed = packed, .pool = pool,
  .habits = habits, .at = at,
  .memory = (char *)U_ROUND_UP((uintptr_t)memory), .pack = u_backward_pack, .run = u_backward_rows,
  .total = u_backward_total}; (void)u_backward_total;
if (job.T <= 0 || job.B <= 0) return;
if (job.kept) {
const float *c4 = job.p[0]; (void)c4;
const float *c2 = job.p[1]; (void)c2;
if (job.kept >> 0 & 1 && !(u_pack_holds_f(15, 5, c4 + 0 + 0 * 0L, 5, 1, (const float *)packed[0] + 0 * u_packed_size_f(15, 5)))) job.kept &= ~(1UL << 0);
if (job.kept >> 1 & 1 && !(u_pack_holds_f(15, 3, c2 + 0 + 0 * 0L, 3, 1, (const float *)packed[1] + 0 * u_packed_size_f(15, 3)))) job.kept &= ~(1UL << 1);
}
if (job.kept == 3UL && 2 <= 63) job.pack = 0;
u_backward_place(&job, at);
u_run(&job);
}
