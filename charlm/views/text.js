"use strict";
// The text of a page: where its places are, how they are tinted, and how a reader moves in it.
//
// A place is a grapheme or a word. Text nodes are left as they are, so that letters join: tints are
// highlights, and elements only where a browser has none.

const data = JSON.parse(document.getElementById("data").textContent);
const text = document.getElementById("text");
const panel = document.getElementById("panel");
const gap = data.level === "word" ? 1 : 0;

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
    const line = { element, first: place, end: place + data.lines[lines.length], tinted: [], nodes: null };
    for (let begin = 0; place < line.end; place++) {
      begins[place] = begin;
      lineOf[place] = lines.length;
      tokenOf[place] = token;
      begin += data.widths[place] + gap;
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

function rectsOf(place) {
  const at = rangeOf(place, place);
  const range = document.createRange();
  range.setStart(at.startContainer, at.startOffset);
  range.setEnd(at.endContainer, at.endOffset);
  const rects = [...range.getClientRects()];
  return rects.filter((rect) => rect.width > 0 && rect.height > 0);
}

// ---- Tints ----

const hasHighlights = typeof Highlight === "function" && CSS.highlights !== undefined;
const highlights = new Map();
let tintOf = () => -1;

function highlightOf(tint) {
  if (!highlights.has(tint)) {
    highlights.set(tint, new Highlight());
    CSS.highlights.set("t" + tint, highlights.get(tint));
  }
  return highlights.get(tint);
}

// The runs of equal tint in a line: their tint, first and last place.
function* runsOf(line) {
  for (let first = line.first; first < line.end; ) {
    const tint = tintOf(first);
    let last = first;
    while (!gap && last + 1 < line.end && tintOf(last + 1) === tint) {
      last++;
    }
    if (tint >= 0) {
      yield [tint, first, last];
    }
    first = last + 1;
  }
}

function tintLine(line) {
  untintLine(line);
  if (!hasHighlights) {
    wrapRuns(line);
    return;
  }
  for (const [tint, first, last] of runsOf(line)) {
    const range = new StaticRange(rangeOf(first, last));
    highlightOf(tint).add(range);
    line.tinted.push([tint, range]);
  }
}

function untintLine(line) {
  if (hasHighlights) {
    for (const [tint, range] of line.tinted) {
      highlightOf(tint).delete(range);
    }
  } else if (line.tinted.length) {
    line.element.replaceChildren(...line.tinted);
    line.nodes = null;
  }
  line.tinted = [];
}

// Without highlights: an element around each run, in each text node that it is in. What the line
// was is kept, to go back to.
function wrapRuns(line) {
  line.tinted = [...line.element.childNodes].map((node) => node.cloneNode(true));
  const runs = [...runsOf(line)];
  for (const { node, begin } of [...nodesOf(line)].reverse()) {
    for (const [tint, first, last] of runs.toReversed()) {
      const from = Math.max(begins[first] - begin, 0);
      const to = Math.min(begins[last] + data.widths[last] - begin, node.length);
      if (from < to) {
        const span = document.createElement("span");
        span.className = "t" + tint;
        node.splitText(to);
        span.append(node.splitText(from));
        node.after(span);
      }
    }
  }
  line.nodes = null;
}

const inSight = new Set();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const line = lines[Number(target.id.slice("line-".length)) - 1];
      if (isIntersecting) {
        inSight.add(line);
        tintLine(line);
      } else if (inSight.delete(line)) {
        untintLine(line);
      }
      if (isIntersecting && selected >= 0 && lines[lineOf[selected]] === line) {
        drawCursor();
      }
    }
  },
  { rootMargin: "100% 0px" },
);

// Tint the text: the number of each place's tint, or one below 0.
function tintBy(tints) {
  tintOf = tints;
  inSight.forEach(tintLine);
}

addEventListener("beforeprint", () => {
  for (const line of lines) {
    inSight.add(line);
    tintLine(line);
  }
});

// ---- The cursor ----

let selected = -1;
// What a page does when a place is selected.
let onSelect = () => {};

function select(place) {
  selected = place;
  drawCursor();
  onSelect(place);
}

// A box around the selected place, one for each row that it is on, within its line.
function drawCursor() {
  for (const box of [...text.getElementsByClassName("cursor")]) {
    box.remove();
  }
  const { element } = lines[lineOf[selected]];
  const frame = element.getBoundingClientRect();
  for (const rect of rectsOf(selected)) {
    const box = document.createElement("div");
    box.className = "cursor";
    box.style.left = rect.left - frame.left - 3 + "px";
    box.style.top = rect.top - frame.top - 3 + "px";
    box.style.width = rect.width + 6 + "px";
    box.style.height = rect.height + 6 + "px";
    element.append(box);
  }
}

