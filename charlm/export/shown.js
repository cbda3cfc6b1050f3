"use strict";
// How texts are shown: what nobody could see by its number, and tinted by surprise.

const SCALE_BITS = 12;
const TINTS = 16;
// Of a longer text, so many of its last symbols are tinted: more would take seconds to draw.
const SHOWN = 2000;

const hasHighlights = typeof Highlight === "function" && CSS.highlights !== undefined;
const byId = (id) => document.getElementById(id);

function make(name, className, text = "") {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
}

const codePoint = (character) =>
  "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");

class Display {
  constructor(about) {
    this.about = about;
    this.words = about.level !== "char";
    const unseen = about.unseen.map(([first, last]) => `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`);
    this.unseen = new RegExp(`[${unseen.join("")}]`, "gu");
  }

  // The nodes of a text: text as it is, and a box with its number for what cannot be seen. Line
  // breaks are themselves.
  *nodes(text) {
    let done = 0;
    for (const found of text.matchAll(this.unseen)) {
      if (found[0] === "\n") {
        continue;
      }
      yield document.createTextNode(text.slice(done, found.index));
      yield this.box(found[0]);
      done = found.index + found[0].length;
    }
    yield document.createTextNode(text.slice(done));
  }

  box(character) {
    const box = make("bdi", "unseen", character === "\n" ? "↵" : codePoint(character));
    box.dir = "ltr";
    return box;
  }

  // A symbol as it is told of: what is no letter, digit or sign by its name.
  label(id) {
    return this.about.labels[id] ?? this.about.tokens[id];
  }

  share(likelihood) {
    return likelihood >= 0.0005 ? `${(100 * likelihood).toFixed(1)} %` : "< 0.1 %";
  }

  bits(value) {
    return value.toFixed(1);
  }

  // ---- The text as it is read, tinted ----

  // tokens: of the typed text; bits: of each, null where it has none.
  showRead(tokens, bits) {
    if (hasHighlights) {
      CSS.highlights.clear();
    }
    const begin = Math.max(0, tokens.length - SHOWN);
    let line = this.newLine();
    const lines = [line];
    for (const place of this.places(tokens, bits, begin)) {
      if (this.words && line.childNodes.length) {
        line.append(" ");
      }
      this.append(line, place);
      if (place.text === "\n") {
        line = this.newLine();
        lines.push(line);
      }
    }
    byId("read").replaceChildren(...(tokens.length ? lines : []));
    byId("read").scrollTop = byId("read").scrollHeight;
    byId("summary").textContent = this.summary(tokens, bits, begin);
  }

  newLine() {
    const line = make("div", "line");
    line.dir = "auto";
    return line;
  }

  // What is read as one character, of one symbol or several: its text, and its bits, added up.
  *places(tokens, bits, begin) {
    const shown = tokens.slice(begin);
    const ends = this.words || !Intl.Segmenter ? null : graphemeEnds(shown.join(""));
    let [text, sum, end] = ["", null, 0];
    for (const [at, token] of shown.entries()) {
      const own = bits[begin + at];
      text += token;
      end += token.length;
      sum = own === null ? sum : (sum ?? 0) + own;
      if (!ends || ends.has(end)) {
        yield { text, bits: sum };
        [text, sum] = ["", null];
      }
    }
    if (text) {
      yield { text, bits: sum };
    }
  }

  append(line, { text, bits }) {
    const tint = bits === null ? -1 : Math.min(TINTS - 1, Math.floor((bits / SCALE_BITS) * TINTS));
    if (text.search(this.unseen) >= 0) {
      for (const character of text) {
        const box = character.search(this.unseen) >= 0 ? this.box(character) : make("span", "", character);
        box.classList.toggle(`t${tint}`, tint >= 0);
        line.append(box);
      }
    } else if (hasHighlights) {
      // In one node, so that letters join.
      const last = line.lastChild?.nodeType === Node.TEXT_NODE ? line.lastChild : line.appendChild(new Text());
      const startOffset = last.length;
      last.appendData(text);
      highlight(tint, last, startOffset);
    } else {
      line.append(make("span", tint >= 0 ? `t${tint}` : "", text));
    }
  }

  summary(tokens, bits, begin) {
    const known = bits.map((value, at) => [value, at]).filter(([value]) => value !== null);
    const cut = begin ? ` Tinted: the last ${SHOWN}.` : "";
    if (!known.length) {
      return tokens.length ? "The first has no surprise: nothing stands before it." : "";
    }
    const mean = known.reduce((sum, [value]) => sum + value, 0) / known.length;
    const [most, at] = known.reduce((best, one) => (one[0] > best[0] ? one : best));
    const token = this.label(this.about.ids.get(tokens[at]));
    return (
      `${this.bits(mean)} bits each on average; the most surprising is “${token}” with ` +
      `${this.bits(most)}, the ${this.about.unit} ${at + 1} of ${tokens.length}.${cut}`
    );
  }

  // next: the likeliest, as { id, likelihood }; choose: called with the symbol that is clicked.
  showNext(next, choose) {
    const rows = next.map(({ id, likelihood }) => {
      const button = make("button", "");
      button.type = "button";
      button.title = "add it to the text";
      const bar = make("span", "bar");
      bar.style.width = `${100 * likelihood}%`;
      button.append(make("bdi", "", this.label(id)), make("span", "share", this.share(likelihood)), bar);
      button.addEventListener("click", () => choose(this.about.tokens[id]));
      const row = make("li", "");
      row.append(button);
      return row;
    });
    byId("next").replaceChildren(...rows);
  }

  // fillings: { pieces, filled, likelihood }, as the model gives them.
  showFillings(fillings) {
    const rows = fillings.map(({ pieces, filled, likelihood }) => {
      const row = make("li", "");
      row.dir = "auto";
      pieces.forEach((text, at) => {
        if (filled[at]) {
          const mark = make("mark", "");
          mark.append(...this.nodes(text));
          row.append(mark);
        } else {
          row.append(...this.nodes(text));
        }
      });
      row.append(make("span", "share", `  ${this.share(likelihood)}`));
      row.normalize();
      return row;
    });
    byId("fillings").replaceChildren(...rows);
  }
}

function graphemeEnds(text) {
  const ends = new Set();
  for (const { index, segment } of new Intl.Segmenter("und", { granularity: "grapheme" }).segment(text)) {
    ends.add(index + segment.length);
  }
  return ends;
}

function highlight(tint, node, startOffset) {
  if (tint >= 0) {
    const name = `t${tint}`;
    const known = CSS.highlights.get(name) ?? new Highlight();
    CSS.highlights.set(name, known);
    known.add(new StaticRange({ startContainer: node, startOffset, endContainer: node, endOffset: node.length }));
  }
}
