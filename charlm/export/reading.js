"use strict";
// From a typed text to symbols, and back: cleaned and cut as the text was that the model learned.

const AROUND = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");
const SPACES = new RegExp(`[${SPACE}]`);

class Reader {
  // about: { level, marks, tokens, first, text }. text: how texts are cleaned; text.keep: the kept
  // characters as pairs of code points, or null.
  constructor(about) {
    this.about = about;
    this.words = about.level !== "char";
    this.cut = this.words ? new Words(about) : new Letters();
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
    return this.cut.split(text);
  }

  // What each of some ids adds to a text.
  pieces(ids) {
    const tokens = ids.map((id) => this.about.tokens[id]);
    return tokens.map((token, at) => this.cut.piece(token, tokens[at - 1]));
  }

  // What a token adds to a typed text.
  pieceAfter(text, token) {
    const piece = this.cut.piece(token, this.tokenize(this.clean(text)).at(-1));
    return this.words && (!text || SPACES.test(text.at(-1))) ? piece.replace(/^ /, "") : piece;
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
      for (const token of this.beside(piece, k > 0, k + 1 < pieces.length)) {
        if (this.knows(token)) {
          ids.push(this.ids.get(token));
        } else {
          unknown.add(token);
        }
      }
    });
    return { ids, unknown: [...unknown] };
  }

  // The tokens of a piece of a text, beside one gap or two, for each of which a word stands where a
  // mark is joined to it: what a mark is joined to is part of what it is.
  beside(piece, follows, goesOn) {
    // The edges of a piece are no edges of a line: nothing is stripped there.
    const text = this.clean(piece, { strip: false });
    const letters = this.cut.apart ? Array.from(text) : [];
    const word = this.about.tokens.slice(1).find((token) => /^\p{L}/u.test(token)) ?? "";
    const begins = follows && letters.length > 0 && this.cut.mark.test(letters[0]);
    const ends = goesOn && letters.length > 0 && this.cut.mark.test(letters.at(-1));
    const tokens = this.tokenize(`${begins ? word : ""}${text}${ends ? word : ""}`);
    return tokens.slice(begins && word ? 1 : 0, tokens.length - (ends && word ? 1 : 0));
  }

  decode(ids) {
    return this.pieces(ids).join("");
  }
}

// A continuation in the making. Text that may turn out to begin a stop text is held back.
class Sample {
  // last: the token that the prefix ends in; undefined: it is empty.
  constructor(reader, stops, last) {
    this.reader = reader;
    this.stops = stops;
    this.last = last;
    this.held = "";
    this.stopped = false;
  }

  // Take a token; the text that can be shown because of it.
  add(id) {
    const token = this.reader.about.tokens[id];
    const text = this.held + this.reader.cut.piece(token, this.last);
    this.last = token;
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