function scrollToSelected() {
  const { element } = lines[lineOf[selected]];
  let rect = rectsOf(selected)[0] ?? element.getBoundingClientRect();
  const bottom = panel.getBoundingClientRect().top - 8;
  if (rect.top < 8 || rect.bottom > bottom) {
    const far = rect.bottom < 0 || rect.top > innerHeight;
    scrollBy(0, far ? rect.top - bottom / 2 : rect.top < 8 ? rect.top - 40 : rect.bottom - bottom + 40);
  }
}

function jumpTo(place) {
  select(place);
  // Lines on the way have their height only once they are near: a second look sets it right.
  scrollToSelected();
  requestAnimationFrame(scrollToSelected);
}

// The place at a point of the window; -1 where there is none.
function placeAt(x, y) {
  let node, offset;
  if (document.caretPositionFromPoint) {
    const position = document.caretPositionFromPoint(x, y);
    [node, offset] = [position?.offsetNode, position?.offset];
  } else {
    const range = document.caretRangeFromPoint(x, y);
    [node, offset] = [range?.startContainer, range?.startOffset];
  }
  const element = (node?.parentElement ?? null)?.closest(".line");
  const line = element && lines[Number(element.id.slice("line-".length)) - 1];
  const found = line && nodesOf(line).find((part) => part.node === node);
  if (!found) {
    return -1;
  }
  const near = placeOf(line, found.begin + offset);
  return [near, near - 1, near + 1].find((place) => isAt(line, place, x, y)) ?? -1;
}

// The last place of a line that begins at or before a unit.
function placeOf(line, unit) {
  let low = line.first;
  let high = line.end - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (begins[middle] <= unit) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

function isAt(line, place, x, y) {
  return (
    place >= line.first &&
    place < line.end &&
    rectsOf(place).some((rect) => rect.left <= x && x <= rect.right && rect.top <= y && y <= rect.bottom)
  );
}

// ---- Keys and pointer ----

const middleOf = (rect) => (rect.left + rect.right) / 2;

// The place of the next row (direction 1) or the one before (-1) that is nearest to straight below.
function inNextRow(place, direction) {
  const here = rectsOf(place)[0];
  let best = -1;
  let row = null;
  for (let next = place + direction; next >= 0 && next < begins.length; next += direction) {
    const rect = rectsOf(next)[0];
    if (!rect || !here) {
      continue;
    }
    const middle = (rect.top + rect.bottom) / 2;
    if (!row && direction * (middle - (here.top + here.bottom) / 2) < here.height * 0.8) {
      continue;
    }
    row ??= rect;
    if (Math.abs(middle - (row.top + row.bottom) / 2) > row.height * 0.8) {
      break;
    }
    const distance = Math.abs(middleOf(rect) - middleOf(here));
    if (best < 0 || distance < Math.abs(middleOf(rectsOf(best)[0]) - middleOf(here))) {
      best = next;
    }
  }
  return best < 0 ? place : best;
}

function moved(key) {
  const line = lines[lineOf[selected]];
  const onward = getComputedStyle(line.element).direction === "rtl" ? -1 : 1;
  switch (key) {
    case "ArrowRight":
      return Math.min(Math.max(selected + onward, 0), begins.length - 1);
    case "ArrowLeft":
      return Math.min(Math.max(selected - onward, 0), begins.length - 1);
    case "ArrowDown":
      return inNextRow(selected, 1);
    case "ArrowUp":
      return inNextRow(selected, -1);
    case "Home":
      return line.first;
    case "End":
      return line.end - 1;
    default:
      return null;
  }
}

panel.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || selected < 0) {
    return;
  }
  const place = moved(event.key);
  if (place !== null) {
    event.preventDefault();
    select(place);
    scrollToSelected();
  }
});

// A page that scrolls below a pointer at rest tells of a move too, of which the reader knows nothing.
let pointer = "";
text.addEventListener("pointermove", (event) => {
  const now = event.screenX + " " + event.screenY;
  const place = now === pointer ? -1 : placeAt(event.clientX, event.clientY);
  pointer = now;
  if (place >= 0 && place !== selected) {
    select(place);
  }
});

text.addEventListener("click", (event) => {
  const place = placeAt(event.clientX, event.clientY);
  if (place >= 0 && getSelection().isCollapsed) {
    select(place);
    panel.focus({ preventScroll: true });
  }
});

addEventListener("resize", () => selected >= 0 && drawCursor());

function start() {
  readText();
  for (const { element } of lines) {
    watcher.observe(element);
  }
}
