// The checks of a page's engine, for `node --test`. ENGINE_CASES: what tests/export/test_engine.py
// writes, by which the engine is held to `charlm generate` and `charlm fill`; without it, only what
// needs no model is checked.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { deflateRawSync, constants } from "node:zlib";
import { asked, engineFromFiles } from "./harness.mjs";

const engine = engineFromFiles();
const cases = process.env.ENGINE_CASES
  ? JSON.parse(readFileSync(process.env.ENGINE_CASES, "utf-8"))
  : { models: [], cleanings: [], rolls: [] };

const EXACT = 1e-4;

test("random numbers are NumPy's PCG64 of the seed and the index", () => {
  const dice = new engine.Dice(7n, 0);
  assert.deepEqual(
    [dice.roll(), dice.roll(), dice.roll()],
    [0.625095466604667, 0.8972138009695755, 0.7756856902451935],
  );
  for (const { seed, index, rolls } of cases.rolls) {
    const same = new engine.Dice(BigInt(seed), index);
    assert.deepEqual(rolls.map(() => same.roll()), rolls);
  }
});

test("what DEFLATE made of literals comes out again", () => {
  let seed = 1;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (const [size, letters] of [[0, 1], [1, 1], [50_000, 256], [50_000, 7], [3000, 2], [70_000, 1]]) {
    const data = Uint8Array.from({ length: size }, () => Math.floor(letters * random() ** 3));
    for (const level of [0, 9]) {
      const packed = deflateRawSync(data, { level, strategy: constants.Z_HUFFMAN_ONLY });
      assert.deepEqual(engine.inflated(packed, size), data);
    }
    const fixed = deflateRawSync(data.subarray(0, 9), { strategy: constants.Z_FIXED });
    assert.ok(fixed.length > 0);
  }
});

test("weights cut short or damaged are refused", () => {
  const data = Uint8Array.from({ length: 1000 }, (_, k) => (k * k) % 97);
  const packed = deflateRawSync(data, { strategy: constants.Z_HUFFMAN_ONLY });
  assert.throws(() => engine.inflated(packed, 999), /damaged/);
  assert.throws(() => engine.inflated(packed, 1001), /damaged/);
});

test("halves are what IEEE 754 says", () => {
  const halves = [0x0000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x8400, 0x3555];
  const values = [0, 1, -2, 65504, 2 ** -24, -(2 ** -14), 0.333251953125];
  assert.deepEqual(halves.map(engine.half), values);
});

test("rules keep what they should, of equals the smaller ids", () => {
  const log = (...shares) => Float64Array.from(shares, Math.log);
  const none = { temperature: 1, top_k: 0, top_p: 1, min_p: 0 };
  const kept = (logits, settings) => {
    engine.applyRules(logits, { ...none, ...settings });
    return [...logits.keys()].filter((k) => logits[k] > -Infinity);
  };
  assert.deepEqual(kept(log(0.5, 1, 1, 0.5), { top_k: 1 }), [1]);
  assert.deepEqual(kept(log(0.5, 1, 1, 0.5), { top_k: 3 }), [0, 1, 2]);
  assert.deepEqual(kept(log(0.5, 1, 1, 0.5), { temperature: 0 }), [1]);
  assert.deepEqual(kept(log(0.25, 1, 0.5, 0.25), { top_p: 0.7 }), [1, 2]);
  assert.deepEqual(kept(log(0.25, 1, 0.5, 0.25), { top_p: 0.8 }), [0, 1, 2]);
  assert.deepEqual(kept(log(0.25, 1, 0.5, 0.1), { min_p: 0.2 }), [0, 1, 2]);
  assert.deepEqual(kept(log(0.25, 1, 0.5, 0.1), {}), [0, 1, 2, 3]);
});

test("numbers beyond bounds are no symbol", () => {
  const settings = { temperature: 1, top_k: 0, top_p: 1, min_p: 0 };
  for (const value of [1e10, Infinity, NaN]) {
    assert.equal(engine.draw(Float32Array.of(0, value, 0), settings, 0.5), null);
  }
});

