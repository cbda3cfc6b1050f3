// The engine of a page as the page has it, in Node: its script, and the model that the page holds.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

const FILES = ["packed.js", "simd.js", "engine.js", "words.js", "reading.js", "draw.js", "filler.js", "work.js"];
const NAMES = `({ bytesOf, inflated, withSimd, tensorsOf, numbersOf, half, Stepper, Filler, Reader, Sample, Dice, mixed,
  draw, applyRules, Prefix, Service, copyOf, natsOf, addProduct, CELLS })`;

// The engine's own names, from its source.
export const engineOf = (source) => vm.runInThisContext(`(() => {${source}\nreturn ${NAMES}; })()`);

export function engineFromFiles() {
  const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "charlm", "export");
  return engineOf(FILES.map((name) => readFileSync(join(folder, name), "utf-8")).join("\n"));
}

// What a page holds: { about, letters, engine }.
export function pageAt(path) {
  const html = readFileSync(path, "utf-8");
  const element = (id) => html.match(new RegExp(`<script[^>]* ?id="${id}">([^]*?)</script>`))[1];
  return { about: JSON.parse(element("about")), letters: element("weights"), engine: engineOf(element("engine")) };
}

// All that a service tells until it says one of `last`.
export function asked(service, wish, last) {
  const told = [];
  return new Promise((done) => {
    service.tell = (answer) => {
      told.push(answer);
      if (last.includes(answer.told)) {
        done(told);
      }
    };
    service.hear(wish);
  });
}
