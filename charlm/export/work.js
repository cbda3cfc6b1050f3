"use strict";
// What the page asks of the model, and what it is told. The work is done in turns of some
// milliseconds: between two of them new wishes are heard, wherever it runs.

const TURN_MS = 16;
// Symbols read between two states that are kept, to go on from when a text is changed.
const MARK_EVERY = 64;
const LIKELIEST = 10;

const rest = () =>
  new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      done();
    };
    port2.postMessage(null);
  });

class Superseded extends Error {}

// The text before what is written, read as it is typed: what has not changed is not read again.
class Prefix {
  constructor(stepper) {
    this.stepper = stepper;
    this.ids = [];
    this.bits = [];
    this.marks = [stepper.start()];
  }

  // Read ids (T > 0): the surprise of each in bits (T), null for the first, before which nothing
  // stands; the state, and the logits (V) of what comes next.
  async read(ids, turn) {
    let same = 0;
    while (same < Math.min(ids.length - 1, this.ids.length) && ids[same] === this.ids[same]) {
      same++;
    }
    // From the last mark before the change; the symbol before a surprise is read for it.
    const mark = Math.floor(Math.max(0, same - 1) / MARK_EVERY);
    let place = MARK_EVERY * Math.min(mark, this.marks.length - 1);
    this.marks.length = place / MARK_EVERY + 1;
    this.ids = ids.slice(0, place);
    this.bits.length = Math.min(this.bits.length, place + (place ? 1 : 0));
    const state = copyOf(this.marks[this.marks.length - 1]);
    let logits = null;
    for (; place < ids.length; place++) {
      if (place % MARK_EVERY === 0 && place / MARK_EVERY === this.marks.length) {
        this.marks.push(copyOf(state));
      }
      if (this.bits.length === place) {
        this.bits.push(logits ? natsOf(logits)[ids[place]] / Math.LN2 : null);
      }
      this.ids.push(ids[place]);
      // Kept: in a turn of others the stepper is used again.
      logits = this.stepper.step(ids[place], state).slice();
      await turn();
    }
    return { bits: this.bits.slice(), state, logits };
  }
}

class Service {
  // about: what the page knows of the model; letters: its weights; tell: called with answers.
  constructor(about, letters, tell) {
    const tensors = withSimd(tensorsOf(about, letters));
    this.tell = tell;
    this.reader = new Reader(about);
    this.first = about.first;
    if (about.model.bidirectional) {
      this.filler = new Filler(about.model, tensors);
    } else {
      this.stepper = new Stepper(about.model, tensors);
      this.prefix = new Prefix(this.stepper);
    }
    // The number of the newest wish of each kind: an older one is given up.
    this.newest = {};
  }

  // One wish: { wish: "read" | "write" | "fill" | "stop", ... }.
  async hear(message) {
    const kind = message.wish === "read" ? "read" : "write";
    const number = (this.newest[kind] = (this.newest[kind] ?? 0) + 1);
    let begun = performance.now();
    const turn = (told) => {
      if (performance.now() - begun < TURN_MS) {
        return undefined;
      }
      told?.();
      return rest().then(() => {
        begun = performance.now();
        if (this.newest[kind] !== number) {
          throw new Superseded();
        }
      });
    };
    try {
      await this[message.wish](message, turn);
    } catch (error) {
      if (!(error instanceof Superseded)) {
        this.tell({ told: "failure", why: String(error?.message ?? error) });
      }
    }
  }

  // The page knows what has come so far.
  stop() {
    this.tell({ told: "stopped" });
  }

  async read({ text }, turn) {
    const { tokens, ids, unknown } = this.reader.read(text, true);
    const { bits, logits } = await this.prefixOf(ids, turn);
    const nats = natsOf(logits);
    const likeliest = [...nats.keys()].slice(1).sort((a, b) => nats[a] - nats[b] || a - b);
    const next = likeliest.slice(0, LIKELIEST).map((id) => ({ id, likelihood: Math.exp(-nats[id]) }));
    this.tell({ told: "read", tokens, unknown, next, bits: ids.length ? bits : [] });
  }

  // Before a text without a prefix stands a line break, or the commonest symbol.
  prefixOf(ids, turn) {
    const prefix = ids.length ? this.prefix : new Prefix(this.stepper);
    return prefix.read(ids.length ? ids : [this.first], turn);
  }

  // settings: as of `charlm generate`, and the seed a text of digits.
  async write({ text, settings }, turn) {
    const { ids, unknown } = this.reader.read(text);
    this.tell({ told: "begun", prefix: this.reader.decode(ids), unknown });
    // A prefix of its own: the other may be reading.
    const { state, logits: first } = await new Prefix(this.stepper).read(ids.length ? ids : [this.first], turn);
    const sample = new Sample(this.reader, settings.stop, this.reader.about.tokens[ids.at(-1)]);
    const dice = new Dice(BigInt(settings.seed), 0);
    const began = performance.now();
    let [logits, reason, count, ready] = [first, "length", 0, ""];
    const show = () => {
      this.tell({ told: "text", text: ready });
      ready = "";
    };
    for (; count < settings.length; count++) {
      const id = count || logits.every(Number.isFinite) ? draw(logits, settings, dice.roll()) : null;
      if (id === null) {
        reason = "overflow";
        break;
      }
      ready += sample.add(id);
      if (sample.stopped) {
        reason = "stop";
        break;
      }
      logits = this.stepper.step(id, state).slice();
      await turn(show);
    }
    ready += sample.end();
    show();
    this.tell({ told: "written", reason, count, seconds: (performance.now() - began) / 1000 });
  }

  async fill({ text, count }, turn) {
    const { ids, unknown } = this.reader.readGaps(text);
    if (unknown.length || !ids.includes(null)) {
      this.tell({ told: "filled", fillings: [], unknown });
      return;
    }
    const fillings = await this.filler.fill(ids, count, turn);
    this.tell({
      told: "filled",
      unknown,
      fillings: fillings.map((filling) => ({
        pieces: this.reader.pieces(filling.ids),
        filled: ids.map((id) => id === null),
        likelihood: Math.exp(-filling.nats),
      })),
    });
  }
}

// In a worker: the first message brings the model.
if (typeof importScripts === "function") {
  let service = null;
  self.onmessage = ({ data }) => {
    if (service) {
      service.hear(data);
    } else {
      service = new Service(data.about, data.letters, (answer) => self.postMessage(answer));
      self.postMessage({ told: "ready" });
    }
  };
}