test("products by WebAssembly are those of plain JavaScript", () => {
  for (const [rows, columns] of [[1024, 256], [7, 5], [65, 30], [2, 1]]) {
    const values = Float32Array.from({ length: rows * columns }, (_, k) => Math.sin(k));
    const x = Float32Array.from({ length: columns }, (_, k) => Math.cos(k));
    const plain = { rows, columns, stride: columns, values };
    const { matrix } = engine.withSimd({ matrix: plain });
    assert.ok(matrix.product, "this Node has WebAssembly with SIMD");
    const [one, other] = [plain, matrix].map((which) => {
      const out = new Float32Array(rows).fill(2);
      engine.addProduct(which, x, out);
      return out;
    });
    one.forEach((value, k) => assert.ok(Math.abs(value - other[k]) < 1e-4, `${value} ${other[k]}`));
  }
});

for (const { about, typed, tokens, texts } of cases.cleanings) {
  const { level, ...how } = { level: about.level, ...about.text, keep: Boolean(about.text.keep) };
  test(`texts are cleaned as charlm does: ${level} ${JSON.stringify(how)}`, () => {
    const reader = new engine.Reader(about);
    assert.deepEqual(typed.map((text) => reader.tokenize(reader.clean(text))), tokens);
    const pieces = (some) => some.map((token, at) => reader.cut.piece(token, some[at - 1]));
    assert.deepEqual(tokens.map((some) => pieces(some).join("")), texts);
  });
}

// How near the two symbols are between which a draw chose otherwise.
function gapAt(stepper, begin, ids, other, settings, number) {
  const state = stepper.start();
  let logits;
  for (const id of [...begin, ...ids]) {
    logits = stepper.step(id, state);
  }
  if (settings.temperature === 0) {
    return Math.abs(logits[ids.at(-1)] - logits[other]);
  }
  return Math.min(...[-EXACT, EXACT].map((step) => (engine.draw(logits, settings, number + step) === other ? EXACT : 1)));
}

for (const { name, about, letters, ids, logits, written, fillings } of cases.models) {
  const way = (plain) => (plain ? "plain JavaScript" : "WebAssembly");
  for (const plain of written ? [true, false] : []) {
    const service = new engine.Service(about, letters, () => {});
    const tensors = engine.tensorsOf(about, letters);
    service.stepper = new engine.Stepper(about.model, plain ? tensors : engine.withSimd(tensors));

    test(`${name}, ${way(plain)}: ${ids.length} logits`, () => {
      const expected = new Float32Array(new Uint8Array(Buffer.from(logits, "base64")).buffer);
      const state = service.stepper.start();
      let furthest = 0;
      for (const [step, id] of ids.entries()) {
        service.stepper.step(id, state).forEach((value, k) => {
          furthest = Math.max(furthest, Math.abs(value - expected[step * about.tokens.length + k]));
        });
      }
      assert.ok(furthest < EXACT, `off by ${furthest}`);
    });

    for (const { prefix, settings, text, reason } of plain ? written.slice(0, 1) : written) {
      test(`${name}, ${way(plain)}: ${JSON.stringify(settings)}`, async () => {
        const told = await asked(service, { wish: "write", text: prefix, settings }, ["written", "failure"]);
        const found = told.filter((one) => one.told === "text").map((one) => one.text).join("");
        if (found !== text) {
          same(service, about, prefix, settings, text, found);
          return;
        }
        assert.equal(told.at(-1).reason, reason);
      });
    }
  }

  for (const { text, count, fillings: expected } of fillings ?? []) {
    test(`${name}: ${text}`, async () => {
      const service = new engine.Service(about, letters, () => {});
      const told = await asked(service, { wish: "fill", text, count }, ["filled", "failure"]);
      const found = told.at(-1).fillings;
      assert.deepEqual(found.map(({ pieces }) => pieces.join("")), expected.map(([filled]) => filled));
      found.forEach(({ likelihood }, k) => assert.ok(Math.abs(likelihood - expected[k][1]) < EXACT));
    });
  }
}

