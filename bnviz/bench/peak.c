// The most that SIMD of four numbers can do: multiply and add on registers, again and again.
//
// Each chain waits for its own last result. Twelve of them fill a processor that begins two
// multiplications and two additions in a cycle and takes three cycles for each; with factor and term
// they are what sixteen registers hold.

typedef float four __attribute__((vector_size(16)));

enum { CHAINS = 12 };

unsigned char memory_begins[1];  // every module exports it

__attribute__((export_name("flops"))) int flops(int rounds) { return rounds * CHAINS * 4 * 2; }

__attribute__((export_name("work"))) float work(int rounds, float factor, float term) {
  four x[CHAINS];
  for (int chain = 0; chain < CHAINS; chain++) x[chain] = (four){0, 1, 2, 3} + (float)chain;
  while (rounds--) {
#pragma clang loop unroll(full)
    for (int chain = 0; chain < CHAINS; chain++) x[chain] = x[chain] * factor + term;
  }
  four sum = x[0];
  for (int chain = 1; chain < CHAINS; chain++) sum += x[chain];
  return sum[0] + sum[1] + sum[2] + sum[3];  // or nothing of it would be computed
}
