// Units: the text tinted by the one that is chosen, and what it holds at a place.

const units = document.getElementById("units");
let held = new Int8Array(data.tokens.length);

// What the chosen unit holds after a place's last token: -127 for -1 to 127 for 1.
const heldAt = (place) => held[tokenOf[place] + data.sizes[place] - 1];

function tintOfUnit(place) {
  const share = (heldAt(place) + 127) / 254;
  return Math.min(Math.max(Math.round(share * (data.steps - 1)), 0), data.steps - 1);
}

function tell(place) {
  const row = document.createElement("p");
  const name = document.createElement("b");
  const first = tokenOf[place];
  const tokens = [...data.tokens.slice(first, first + data.sizes[place])];
  name.dir = "auto";
  name.textContent = tokens.length === 1 ? data.labels[tokens[0]] : tokens.map((number) => data.words[number]).join("");
  row.append(name);
  if (data.units.length) {
    row.append(": " + data.names[units.selectedIndex] + " holds " + (heldAt(place) / 127).toFixed(2));
  }
  document.getElementById("status").replaceChildren(row);
}
onSelect = tell;

function choose() {
  const bytes = atob(data.units[units.selectedIndex]);
  held = Int8Array.from(bytes, (byte) => (byte.charCodeAt(0) << 24) >> 24);
  tintBy(tintOfUnit);
  if (selected >= 0) {
    tell(selected);
  }
}

start();
if (data.units.length) {
  units.addEventListener("change", choose);
  units.selectedIndex = 0;
  choose();
}
if (begins.length) {
  select(0);
}