// Two texts that differ do so first where rounding may choose, or the test fails; said either way.
function same(service, about, prefix, settings, text, found) {
  const cut = (whole) => service.reader.tokenize(whole).map((token) => about.tokens.indexOf(token));
  const [expected, had] = [cut(text), cut(found)];
  const step = expected.findIndex((id, k) => id !== had[k]);
  const begin = prefix ? service.reader.read(prefix).ids : [about.first];
  const dice = new engine.Dice(BigInt(settings.seed), 0);
  const numbers = Array.from({ length: step + 1 }, () => dice.roll());
  const gap = gapAt(service.stepper, begin, expected.slice(0, step), expected[step], settings, numbers[step]);
  console.log(`differs first at step ${step}, by a gap of ${gap}`);
  assert.ok(gap <= EXACT, `differs at step ${step}: ${JSON.stringify(text)} ${JSON.stringify(found)}`);
}

test("a text is read again only from where it changed, and all the same", async () => {
  for (const { about, letters, ids } of cases.models.filter(({ written }) => written).slice(2, 6)) {
    const service = new engine.Service(about, letters, () => {});
    const turn = () => undefined;
    for (const some of [ids, ids.slice(0, 150), [...ids.slice(0, 100), 1, 2, 3], ids.slice(0, 64), ids.slice(0, 1), ids]) {
      const fresh = await new engine.Prefix(service.stepper).read(some, turn);
      const again = await service.prefix.read(some, turn);
      assert.deepEqual(again, fresh);
      assert.equal(again.bits.length, some.length);
      assert.equal(again.bits[0], null);
    }
  }
});

test("what is read while a text is written changes nothing in it", async () => {
  for (const { about, letters } of cases.models.filter(({ name }) => name === "lstm")) {
    const service = new engine.Service(about, letters, () => {});
    const settings = { length: 3000, temperature: 1, top_k: 0, top_p: 1, min_p: 0, stop: [], seed: "5" };
    const texts = [];
    for (const busy of [false, true]) {
      const reading = setInterval(() => busy && service.hear({ wish: "read", text: "ab".repeat(400) + Math.random() }), 1);
      const told = await asked(service, { wish: "write", text: "a", settings }, ["written", "failure"]);
      clearInterval(reading);
      texts.push(told.filter((one) => one.told === "text").map((one) => one.text).join(""));
      assert.ok(!busy || told.some((one) => one.told === "read"));
    }
    assert.equal(texts[0].length, 3000);
    assert.equal(texts[0], texts[1]);
  }
});

test("a word that is chosen is typed as it is written", () => {
  for (const { about } of cases.models.filter(({ name }) => name === "gru of words and marks")) {
    const reader = new engine.Reader(about);
    const chosen = (text, token) => reader.pieceAfter(text, token);
    const found = [["", "king"], ["the", "king"], ["the ", "king"], ["the", ","], ["the\n", "king"]];
    assert.deepEqual(found.map(([text, token]) => chosen(text, token)), ["king", " king", "king", ",", "king"]);
    assert.equal(chosen("the", "-↔"), "-");
    assert.equal(chosen("the", "\n"), "\n");
  }
});

test("a word is no unknown one while it is typed", () => {
  for (const { about } of cases.models.filter(({ name }) => name === "gru of words")) {
    const reader = new engine.Reader(about);
    const unknown = (text, typing) => reader.read(text, typing).unknown;
    assert.deepEqual(unknown("king sa", true), []);
    assert.deepEqual(unknown("king sa ", true), ["sa"]);
    assert.deepEqual(unknown("king sa", false), ["sa"]);
    assert.deepEqual(reader.read("king said", true).tokens, ["king", "said"]);
  }
});

test("an unknown symbol is told of and left out; stop stops", async () => {
  for (const { about, letters } of cases.models.filter(({ name }) => name === "lstm")) {
    const service = new engine.Service(about, letters, () => {});
    const settings = { length: 10 ** 9, temperature: 1, top_k: 0, top_p: 1, min_p: 0, stop: [], seed: "1" };
    const read = await asked(service, { wish: "read", text: "a☃b☃\ud800" }, ["read", "failure"]);
    assert.deepEqual(read.at(-1).tokens, ["a", "b"]);
    assert.deepEqual(read.at(-1).unknown, ["☃", "\ud800"]);
    assert.equal(read.at(-1).next.length, 10);
    setTimeout(() => service.hear({ wish: "stop" }), 60);
    const told = await asked(service, { wish: "write", text: "a", settings }, ["stopped", "written", "failure"]);
    assert.equal(told.at(-1).told, "stopped");
    assert.ok(told.some((one) => one.told === "text" && one.text.length > 0));
  }
});
