"use strict";
// Gaps filled by a model that reads both ways: the surest place first, several fillings at once, as
// `charlm fill` does it. Each place that is filled is read when the next one is.

// Fillings followed side by side, at least.
const BEAM = 8;

class Filler {
  constructor(config, tensors) {
    this.layers = Array.from({ length: config.num_layers }, (_, k) =>
      ["", "_reverse"].map((end) => new Layer(config, tensors, `l${k}${end}`)),
    );
    this.first = this.layers[0].map((layer) => new FirstProducts(layer, tensors["embedding.weight"]));
    this.head = new Head(tensors);
    this.mask = this.head.bias.length;
  }

  // ids: null for each place to fill. The `count` best fillings, best first, as { ids, nats }.
  // turn: lets others have theirs.
  async fill(ids, count, turn) {
    // One layer's state at a place depends on what was read up to there alone, and most fillings
    // have most of it in common. Upper layers read both ways of the lower ones.
    this.roots = this.layers.length === 1 ? this.layers[0].map((layer) => new Read(layer.start())) : null;
    let beam = [{ ids: ids.map((id) => id ?? this.mask), nats: 0 }];
    for (let left = ids.filter((id) => id === null).length; left > 0; left--) {
      beam = await this.extended(beam, Math.max(BEAM, count), turn);
    }
    this.roots = null;
    return beam.slice(0, count);
  }

  // The best texts with one place more filled, of all that the texts of `beam` lead to.
  async extended(beam, width, turn) {
    const candidates = [];
    for (const text of beam) {
      const { place, nats } = await this.surest(text.ids, turn);
      const likeliest = [...nats.keys()].slice(1).sort((a, b) => nats[a] - nats[b] || a - b);
      for (const id of likeliest.slice(0, width)) {
        candidates.push({ text, place, id, nats: text.nats + nats[id] });
      }
    }
    // Two ways may lead to one text: the likelier is taken.
    const found = new Map();
    for (const { text, place, id, nats } of candidates.sort((a, b) => a.nats - b.nats)) {
      const filled = text.ids.with?.(place, id) ?? text.ids.map((old, at) => (at === place ? id : old));
      const key = filled.join();
      if (found.size < width && !found.has(key)) {
        found.set(key, { ids: filled, nats });
      }
    }
    return [...found.values()];
  }

  // The gap that the model is surest of, and the nats of each symbol there; <unk> is none.
  async surest(ids, turn) {
    const outputs = await this.outputs(ids, turn);
    let best = { nats: [], least: Infinity };
    for (const place of ids.keys()) {
      if (ids[place] !== this.mask) {
        continue;
      }
      const logits = this.head.logits(outputs(place));
      logits[0] = -Infinity;
      const nats = natsOf(logits);
      const least = nats.reduce((lowest, value) => Math.min(lowest, value));
      best = least < best.least ? { place, nats, least } : best;
    }
    return best;
  }

  // place -> what the head gets there, of both directions.
  async outputs(ids, turn) {
    const last = ids.length - 1;
    if (this.roots) {
      const [onward, backward] = [await this.walked(0, ids, turn), await this.walked(1, [...ids].reverse(), turn)];
      return (place) => joined(onward[place].h, backward[last - place].h);
    }
    let inputs = null;
    for (const layer of this.layers) {
      const ways = [];
      for (const way of [0, 1]) {
        const state = layer[way].start();
        const held = [];
        for (let t = 0; t <= last; t++) {
          const place = way ? last - t : t;
          layer[way].step(inputs ? layer[way].ofInput(inputs[place]) : this.first[way].of(ids[place]), state);
          held[place] = state.h.slice();
          await turn();
        }
        ways.push(held);
      }
      inputs = ids.map((_, place) => joined(ways[0][place], ways[1][place]));
    }
    return (place) => inputs[place];
  }

  // The states after each symbol, in one direction; what was read before is looked up.
  async walked(way, ids, turn) {
    const states = [];
    let read = this.roots[way];
    for (const id of ids) {
      if (!read.next.has(id)) {
        const [state] = copyOf([read.state]);
        this.layers[0][way].step(this.first[way].of(id), state);
        read.next.set(id, new Read(state));
        await turn();
      }
      read = read.next.get(id);
      states.push(read.state);
    }
    return states;
  }
}

// A state, and where symbols lead from it.
class Read {
  constructor(state) {
    this.state = state;
    this.next = new Map();
  }
}

function joined(one, other) {
  const both = new Float32Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

// The surprise of each symbol, in nats, in double precision.
function natsOf(logits) {
  const largest = largestOf(logits);
  let sum = 0;
  for (let k = 0; k < logits.length; k++) {
    sum += Math.exp(logits[k] - largest);
  }
  const nats = new Float64Array(logits.length);
  for (let k = 0, logSum = Math.log(sum) + largest; k < nats.length; k++) {
    nats[k] = logSum - logits[k];
  }
  return nats;
}
