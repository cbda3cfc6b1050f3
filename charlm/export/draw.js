"use strict";
// How a symbol is drawn: the random numbers, the rules, and the draw itself, all as
// `charlm generate` has them.

const MASK_32 = 0xffffffffn;
const MASK_64 = (1n << 64n) - 1n;
const MASK_128 = (1n << 128n) - 1n;

// The words of 32 bits that a whole number has, the lowest first; of 0, one.
function wordsOf(number) {
  const words = [Number(number & MASK_32)];
  for (let rest = number >> 32n; rest; rest >>= 32n) {
    words.push(Number(rest & MASK_32));
  }
  return words;
}

// Eight words of 32 bits from whole numbers, well mixed (O'Neill 2015, "Developing a seed_seq
// alternative"; the constants are NumPy's SeedSequence's).
function mixed(numbers) {
  const entropy = numbers.flatMap((number) => wordsOf(BigInt(number)));
  let constant = 0x43b0d7e5;
  const hash = (value) => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (x, y) => {
    const value = (Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715)) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const pool = [0, 1, 2, 3].map((at) => hash(entropy[at] ?? 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) {
      pool[to] = from === to ? pool[to] : mix(pool[to], hash(pool[from]));
    }
  }
  for (const word of entropy.slice(4)) {
    for (let to = 0; to < 4; to++) {
      pool[to] = mix(pool[to], hash(word));
    }
  }
  constant = 0x8b51f9dd;
  return Array.from({ length: 8 }, (_, at) => {
    let value = pool[at % 4] ^ constant;
    constant = Math.imul(constant, 0x58f38ded);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  });
}

// Uniform random numbers in [0, 1) of one sample: PCG XSL RR 128/64 (O'Neill 2014), of whose 64 bits
// the upper 53 are the number's.
class Dice {
  static MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;

  // seed: a BigInt; index: of the sample among those of a seed.
  constructor(seed, index) {
    const words = mixed([seed, index]).map(BigInt);
    const [high, low, streamHigh, streamLow] = [0, 2, 4, 6].map((at) => words[at] | (words[at + 1] << 32n));
    this.increment = ((((streamHigh << 64n) | streamLow) << 1n) | 1n) & MASK_128;
    this.state = (this.increment + ((high << 64n) | low)) & MASK_128;
    this.advance();
  }

  advance() {
    this.state = (this.state * Dice.MULTIPLIER + this.increment) & MASK_128;
  }

  roll() {
    this.advance();
    const folded = ((this.state >> 64n) ^ this.state) & MASK_64;
    const turn = this.state >> 122n;
    const bits = ((folded >> turn) | (folded << (64n - turn))) & MASK_64;
    return Number(bits >> 11n) / 2 ** 53;
  }
}

// ---- Rules: on the logits of all symbols but <unk>, the largest of them 0. What is ruled out is set
// ---- to -Infinity, in place.

function applyTemperature(logits, value) {
  for (let k = 0; k < logits.length; k++) {
    logits[k] /= value;
  }
}

// The `count` likeliest, the last of them at `least`; of equals, those with the smaller ids.
function keepLikeliest(logits, least, count) {
  let above = 0;
  for (const value of logits) {
    above += value > least ? 1 : 0;
  }
  for (let k = 0, equals = count - above; k < logits.length; k++) {
    if (logits[k] === least && equals > 0) {
      equals--;
    } else if (!(logits[k] > least)) {
      logits[k] = -Infinity;
    }
  }
}

function applyTopK(logits, k) {
  if (k < logits.length) {
    keepLikeliest(logits, ranked(logits)[k - 1], k);
  }
}

const ranked = (logits) => logits.slice().sort().reverse();

// The likeliest until their probabilities sum to p (Holtzman et al. 2020).
function applyTopP(logits, p) {
  const falling = ranked(logits);
  let sum = 0;
  const sums = falling.map((value) => (sum += Math.exp(value)));
  // As many as have less than p before them, so that the one that reaches p is kept.
  let count = 1;
  while (count < sums.length && sums[count - 1] < p * sum) {
    count++;
  }
  keepLikeliest(logits, falling[count - 1], count);
}

// Those at least `share` times as likely as the likeliest.
function applyMinP(logits, share) {
  const least = Math.log(share);
  for (let k = 0; k < logits.length; k++) {
    logits[k] = logits[k] >= least ? logits[k] : -Infinity;
  }
}

// In the order in which they are applied.
function applyRules(logits, settings) {
  if (settings.temperature === 0) {
    applyTopK(logits, 1);
  } else if (settings.temperature !== 1) {
    applyTemperature(logits, settings.temperature);
  }
  if (settings.top_k !== 0) {
    applyTopK(logits, settings.top_k);
  }
  if (settings.top_p !== 1) {
    applyTopP(logits, settings.top_p);
  }
  if (settings.min_p !== 0) {
    applyMinP(logits, settings.min_p);
  }
}

// No logit of a model at work is as far from zero; a state that grows from step to step passes it.
const OVERFLOW = 1e9;

// The first place whose sum is beyond the number's share of the total.
function drawn(logits, number) {
  const sums = new Float64Array(logits.length);
  let total = 0;
  for (let k = 0; k < logits.length; k++) {
    // Most symbols of a large vocabulary may be ruled out.
    total += logits[k] === -Infinity ? 0 : Math.exp(logits[k]);
    sums[k] = total;
  }
  const place = sums.findIndex((sum) => sum > number * total);
  return place >= 0 ? place : sums.findIndex((sum) => sum >= total);
}

// NaN where any of them is.
function largestOf(numbers) {
  let largest = -Infinity;
  for (let k = 0; k < numbers.length; k++) {
    largest = Math.max(largest, numbers[k]);
  }
  return largest;
}

// A symbol for logits (V), float32; null where the model's numbers have grown beyond bounds. <unk>,
// which is id 0, is never drawn.
function draw(logits, settings, number) {
  const allowed = new Float64Array(logits.subarray(1));
  const largest = largestOf(allowed);
  if (!(Math.abs(largest) < OVERFLOW)) {
    return null;
  }
  for (let k = 0; k < allowed.length; k++) {
    allowed[k] -= largest;
  }
  applyRules(allowed, settings);
  return 1 + drawn(allowed, number);
}
