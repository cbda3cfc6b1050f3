// How the text is tinted: by highlights, and by elements only where a browser has none.

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

// The runs of equal tint from one place to before another: their tint, first and last place.
function* runsOf(begin, end) {
  for (let first = begin; first < end; ) {
    const tint = tintOf(first);
    let last = first;
    while (last + 1 < end && !data.gaps[last + 1] && tintOf(last + 1) === tint) {
      last++;
    }
    if (tint >= 0) {
      yield [tint, first, last];
    }
    first = last + 1;
  }
}

// Of a line of more places than this, only what is near the window is tinted: browsers take seconds
// to draw a text with tens of thousands of tints.
const LONG = 4000;

// The first place of a line that ends below this height, or the line's last place.
function firstBelow(line, height) {
  let low = line.first;
  let high = line.end - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (liveRangeOf(middle).getBoundingClientRect().bottom < height) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// What is within so many heights of the window above and below it, as the first place and the one
// after the last.
function nearWindow(line, heights) {
  if (line.end - line.first <= LONG) {
    return [line.first, line.end];
  }
  return [firstBelow(line, -heights * innerHeight), firstBelow(line, (heights + 1) * innerHeight) + 1];
}

function tintLine(line, whole = false) {
  untintLine(line);
  line.shown = whole ? [line.first, line.end] : nearWindow(line, 2);
  if (!hasHighlights) {
    wrapRuns(line);
    return;
  }
  for (const [tint, first, last] of runsOf(...line.shown)) {
    const range = new StaticRange(rangeOf(first, last));
    highlightOf(tint).add(range);
    line.tinted.push([tint, range]);
  }
}

// Tint what of a long line has come near the window.
function tintOnward() {
  for (const line of inSight) {
    if (line.end - line.first > LONG) {
      const [begin, end] = nearWindow(line, 0.5);
      if (begin < line.shown[0] || end > line.shown[1]) {
        tintLine(line);
      }
    }
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
  const runs = [...runsOf(...line.shown)];
  let next = 0;
  for (const { node, begin } of nodesOf(line)) {
    // Asked for once: a browser copies it each time.
    const content = node.data;
    const wrapped = document.createDocumentFragment();
    let done = 0;
    for (; next < runs.length; next++) {
      const [tint, first, last] = runs[next];
      const from = Math.max(begins[first] - begin, 0);
      const to = begins[last] + data.widths[last] - begin;
      if (from >= content.length) {
        break;
      }
      if (from > done) {
        wrapped.append(content.slice(done, from));
      }
      const span = document.createElement("span");
      span.className = "t" + tint;
      span.textContent = content.slice(from, to);
      wrapped.append(span);
      done = Math.min(to, content.length);
      if (to > content.length) {
        break;
      }
    }
    if (done < content.length) {
      wrapped.append(content.slice(done));
    }
    node.replaceWith(wrapped);
  }
  line.nodes = null;
}

const inSight = new Set();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const line = lines[Number(target.id.slice("line-".length)) - 1];
      if (isIntersecting) {
        if (!inSight.has(line)) {
          inSight.add(line);
          tintLine(line);
        }
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
  inSight.forEach((line) => tintLine(line));
}

addEventListener("beforeprint", () => {
  for (const line of lines) {
    inSight.add(line);
    tintLine(line, true);
  }
});
