"use strict";
// From a typed text to symbols, and back: cleaned and cut as the text was that the model learned.

// What Python takes for white space.
const SPACE = "\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const AROUND = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");
const SPACES = new RegExp(`[${SPACE}]+`);

// A class of characters from pairs of code points, first and last.
const classOf = (pairs) =>
  pairs.map(([first, last]) => `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`).join("");

class Reader {
  // about: { level, tokens, first, text }. text: how texts are cleaned; text.keep: the kept
  // characters as pairs of code points, or null.
  constructor(about) {
    this.about = about;
    this.words = about.level === "word";
    this.ids = new Map(about.tokens.map((token, id) => [token, id]));
    const { keep, strip_lines: strips } = about.text;
    // Lines that are stripped are kept apart until then.
    this.others = keep && new RegExp(`[^${classOf(keep)}${strips ? "\\n" : ""}]+`, "gu");
  }

  // In order: byte-order marks, line ends, normal form, `keep`, `strip_lines`, lower case.
  clean(text, { strip = this.about.text.strip_lines } = {}) {
    const how = this.about.text;
    text = text.replaceAll("\ufeff", "");
    if (how.newlines === "lf" || strip) {
      text = text.replace(/\r\n?/g, "\n");
    }
    if (how.normalize !== "none") {
      text = text.normalize(how.normalize.toUpperCase());
    }
    if (this.others) {
      text = text.replace(strip ? this.others : this.unstrippedOthers(), " ");
    }
    if (strip) {
      text = text.split("\n").map((line) => line.replace(AROUND, "")).join(this.words ? "\n" : "");
    }
    return how.lowercase ? text.toLowerCase() : text;
  }

  unstrippedOthers() {
    return new RegExp(`[^${classOf(this.about.text.keep)}]+`, "gu");
  }

  // The tokens of a cleaned text: its code points, or its words.
  tokenize(text) {
    return this.words ? text.split(SPACES).filter((word) => word) : Array.from(text);
  }

  // A typed text as the model reads it: its tokens, their ids, and the tokens left out, which the
  // model does not know. typing: whether the last word may still become another.
  read(text, typing = false) {
    const tokens = this.tokenize(this.clean(text));
    if (typing && this.words && !/\s$/.test(text) && tokens.length && !this.knows(tokens[tokens.length - 1])) {
      tokens.pop();
    }
    return {
      tokens: tokens.filter((token) => this.knows(token)),
      ids: tokens.filter((token) => this.knows(token)).map((token) => this.ids.get(token)),
      unknown: [...new Set(tokens.filter((token) => !this.knows(token)))],
    };
  }

  // <unk> as it is typed is itself, at word level, and stands for what is unknown.
  knows(token) {
    return (this.ids.get(token) ?? 0) !== 0;
  }

  // A text with gaps: its ids, null for each place to fill, and the tokens that are not known. A
  // gap is a run of "_": of as many characters, or one word.
  readGaps(text) {
    const ids = [];
    const unknown = new Set();
    const pieces = text.replace(/(\r\n|\n|\r)$/, "").split(/(_+)/);
    pieces.forEach((piece, k) => {
      if (k % 2) {
        ids.push(...Array(this.words ? 1 : piece.length).fill(null));
        return;
      }
      // The edges of a piece are no edges of a line: nothing is stripped there.
      for (const token of this.tokenize(this.clean(piece, { strip: false }))) {
        if (this.knows(token)) {
          ids.push(this.ids.get(token));
        } else {
          unknown.add(token);
        }
      }
    });
    return { ids, unknown: [...unknown] };
  }

  decode(ids) {
    return ids.map((id) => this.about.tokens[id]).join(this.words ? " " : "");
  }
}

// A continuation in the making. Text that may turn out to begin a stop text is held back.
class Sample {
  // follows: whether a word of this text comes after another word.
  constructor(reader, stops, follows) {
    this.reader = reader;
    this.stops = stops;
    this.spaced = reader.words && follows;
    this.held = "";
    this.stopped = false;
  }

  // Take a token; the text that can be shown because of it.
  add(id) {
    const text = this.held + (this.spaced ? " " : "") + this.reader.about.tokens[id];
    this.spaced = this.reader.words;
    // A stop text may span tokens, a word may hold it inside, and two may end together.
    const found = this.stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
    if (found.length) {
      this.stopped = true;
      this.held = "";
      return text.slice(0, Math.min(...found));
    }
    const end = text.length - Math.max(0, ...this.stops.map((stop) => overlap(text, stop)));
    this.held = text.slice(end);
    return text.slice(0, end);
  }

  // No token is to follow; the text held back.
  end() {
    const text = this.held;
    this.held = "";
    return text;
  }
}

// The length of the longest end of `text` that `stop` begins with.
function overlap(text, stop) {
  for (let n = Math.min(stop.length - 1, text.length); n > 0; n--) {
    if (text.endsWith(stop.slice(0, n))) {
      return n;
    }
  }
  return 0;
}
