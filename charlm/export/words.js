"use strict";
// A text cut into symbols, and symbols put together as a text, as words.py does it.

// What Python takes for white space.
const SPACE = "\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

// A class of characters from pairs of code points, first and last.
const classOf = (pairs) =>
  pairs.map(([first, last]) => `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`).join("");

class Letters {
  split(text) {
    return Array.from(text);
  }

  piece(letter) {
    return letter;
  }
}

// The sign behind a mark that is joined otherwise than its kind usually is, by [to what is before
// it, to what is after it].
const SIGNS = { "true,false": "←", "false,true": "→", "true,true": "↔", "false,false": "␣" };
const JOINED = { "←": [true, false], "→": [false, true], "↔": [true, true], "␣": [false, false] };

class Words {
  // level: "word", with "+breaks" where each line break is a word, with "+punctuation" where each
  // mark is; marks: of the latter, all, and those that close and open, as pairs of code points.
  constructor({ level, marks }) {
    this.breaks = level.includes("+breaks");
    this.words = new RegExp(`${this.breaks ? "\\n|" : ""}[^${SPACE}]+`, "gu");
    this.apart = marks !== null;
    if (this.apart) {
      const all = classOf(marks.all);
      const letter = `[^${SPACE}${all}]`;
      // Every mark, but for the apostrophe inside a word.
      this.marks = new RegExp(`(?!(?<=${letter})['’](?=${letter}))[${all}]`, "gu");
      const one = (pairs) => new RegExp(`^[${classOf(pairs)}]$`, "u");
      [this.mark, this.closing, this.opening] = [marks.all, marks.closing, marks.opening].map(one);
    }
  }

  split(text) {
    const cut = this.apart ? text.replace(this.marks, (mark, at, all) => this.setApart(mark, at, all)) : text;
    return cut.match(this.words) ?? [];
  }

  // A mark between spaces, with its sign where it needs one.
  setApart(mark, at, text) {
    const next = text.codePointAt(at + mark.length);
    const after = next === undefined ? "" : String.fromCodePoint(next);
    const blank = (character) => !character || SPACES.test(character);
    const joined = [!blank(text.slice(at - 1, at)), !blank(after) && !this.mark.test(after)];
    const usual = String(this.usually(mark)) === String(joined);
    return ` ${mark}${usual ? "" : SIGNS[joined]} `;
  }

  usually(mark) {
    return [this.closing.test(mark), this.opening.test(mark)];
  }

  // A mark as [itself, its sign if it has one]; null for what is none.
  asMark(word) {
    const [first, sign, more] = this.apart ? Array.from(word) : [];
    const is = first !== undefined && more === undefined && (sign === undefined || sign in JOINED) && this.mark.test(first);
    return is ? [first, sign] : null;
  }

  // Whether it is joined to what is before it, and to what is after it.
  joined(word) {
    if (word === "\n" && this.breaks) {
      return [true, true];
    }
    const mark = this.asMark(word);
    return mark ? (mark[1] ? JOINED[mark[1]] : this.usually(mark[0])) : [false, false];
  }

  // What a word adds to a text that ends in the word `before`; undefined: in none.
  piece(word, before) {
    const shown = this.asMark(word)?.[0] ?? word;
    const joins = before === undefined || this.joined(before)[1] || this.joined(word)[0];
    return joins ? shown : ` ${shown}`;
  }
}
