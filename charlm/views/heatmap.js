// The heat-map: tints by surprise, and what there is to tell of a place.

const inBits = (hundredths) => (hundredths < 0 ? "no surprise told" : (hundredths / 100).toFixed(2) + " bits");

// A place's surprise: that of its tokens together, in hundredths of a bit; -1 where none has any.
function surpriseOf(place) {
  const bits = data.bits.slice(tokenOf[place], tokenOf[place] + data.sizes[place]).filter((value) => value >= 0);
  return bits.length ? bits.reduce((sum, value) => sum + value, 0) : -1;
}

function tintOfSurprise(place) {
  const bits = surpriseOf(place);
  return bits < 0 ? -1 : Math.min(Math.floor((bits / 100 / data.scale) * data.steps), data.steps - 1);
}

// A piece of text that keeps its direction to itself.
function isolated(tag, content) {
  const element = document.createElement(tag);
  element.dir = "auto";
  element.textContent = content;
  return element;
}

// What there is to tell of the token of this number in the text.
function described(number) {
  const row = document.createElement("p");
  row.append(isolated("b", data.labels[data.tokens[number]]), ": " + inBits(data.bits[number]));
  if (data.rank[number] > 0) {
    row.append(", rank " + data.rank[number]);
  } else if (data.rank[number] === 0) {
    row.append(", not known to the model");
  }
  const expected = data.expected[number];
  for (let i = 0; i < expected.length; i += 2) {
    row.append(i ? ", " : "; expected ", isolated("bdi", data.labels[expected[i]]));
    row.append(" " + (expected[i + 1] / 10).toFixed(1) + " %");
  }
  return row;
}

onSelect = (place) => {
  const first = tokenOf[place];
  const numbers = Array.from({ length: data.sizes[place] }, (_, i) => first + i);
  const rows = numbers.map(described);
  if (rows.length > 1) {
    const together = document.createElement("p");
    together.append(isolated("b", numbers.map((number) => data.words[data.tokens[number]]).join("")));
    together.append(": " + inBits(surpriseOf(place)) + " in all, of " + rows.length + (data.level === "word" ? " words" : " characters"));
    rows.unshift(together);
  }
  document.getElementById("status").replaceChildren(...rows);
};

for (const link of document.querySelectorAll("#links a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    jumpTo(Number(link.dataset.place));
    panel.focus({ preventScroll: true });
  });
}

start();
tintBy(tintOfSurprise);
if (begins.length) {
  select(0);
}
