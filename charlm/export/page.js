"use strict";
// What a reader does on the page, and what comes of it.

const about = JSON.parse(byId("about").textContent);
about.ids = new Map(about.tokens.map((token, id) => [token, id]));
const display = new Display(about);
const reader = new Reader(about);
const fills = about.model.bidirectional;
const typed = byId("typed");
// What was written last, to be copied.
let written = "";
let busy = false;

// ---- The model, in a worker or, where none can be had, on the page itself, in turns ----

let ask = () => {};

function startModel() {
  const element = byId("weights");
  const letters = element.textContent;
  element.remove();
  const known = { ...about, ids: undefined };
  const onPage = () => {
    const service = new Service(known, letters, hear);
    ask = (wish) => service.hear(wish);
    hear({ told: "ready" });
  };
  try {
    const source = new Blob([byId("engine").textContent], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(source));
    let ready = false;
    worker.onmessage = ({ data }) => {
      ready = true;
      hear(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (ready) {
        hear({ told: "failure", why: event.message });
      } else {
        worker.terminate();
        attempt(onPage);
      }
    };
    ask = (wish) => worker.postMessage(wish);
    worker.postMessage({ about: known, letters });
  } catch {
    // Drawn first, so that the reader sees what is going on.
    setTimeout(() => attempt(onPage), 30);
  }
}

function attempt(act) {
  try {
    act();
  } catch (error) {
    hear({ told: "failure", why: String(error?.message ?? error) });
  }
}

// ---- What the model tells ----

const HEARD = {
  ready() {
    byId("go").disabled = false;
    say("Ready.");
    onTyped();
  },
  read({ tokens, bits, next, unknown }) {
    display.showRead(tokens, bits);
    display.showNext(next, choose);
    explain(unknown);
  },
  begun({ prefix, unknown }) {
    written = prefix;
    const shown = make("span", "prefix");
    shown.append(...display.nodes(prefix));
    byId("out").replaceChildren(shown);
    explain(unknown);
  },
  text({ text }) {
    written += text;
    byId("out").append(...display.nodes(text));
  },
  written({ reason, count, seconds }) {
    end();
    const speed = count && seconds ? `, ${Math.round(count / seconds).toLocaleString("en")} a second` : "";
    const how = {
      length: "",
      stop: " It ended before a stop text.",
      overflow: " The model's numbers grew beyond all bounds: it has not learned to write longer texts.",
    };
    say(`${count.toLocaleString("en")} ${about.unit}s with seed ${seedShown}${speed}.${how[reason]}`);
  },
  filled({ fillings, unknown }) {
    end();
    explain(unknown);
    display.showFillings(fillings);
    written = fillings.length ? fillings[0].pieces.join("") : "";
    byId("copy").disabled = !written;
    const gaps = typed.value.includes("_");
    say(fillings.length ? "Filled." : gaps ? "" : "Mark what is to be filled with _.");
  },
  stopped() {
    if (busy) {
      end();
      say("Stopped.");
    }
  },
  failure({ why }) {
    end();
    byId("go").disabled = !written && why.includes("damaged");
    say(`Something went wrong: ${why}`);
  },
};

const hear = (answer) => HEARD[answer.told](answer);
const say = (what) => {
  byId("status").textContent = what;
};

// A symbol that the model does not know, in the words of somebody who typed it.
function explain(unknown) {
  const shown = unknown.slice(0, 8).map((token) => {
    const codes = Array.from(token).map(codePoint).join(" ");
    const others = [token.toLowerCase(), token.toUpperCase(), token.normalize("NFC"), token.normalize("NFKC")];
    const near = others.find((other) => other !== token && about.ids.has(other));
    return `“${token}”${display.words ? "" : ` (${codes})`}${near ? `, though “${near}”` : ""}`;
  });
  const more = unknown.length > shown.length ? ` and ${unknown.length - shown.length} more` : "";
  const kept = fills ? "Nothing is filled until you replace it." : "It is left out.";
  byId("unknown").replaceChildren(
    ...(unknown.length
      ? display.nodes(`The model does not know ${shown.join("; ")}${more}: the text that it learned had none. ${kept}`)
      : []),
  );
}

// ---- What the reader does ----

let waiting = 0;

function onTyped() {
  clearTimeout(waiting);
  // A filling may take a while: it waits for a pause.
  waiting = setTimeout(() => (fills ? go() : ask({ wish: "read", text: typed.value })), fills ? 400 : 0);
}

function choose(token) {
  typed.value += reader.pieceAfter(typed.value, token);
  onTyped();
}

let seedShown = "";

function settings() {
  const number = (id) => byId(id).valueAsNumber;
  seedShown = byId("seed").value || String(crypto.getRandomValues(new Uint32Array(1))[0]);
  return {
    ...Object.fromEntries(["length", "temperature", "top_k", "top_p", "min_p"].map((id) => [id, number(id)])),
    seed: seedShown,
    stop: about.stop,
  };
}

function valid() {
  const wrong = [...document.querySelectorAll("fieldset:not([hidden]) input")].find((input) => !input.validity.valid || (input.type === "number" && input.value === ""));
  const large = byId("seed").value && BigInt(byId("seed").value.replace(/\D/g, "") || 0) >= 2n ** 64n;
  if (wrong || large) {
    const input = wrong ?? byId("seed");
    const name = input.labels[0].firstChild.data;
    say(`${name}: ${input.validationMessage || (large ? "a whole number below 2^64, please." : "a number, please.")}`);
    input.focus();
  }
  return !wrong && !large;
}

function go() {
  if (byId("go").disabled && !busy) {
    return;
  }
  if (fills) {
    if (valid()) {
      begin("Filling …");
      ask({ wish: "fill", text: typed.value, count: byId("count").valueAsNumber });
    }
  } else if (!busy && valid()) {
    begin("Writing …");
    ask({ wish: "write", text: typed.value, settings: settings() });
  }
}

function begin(what) {
  busy = true;
  byId("go").disabled = !fills;
  byId("stop").disabled = false;
  byId("copy").disabled = fills;
  say(what);
}

function end() {
  const stops = document.activeElement === byId("stop");
  busy = false;
  byId("go").disabled = false;
  byId("stop").disabled = true;
  byId("copy").disabled = !written;
  if (stops) {
    byId("go").focus();
  }
}

async function copy() {
  try {
    await navigator.clipboard.writeText(written);
  } catch {
    // Where a page may not, the old way.
    const area = make("textarea", "");
    area.value = written;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    byId("copy").focus();
  }
  say("Copied.");
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  go();
});
byId("form").noValidate = true;
byId("stop").addEventListener("click", () => ask({ wish: "stop" }));
byId("copy").addEventListener("click", copy);
typed.addEventListener("input", onTyped);
byId("count").addEventListener("input", () => fills && onTyped());
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && busy) {
    ask({ wish: "stop" });
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    go();
  }
});

startModel();
