"use strict";
// The text of a page: where its places are, and the ranges of them.
//
// A place is a grapheme or a word. Text nodes are left as they are, so that letters join.

const data = JSON.parse(document.getElementById("data").textContent);
const text = document.getElementById("text");
const panel = document.getElementById("panel");

// Of each line: its element, its first place and the one after its last.
const lines = [];
// Of each place: the UTF-16 unit of its line where it begins, its line, and its first token.
const begins = new Uint32Array(data.widths.length);
const lineOf = new Uint32Array(data.widths.length);
const tokenOf = new Uint32Array(data.widths.length);

function readText() {
  let place = 0;
  let token = 0;
  for (const element of text.getElementsByClassName("line")) {
    const line = { element, first: place, end: place + data.lines[lines.length], tinted: [], shown: null, nodes: null };
    for (let begin = 0; place < line.end; place++) {
      begin += data.gaps[place] ?? 0;
      begins[place] = begin;
      lineOf[place] = lines.length;
      tokenOf[place] = token;
      begin += data.widths[place];
      token += data.sizes[place];
    }
    lines.push(line);
  }
}

// The text nodes of a line, each with the unit at which it begins.
function nodesOf(line) {
  if (!line.nodes) {
    line.nodes = [];
    const walker = document.createTreeWalker(line.element, NodeFilter.SHOW_TEXT);
    for (let begin = 0; walker.nextNode(); begin += walker.currentNode.length) {
      line.nodes.push({ node: walker.currentNode, begin });
    }
  }
  return line.nodes;
}

// The text node in which the unit before or after this one lies, and how far into it.
function locate(line, unit, isEnd) {
  const nodes = nodesOf(line);
  let low = 0;
  let high = nodes.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (nodes[middle].begin < unit || (!isEnd && nodes[middle].begin === unit)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return [nodes[low].node, unit - nodes[low].begin];
}

// The range of the places from one to another, both in one line.
function rangeOf(first, last) {
  const line = lines[lineOf[first]];
  const [startContainer, startOffset] = locate(line, begins[first], false);
  const [endContainer, endOffset] = locate(line, begins[last] + data.widths[last], true);
  return { startContainer, startOffset, endContainer, endOffset };
}

function liveRangeOf(place) {
  const at = rangeOf(place, place);
  const range = document.createRange();
  range.setStart(at.startContainer, at.startOffset);
  range.setEnd(at.endContainer, at.endOffset);
  return range;
}

function isWithin(rect, other) {
  const across = rect.left >= other.left - 1 && rect.right <= other.right + 1;
  return across && rect.width < other.width && rect.top < other.bottom && rect.bottom > other.top;
}

function rectsOf(place) {
  const rects = [...liveRangeOf(place).getClientRects()].filter((rect) => rect.width > 0 && rect.height > 0);
  // The sign of a tab lies in the tab.
  return rects.filter((rect) => !rects.some((other) => other !== rect && isWithin(rect, other)));
}
