// How a reader moves in the text: a cursor, led by the pointer and by keys.

const cursor = document.createElement("div");
cursor.className = "cursor";
let selected = -1;
// What a page does when a place is selected.
let onSelect = () => {};

function select(place) {
  selected = place;
  drawCursor();
  onSelect(place);
}

// A box around the selected place, one for each row that it is on. They lie over the text: within
// a line they would have a browser lay it out again at each step.
function drawCursor() {
  const frame = cursor.getBoundingClientRect();
  const boxes = rectsOf(selected).map((rect) => {
    const box = document.createElement("div");
    box.style.left = rect.left - frame.left - 3 + "px";
    box.style.top = rect.top - frame.top - 3 + "px";
    box.style.width = rect.width + 6 + "px";
    box.style.height = rect.height + 6 + "px";
    return box;
  });
  cursor.replaceChildren(...boxes);
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

function start() {
  readText();
  text.append(cursor);
  // The text grows and shrinks with the window, and where lines first come into sight.
  new ResizeObserver(() => selected >= 0 && drawCursor()).observe(text);
  addEventListener("scroll", tintOnward, { passive: true });
  // What is in sight at first is tinted before it is: the watcher tells of it only afterwards.
  for (const line of lines) {
    if (line.element.getBoundingClientRect().top > 2 * innerHeight) {
      break;
    }
    inSight.add(line);
  }
  for (const { element } of lines) {
    watcher.observe(element);
  }
}
